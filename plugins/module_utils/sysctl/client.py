# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and writes of /proc/sys and /sys."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from .model import NO_SUCH_KEY, READ_ONLY, Change, Live, Refusal, clamp, path_of, selected, squeeze

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)
_NOT_ALLOWED = (errno.EPERM, errno.EACCES, errno.EROFS)


class Kernel:
    """The settings of the running kernel, below ``root``: /proc/sys or /sys."""

    def __init__(self, root: str = "/proc/sys") -> None:
        self._root = Path(root)

    def read(self, keys: Iterable[str]) -> dict[str, Live]:
        """What the kernel holds for each key."""
        return {key: self._read(key) for key in keys}

    def apply(self, changes: Iterable[Change]) -> tuple[Refusal, ...]:
        """Set every key, then read all of them again; returns those that the kernel refused or changed."""
        changes = tuple(changes)
        refused = {}
        for change in changes:
            reason = self._write(change.key, change.after)
            if reason:
                refused[change.key] = Refusal(change.key, change.after, reason)
        for change in changes:
            held = squeeze(self._read(change.key).value or "")
            if change.key not in refused and held != change.after:
                refused[change.key] = clamp(change, held)
        return tuple(refused[change.key] for change in changes if change.key in refused)

    def _read(self, key: str) -> Live:
        path = self._root / path_of(key)
        try:
            value = path.read_text(encoding="utf-8", errors="replace")
        except PermissionError:
            value = ""
        except OSError:
            return Live(None, writable=False)
        return Live(selected(value), writable=os.access(path, os.W_OK))

    def _write(self, key: str, value: str) -> str | None:
        """Set one key; returns why the kernel refused, or None."""
        try:
            file = open(self._root / path_of(key), "wb", buffering=0)  # noqa: SIM115 (opening and writing fail apart)
        except OSError as error:
            return NO_SUCH_KEY if error.errno in _NOT_THERE else _answer(error)
        # Unbuffered, because the kernel answers to the write and not to the close.
        with file:
            try:
                file.write(value.encode() + b"\n")
            except OSError as error:
                return _answer(error)
        return None


def _answer(error: OSError) -> str:
    return READ_ONLY if error.errno in _NOT_ALLOWED else f"the kernel answers: {error.strerror}"
