"""Read a file again and again until another file appears: read.py FILE STOP. Prints how often; fails on any error."""

from __future__ import annotations

import sys
import time
from pathlib import Path

count = 0
give_up = time.monotonic() + 600
while not Path(sys.argv[2]).exists() and time.monotonic() < give_up:
    Path(sys.argv[1]).read_text(encoding="utf-8")
    count += 1
print(count)
