# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the command line refuses before it touches anything, and what it passes on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from testbed import access, bed, cli, engine
from testbed.errors import BedError


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[str] | None, bool]]:
    calls: list[tuple[Sequence[str] | None, bool]] = []
    monkeypatch.setattr(bed, "down", lambda fleets, purge: calls.append((fleets, purge)))
    return calls


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo"], (["demo"], False)),
        (["demo", "integration"], (["demo", "integration"], False)),
        (["--all"], (None, False)),
        (["--all", "--purge"], (None, True)),
    ],
)
def test_down_removes_what_it_is_told(
    removed: list[tuple[Sequence[str] | None, bool]],
    arguments: list[str],
    expected: tuple[Sequence[str] | None, bool],
) -> None:
    assert cli.main(["down", *arguments]) == 0
    assert removed == [expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either NAME..., or --all"),
        (["demo", "--all"], "either NAME..., or --all"),
        (["demo", "--purge"], "it goes only with --all, not with demo"),
    ],
)
def test_down_refuses_what_is_ambiguous(
    removed: list[tuple[Sequence[str] | None, bool]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert cli.main(["down", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert removed == []


def test_a_missing_ssh_client_that_can_not_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    with pytest.raises(BedError, match="openssh-client is missing on this machine"):
        access.require_client()
    assert not engine.can_install()
