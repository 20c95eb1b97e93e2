"""Entry point of ``python tools/monitor``."""

from __future__ import annotations

import sys
from pathlib import Path

# Run as a folder, Python puts the folder itself first on the path; the package needs its parent there.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from monitor.cli import main

if __name__ == "__main__":
    sys.exit(main())
