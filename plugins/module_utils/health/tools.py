# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The means that checks look with: clock, commands, files and libraries. Tests hand in their own."""

from __future__ import annotations

import importlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .model import CouldNotRun
from .steps import install


@dataclass(frozen=True)
class Completed:
    """How a command ended."""

    code: int
    output: str
    errors: str


_PACKAGES = {"nft": "nftables", "chronyc": "chrony"}
"""Packages of Debian that are called otherwise than their programs."""


def run_command(argv: Sequence[str], timeout: float) -> Completed:
    """Run a program without a shell, in the C locale. Raises CouldNotRun where it does not exist."""
    try:
        # Clients know no AnsibleModule, whose run_command the rule asks for; nor has that a time limit.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        )
    except FileNotFoundError:
        package = _PACKAGES.get(argv[0])
        how = f"`apt-get install {package}`" if package else f"install {argv[0]}"
        raise CouldNotRun(f"{argv[0]} is not installed", f"{how}, or leave this check out") from None
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{argv[0]} did not end within {timeout:.0f} s") from None
    return Completed(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def read_text(path: str) -> str | None:
    """A file's text, or ``None`` where it is not there or cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def load_library(name: str) -> Any:
    """Import a library that the target may lack. Raises ImportError."""
    return importlib.import_module(name)


@dataclass(frozen=True)
class Tools:
    """``clock`` counts seconds and never goes back; ``now`` is the wall clock in seconds since 1970.

    ``arrived`` is what ``clock`` said when the module began.
    """

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    run: Callable[[Sequence[str], float], Completed] = run_command
    read: Callable[[str], str | None] = read_text
    load: Callable[[str], Any] = load_library
    arrived: float = field(default_factory=time.monotonic)

    def library(self, name: str, package: str) -> Any:
        """Import a library, of a Debian package of that name. Raises CouldNotRun where it is missing."""
        try:
            return self.load(name)
        except ImportError:
            raise CouldNotRun(f"the Python library {name} is missing on this host", install(package)) from None


@dataclass(frozen=True)
class Deadline:
    """A point in time that all steps of one attempt share, so that their waits do not add up."""

    clock: Callable[[], float]
    started: float
    seconds: float

    @classmethod
    def after(cls, clock: Callable[[], float], seconds: float) -> Deadline:
        return cls(clock, clock(), seconds)

    def left(self) -> float:
        """Seconds that are left. Raises TimeoutError where none are."""
        left = self.started + self.seconds - self.clock()
        if left <= 0:
            raise TimeoutError(f"no answer within {self.seconds:g} s")
        return left

    def spent_ms(self) -> float:
        """Milliseconds since the attempt began."""
        return (self.clock() - self.started) * 1000
