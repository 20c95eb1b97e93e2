# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The declaration of an application: what its types alone do not tell to be wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# A user, a unit and a database are named after an application; Linux gives a user's name 32 characters.
_FORMS = {
    "name": (
        re.compile(r"[a-z][a-z0-9_]{0,22}"),
        "1 to 23 lower-case letters, digits and underscores, the first a letter",
    ),
    "release": (
        re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
        "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit",
    ),
    "artifact_sha256": (re.compile(r"[0-9a-f]{64}"), "64 hexadecimal digits, in lower case"),
    "root": (
        re.compile(r"/[^/\s%]+(/[^/\s%]+)+"),
        "an absolute directory below the first level, such as /srv/slipway/shop",
    ),
    "readiness_path": (re.compile(r"/[^\s]*"), "a URL path that starts with /"),
}
# Ports that a user without capabilities may open; numbers of workers.
_INSTANCES = {
    "worker": (range(1, 1025), "numbers from 1 to 1024"),
    "http": (range(1024, 65536), "ports from 1024 to 65535"),
    "websocket": (range(1024, 65536), "ports from 1024 to 65535"),
}
# Smallest values that make sense, with their unit.
_MINIMA = {
    "memory_limit_mb": (32, "MB"),
    "stop_timeout_seconds": (1, "s"),
    "start_timeout_seconds": (1, "s"),
    "restart_delay_seconds": (0, "s"),
    "heartbeat_seconds": (0, "s"),
    "keep_releases": (1, "releases"),
    "nofile": (64, "files"),
    "nproc": (1, "processes and threads"),
}


def findings(declared: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong, one sentence each, named after the role's variables; what is absent or empty is not judged."""
    return tuple(f"app_{finding}" for finding in _findings(declared))


def _findings(declared: Mapping[str, Any]) -> Iterator[str]:
    for key, (form, words) in _FORMS.items():
        if declared.get(key) and not form.fullmatch(str(declared[key])):
            yield f"{key}: got {declared[key]!r}; expected {words}"
    if "instances" in declared:
        yield from _instances(str(declared.get("kind", "http")), list(declared["instances"]))
    for key, (low, unit) in _MINIMA.items():
        if key in declared and int(declared[key]) < low:
            yield f"{key}: got {declared[key]}; expected at least {low} {unit}"
    ratio = declared.get("node_heap_ratio")
    if ratio is not None and not 0.1 <= float(ratio) <= 0.9:
        yield f"node_heap_ratio: got {ratio}; expected 0.1 to 0.9, since buffers and code live outside the heap"


def _instances(kind: str, instances: list[Any]) -> Iterator[str]:
    accepted, words = _INSTANCES[kind]
    if not instances:
        yield f"instances: got an empty list; expected {words}, at least one"
    for number in dict.fromkeys(instances):
        if number not in accepted:
            yield f"instances: got {number!r}; expected {words} for the kind {kind}"
        elif instances.count(number) > 1:
            yield f"instances: {number} is listed twice; remove one"
