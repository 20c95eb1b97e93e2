# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What health_check shows of its secrets: nothing, however much is asked for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
CANARY = "canary-s3cret"


def checks_of(port: int) -> list[dict[str, object]]:
    """Checks with a secret wherever one may be."""
    url = f"http://127.0.0.1:{port}/"
    return [
        {"type": "http", "url": f"http://user:{CANARY}-0@127.0.0.1:{port}/"},
        {"type": "http", "url": f"{url}?token={CANARY}-1&page=2"},
        {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {CANARY}-2", "Cookie": f"sid={CANARY}-3"}},
        {"type": "http", "url": url, "method": "POST", "body": {"password": f"{CANARY}-4"}},
        {"type": "http", "url": url, "headers": {"X-Api-Key": f"{CANARY}-5"}, "contains": "not there"},
        {"type": "websocket", "url": f"ws://127.0.0.1:{port}/ws?access_token={CANARY}-6"},
        {"type": "postgresql", "password": f"{CANARY}-7", "port": port},
        {"type": "redis", "password": f"{CANARY}-8", "port": port},
    ]


def run(tmp_path: Path, task: dict[str, object]) -> str:
    """Everything that a run of the module with these options prints at the most talkative level."""
    (tmp_path / "playbook.json").write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [{"slipway.stack.health_check": task}]}])
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-vvvvv", "--diff", "-i", "localhost,", "playbook.json"],
        cwd=tmp_path,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build" / "collections"),
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_TRANSPORT": "local",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = done.stdout + done.stderr
    assert "PLAY RECAP" in text, text
    return text


@pytest.fixture(scope="module")
def unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.mark.parametrize("fail_on", ["failed", "never"])
def test_no_secret_is_shown_by_a_run(tmp_path: Path, unused_port: int, fail_on: str) -> None:
    text = run(tmp_path, {"checks": checks_of(unused_port), "fail_on": fail_on})
    assert ("failed=1" in text) == (fail_on == "failed")
    assert "verdict: failed" in text
    assert "page=2" in text
    assert CANARY not in text


def test_no_secret_is_shown_by_a_refusal(tmp_path: Path, unused_port: int) -> None:
    wrong = [{**check, "passwort": f"{CANARY}-9", "timeout_seconds": "soon"} for check in checks_of(unused_port)]
    text = run(tmp_path, {"checks": wrong})
    assert "none was run" in text
    assert "passwort" in text
    assert CANARY not in text
