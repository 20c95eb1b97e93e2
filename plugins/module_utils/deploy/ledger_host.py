# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger on this machine: read it, append to it."""

from __future__ import annotations

import os
from pathlib import Path

from .. import state_file
from ..state_file import StateFileError
from .fence import DIRECTORY, make_directory
from .ledger import Entry, Ledger, LedgerError, parse, render

LEDGER_FILE = f"{DIRECTORY}/ledger.jsonl"


def read(path: str = LEDGER_FILE) -> Ledger:
    """Return what the ledger holds; nothing when there is none.

    Raises:
        LedgerError: when it cannot be read.
    """
    try:
        return parse(Path(path).read_bytes().decode("utf-8", "replace"))
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read: {error}") from error


def append(entry: Entry, path: str = LEDGER_FILE, *, check_only: bool = False) -> bool:
    """Append the entry as a whole line that outlasts a power cut, unless it is there; return whether it was not.

    A last line that was cut off is removed first. With ``check_only`` nothing is written.

    Raises:
        LedgerError: when the entry cannot be written; the ledger is as it was.
    """
    line = render(entry).encode()
    if check_only:
        return not _has(entry, path)
    try:
        make_directory(path)
        with state_file.locked(path):
            if _has(entry, path):
                return False
            _append(path, line)
    except StateFileError as error:
        raise LedgerError(str(error)) from error
    except OSError as error:
        raise LedgerError(f"{path}: cannot be written: {error}") from error
    return True


def _has(entry: Entry, path: str) -> bool:
    return any(entry.same(other) for other in read(path).entries)


def _append(path: str, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, state_file.MODE)
    with open(descriptor, "r+b", buffering=0) as stream:
        os.fchmod(descriptor, state_file.MODE)
        # The end of the last whole line.
        end = stream.read().rfind(b"\n") + 1
        stream.seek(end)
        stream.truncate()
        try:
            if stream.write(line) != len(line):
                raise OSError(28, "No space left on device")
            os.fsync(descriptor)
        except OSError:
            stream.truncate(end)
            raise
    state_file.sync_directory(Path(path).parent)
