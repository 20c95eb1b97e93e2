# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the collection importable by its full name, wherever the checkout lies."""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTIONS = CHECKOUT / "build" / "collections"
LINK = COLLECTIONS / "ansible_collections" / "slipway" / "stack"

if not LINK.exists():
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.symlink_to("../../../..", target_is_directory=True)

sys.path.insert(0, str(COLLECTIONS))
