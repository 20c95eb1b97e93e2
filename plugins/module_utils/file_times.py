# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When files came to be as they are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def changed_at(paths: Iterable[str]) -> float:
    """Seconds since 1970 of the newest of these files, 0 where none is there; ctime, since files are renamed in."""
    return max((path.stat().st_ctime for path in map(Path, paths) if path.exists()), default=0.0)
