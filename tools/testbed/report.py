"""Progress lines on standard output, each with the seconds since the command began."""

from __future__ import annotations

import threading
import time

_began = time.monotonic()
_lock = threading.Lock()


def say(text: str) -> None:
    """Print one progress line. Safe to call from several threads."""
    with _lock:
        print(f"[{time.monotonic() - _began:6.1f}s] {text}", flush=True)
