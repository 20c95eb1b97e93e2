# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small JSON files that several programs write or read: replaced as a whole, one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

MODE = 0o644
LOCK_SECONDS = 10.0
LOCK_INTERVAL_SECONDS = 0.05


class StateFileError(Exception):
    """A state file could not be read, locked or written; the message names it and says why."""


def read(path: str) -> dict[str, Any]:
    """Return what the file holds; nothing when there is no such file.

    Raises:
        StateFileError: when it cannot be read or is not a JSON object.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise StateFileError(f"{path}: cannot be read: {error}") from error
    try:
        found = json.loads(text)
    except ValueError as error:
        raise StateFileError(f"{path}: is not JSON ({error}); correct it, or remove it to start anew") from error
    if not isinstance(found, dict):
        raise StateFileError(f"{path}: is not a JSON object; correct it, or remove it to start anew")
    return found


def write(path: str, value: Mapping[str, Any]) -> None:
    """Replace the file, so that readers find the old or the new one, whole, also after a power cut.

    The caller holds the file's lock (``locked``). Mode 0644: whoever asks may read it, as nginx's workers do.

    Raises:
        StateFileError: when it cannot be written; the old file is untouched.
    """
    target = Path(path)
    # One name for all writers, of which there is one at a time: what an interrupted one left is overwritten.
    new = target.with_name(f".{target.name}.new")
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, MODE)
        with open(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), MODE)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise StateFileError(f"{path}: cannot be written: {error}") from error


def sync_directory(path: Path) -> None:
    """Let what was created or renamed in a directory outlast a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(
    path: str,
    *,
    timeout_seconds: float = LOCK_SECONDS,
    clock: Callable[[], float] = monotonic,
    pause: Callable[[float], None] = sleep,
) -> Iterator[None]:
    """Hold the lock of the file at ``path``: read it, decide and write it inside.

    The lock is of the kernel's kind, on a file beside it, so it ends with its holder, whatever ends that.

    Raises:
        StateFileError: when the directory is not there, or another program has held the lock for ``timeout_seconds``.
    """
    target = Path(path)
    lock = target.with_name(f".{target.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateFileError(f"{path}: cannot be locked: {error}") from error
    try:
        deadline = clock() + timeout_seconds
        while not _lock(descriptor):
            if clock() >= deadline:
                raise StateFileError(
                    f"{path}: another program has held its lock for {timeout_seconds:g} seconds (fuser {lock})"
                )
            pause(LOCK_INTERVAL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
