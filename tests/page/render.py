# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the fixture pages, to look at them: ``python -m tests.page.render FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from ansible_collections.slipway.stack.plugins.module_utils.health.page import page

from . import reports

TEMPLATE = Path(__file__).resolve().parents[2] / "playbooks" / "files" / "verify.html"
NAMES = ("healthy", "degraded", "failed", "big", "hostile")


def write(folder: Path, name: str) -> Path:
    """Render one fixture. Return where it lies."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.html"
    path.write_text(page(TEMPLATE.read_text(encoding="utf-8"), getattr(reports, name)()), encoding="utf-8")
    return path


if __name__ == "__main__":
    for fixture in NAMES:
        print(write(Path(sys.argv[1]), fixture))
