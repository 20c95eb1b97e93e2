# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which process on which machine holds a lease, and whether it is gone for certain."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROC = "/proc"


@dataclass(frozen=True)
class Process:
    """A process, told apart from all others of its machine: a number is given to another process in time.

    ``started`` is the time of its start in the kernel's ticks since the boot ``boot``.
    """

    host: str
    boot: str
    pid_namespace: str
    pid: int
    started: int


def parse(raw: Mapping[str, Any] | None) -> Process | None:
    """Return the process that a state file or an option holds, or None where it holds none."""
    if not raw:
        return None
    try:
        return Process(
            host=str(raw["host"]),
            boot=str(raw["boot"]),
            pid_namespace=str(raw["pid_namespace"]),
            pid=int(raw["pid"]),
            started=int(raw["started"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def identify(pid: int, proc: str = _PROC) -> Process | None:
    """Return the identity of a running process of this machine, or None where the system does not tell (no Linux)."""
    try:
        started, _state = _stat(pid, proc)
        return Process(
            host=platform.node(),
            boot=Path(proc, "sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
            pid_namespace=str(Path(proc, "self/ns/pid").readlink()),
            pid=pid,
            started=started,
        )
    except (OSError, ValueError):
        return None


def gone(process: Process, proc: str = _PROC) -> bool:
    """Return whether the process has certainly ended: it ran on this machine since its last start, and is no more.

    False for one of another machine, of another container, or that cannot be seen.
    """
    here = identify(os.getpid(), proc)
    if here is None or (here.boot, here.pid_namespace) != (process.boot, process.pid_namespace):
        return False
    try:
        # Tells also of processes that /proc hides from this user.
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    try:
        started, state = _stat(process.pid, proc)
    except (OSError, ValueError):
        return False
    return started != process.started or state in "ZX"


def _stat(pid: int, proc: str) -> tuple[int, str]:
    """Return when a process started, in ticks since the boot, and its state's letter (proc(5), /proc/PID/stat)."""
    # The name, in parentheses, may have spaces and parentheses of its own.
    fields = Path(proc, str(pid), "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    if len(fields) < 20:
        raise ValueError(f"{proc}/{pid}/stat has {len(fields)} fields after the name")
    return int(fields[19]), fields[0]
