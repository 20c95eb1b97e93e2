# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused in the declaration of an application."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.app.declaration import findings

SOUND = {
    "name": "shop",
    "kind": "http",
    "instances": [3000, 3001],
    "release": "2026.1-rc_1",
    "artifact_sha256": "0" * 64,
    "root": "/srv/slipway/shop",
    "readiness_path": "/readyz",
    "memory_limit_mb": 2048,
    "node_heap_ratio": 0.75,
}


def test_a_sound_declaration() -> None:
    assert findings(SOUND) == ()
    assert findings({**SOUND, "kind": "worker", "instances": [1, 2]}) == ()
    assert findings({**SOUND, "release": "", "artifact_sha256": ""}) == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Shop"}, "app_name: got 'Shop'; expected 1 to 23"),
        ({"name": "shop\n"}, "app_name: got 'shop\\n'; expected 1 to 23"),
        ({"name": "a" * 24}, "app_name: got"),
        ({"release": "../../etc"}, "app_release: got '../../etc'; expected 1 to 64"),
        ({"release": "a;rm -rf /"}, "app_release: got 'a;rm -rf /'"),
        ({"artifact_sha256": "abc"}, "app_artifact_sha256: got 'abc'; expected 64"),
        ({"root": "/"}, "app_root: got '/'; expected an absolute directory"),
        ({"root": "/srv"}, "app_root: got '/srv'"),
        ({"root": "srv/x"}, "app_root: got 'srv/x'"),
        ({"readiness_path": "readyz"}, "app_readiness_path: got 'readyz'"),
        ({"instances": []}, "app_instances: got an empty list; expected ports"),
        ({"instances": [0]}, "app_instances: got 0; expected ports from 1024 to 65535 for the kind http"),
        ({"instances": [70000]}, "app_instances: got 70000"),
        ({"instances": [80]}, "app_instances: got 80"),
        ({"instances": ["3000"]}, "app_instances: got '3000'"),
        ({"instances": [3000, 3000]}, "app_instances: 3000 is listed twice"),
        ({"kind": "worker", "instances": [0]}, "app_instances: got 0; expected numbers from 1"),
        ({"memory_limit_mb": 8}, "app_memory_limit_mb: got 8; expected at least 32 MB"),
        ({"stop_timeout_seconds": 0}, "app_stop_timeout_seconds: got 0; expected at least 1 s"),
        ({"node_heap_ratio": 1.5}, "app_node_heap_ratio: got 1.5; expected 0.1 to 0.9"),
    ],
)
def test_refused(change: dict, expected: str) -> None:
    (finding,) = findings({**SOUND, **change})
    assert finding.startswith(expected)
