# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an operator hangs on the runs that change a fleet: task files (hooks), and URLs that are told what happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..host.findings import ERROR, Finding

PHASES = ("fetch", "migrate", "page_on", "batch", "soak", "verify", "page_off", "contract")
"""Phases of a deploy or rollback, in their order; ``batch`` for the canary and for each batch."""

POINTS = tuple(f"{when}_{phase}" for phase in PHASES for when in ("before", "after"))
"""Keys of ``slipway_deploy_hooks``."""

NOTIFY_KEYS = frozenset(("url", "events", "headers"))


def hook_findings(hooks: Any) -> Iterator[Finding]:
    """What is wrong with ``slipway_deploy_hooks``: a mapping of points to a file or a list of files."""
    if hooks is None:
        return
    if not isinstance(hooks, Mapping):
        yield _error(
            "slipway_deploy_hooks", repr(hooks), "a mapping of points of a deploy to task files", "see docs/deploy.md"
        )
        return
    for point, files in hooks.items():
        where = f"slipway_deploy_hooks.{point}"
        if point not in POINTS:
            yield _error(where, str(point), f"one of {', '.join(POINTS)}", f"rename or remove {where}")
        elif not all(isinstance(name, str) and name for name in (files if isinstance(files, list) else [files])):
            yield _error(where, repr(files), "the path of a task file, or a list of them", f"correct {where}")


def notify_findings(targets: Any) -> Iterator[Finding]:
    """What is wrong with ``slipway_deploy_notify``, a list of URLs or mappings. URLs may be secrets: none is shown."""
    if targets is None:
        return
    if not isinstance(targets, list):
        yield _error(
            "slipway_deploy_notify", type(targets).__name__, "a list of URLs, or of mappings with url", "make it a list"
        )
        return
    for index, target in enumerate(targets):
        where = f"slipway_deploy_notify[{index}]"
        entry = target if isinstance(target, Mapping) else {"url": target}
        for key in sorted(set(entry) - NOTIFY_KEYS):
            yield _error(
                f"{where}.{key}", str(key), f"one of {', '.join(sorted(NOTIFY_KEYS))}", f"remove {where}.{key}"
            )
        if not _is_url(entry.get("url")):
            yield _error(
                f"{where}.url", "not a URL (not shown)", "a URL with http or https and a host", f"correct {where}"
            )
        if not isinstance(entry.get("events", []), list):
            yield _error(f"{where}.events", repr(entry["events"]), "a list of events", f"correct {where}.events")
        if not isinstance(entry.get("headers", {}), Mapping):
            yield _error(f"{where}.headers", "no mapping (not shown)", "a mapping", f"correct {where}.headers")


def _is_url(url: Any) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def _error(variable: str, received: str, expected: str, fix: str) -> Finding:
    return Finding(ERROR, "", variable, received, expected, fix)
