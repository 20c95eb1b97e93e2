"""Asks the stack: runs the playbook `status` and takes its report, or what it says in place of one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLAYBOOK = "slipway.stack.status"
STOP_SECONDS = 3
_SAYS_WHY = re.compile(r"^(\[ERROR\]|ERROR!|fatal:|ansible-playbook: error|Traceback)")
_NOISE = re.compile(r"^(PLAY|TASK|Origin:|\s*\^|\d+ )")


class NoAnsible(Exception):
    """There is no ansible-playbook; the text says where it was looked for."""


@dataclass(frozen=True)
class Reading:
    """What one run brought: a report, or why there is none."""

    report: Mapping[str, Any] | None
    trouble: str = ""


def program() -> str:
    """The ansible-playbook to run. Raises NoAnsible."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    found = shutil.which("ansible-playbook") or (str(beside) if beside.exists() else "")
    if not found:
        raise NoAnsible(f"ansible-playbook is neither in PATH nor in {beside.parent}: activate its environment first.")
    return found


def why(output: str, status: int, most: int = 12) -> str:
    """What a failed run says: the errors of the last task that had any, without Ansible's quoting of its own files.

    Errors of earlier tasks were passed over, such as of hosts that could not be reached.
    """
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    chosen = lines[-most:]
    told = False
    for number, line in enumerate(lines):
        if line.startswith(("PLAY", "TASK")):
            told = False
        elif _SAYS_WHY.match(line) and not told:
            told = True
            chosen = [later for later in lines[number:] if not _NOISE.match(later)][:most]
    how = f"failed with status {status}" if status else "wrote no report"
    return "\n".join([f"{PLAYBOOK} {how}:", *chosen])


def parse(text: str) -> Reading:
    """The report in a file."""
    try:
        report = json.loads(text)
    except ValueError as error:
        return Reading(None, f"{PLAYBOOK} wrote no JSON: {error}")
    needed = {"verdict": str, "score": int, "counts": dict, "hosts": dict, "problems": list}
    wrong = [
        key for key, kind in needed.items() if not (isinstance(report, dict) and isinstance(report.get(key), kind))
    ]
    if wrong:
        return Reading(None, f"{PLAYBOOK} wrote no report that this program knows; it lacks {', '.join(wrong)}.")
    return Reading(report)


class Source:
    """One run at a time. A run is a session of its own, so that it can be ended with all that it started."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self._file = folder / "status.json"
        self._command = [program(), PLAYBOOK, *arguments, "-e", json.dumps({"slipway_status_file": str(self._file)})]
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def read(self) -> Reading:
        """Run the playbook to its end. Safe to call from a thread, while `stop` is called from another."""
        self._file.unlink(missing_ok=True)
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "PYTHONUNBUFFERED": "1"}
        with self._lock:
            if self._stopped:
                return Reading(None)
            self._process = subprocess.Popen(
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        output, _nothing = self._process.communicate()
        # Also after a failure: `status` may have been told to fail on what it found.
        if self._file.exists():
            return parse(self._file.read_text(encoding="utf-8", errors="replace"))
        return Reading(None, why(output, self._process.returncode))

    def stop(self) -> None:
        """End a run that is under way, and start none any more."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
