"""A program without a port, for the tests of the role: its heart beats, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
while not stopping.wait(0.5):
    Path(os.environ["HEARTBEAT_FILE"]).touch()
