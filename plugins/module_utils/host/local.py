# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host that the module runs on, as :class:`..host.info.System` wants to see it."""

from __future__ import annotations

import os
import platform
import stat
import time
from pathlib import Path


class LocalSystem:
    """Reads of this machine; a file that is missing or refused reads as None."""

    def read(self, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def listdir(self, path: str) -> list[str]:
        try:
            return [entry.name for entry in Path(path).iterdir()]
        except OSError:
            return []

    def readlink(self, path: str) -> str | None:
        try:
            return str(Path(path).readlink())
        except OSError:
            return None

    def is_dir(self, path: str) -> bool:
        return Path(path).is_dir()

    def blocks(self, path: str) -> tuple[int, int, int, int] | None:
        try:
            found = os.statvfs(path)
        except OSError:
            return None
        return found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail

    def device(self, path: str) -> tuple[int, int] | None:
        try:
            found = Path(path).stat()
        except OSError:
            return None
        return (os.major(found.st_rdev), os.minor(found.st_rdev)) if stat.S_ISBLK(found.st_mode) else None

    def cpus(self) -> int:
        return len(os.sched_getaffinity(0))

    def kernel(self) -> str:
        return os.uname().release

    def python(self) -> str:
        return platform.python_version()

    def epoch(self) -> float:
        return time.time()
