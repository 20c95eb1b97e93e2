# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A scenario without tests passes in Molecule: see here that each role has a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_scenario_that_tests(role: str) -> None:
    scenario = CHECKOUT / "molecule" / role
    assert (scenario / "molecule.yml").is_file()
    assert f"slipway.stack.{role}" in (scenario / "converge.yml").read_text()
    tests = sorted((scenario / "tests").glob("test_*.py"))
    assert any("def test_" in path.read_text() for path in tests)
