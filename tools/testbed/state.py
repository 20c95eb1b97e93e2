"""Where the test bed keeps its private files, and the lock that keeps two runs apart."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .report import say

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT = REPOSITORY / "build" / "testbed"
# What lies beside the code and goes into the images.
FILES = Path(__file__).resolve().parent / "files"


def fleet_folder(fleet: str) -> Path:
    """Return the private folder of a fleet: key, known hosts, inventory."""
    return ROOT / fleet


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """Hold the lock of all test beds of this user, whichever checkout they run from.

    It covers what they share: starting the engine, building images, choosing networks and the package cache.
    """
    path = Path(tempfile.gettempdir()) / f"slipway-testbed-{os.getuid()}.lock"
    with open(path, "w", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another test bed run to finish its preparations")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
