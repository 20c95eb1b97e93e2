# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run that lost the lease may not change a host, and two do not at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError, fenced, read


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "deploy" / "fence")


def test_a_higher_number_is_remembered_and_a_lower_one_refused(path: str) -> None:
    for number in (3, 3, 7):
        with fenced(number, path=path):
            # Known before anything is changed.
            assert read(path) == number
    with (
        pytest.raises(
            FenceError, match=r"fence: 6 is lower than 7, .*another run took the lease\. Nothing was changed"
        ),
        fenced(6, path=path),
    ):
        pytest.fail("changed")
    assert read(path) == 7


def test_without_a_number_nothing_is_locked_or_written(path: str) -> None:
    with fenced(None, path=path):
        assert not Path(path).parent.exists()


def test_check_mode_only_checks(path: str) -> None:
    with fenced(3, check_only=True, path=path):
        assert not Path(path).parent.exists()
    with fenced(3, path=path), fenced(5, check_only=True, path=path):
        assert read(path) == 3
    with pytest.raises(FenceError, match="fence: 2 is lower than 3"), fenced(2, check_only=True, path=path):
        pytest.fail("changed")


def test_two_at_once_wait_for_each_other(path: str) -> None:
    with (
        fenced(3, path=path),
        pytest.raises(FenceError, match=r"fence: 4: .*another program has held its lock for 0 seconds"),
        fenced(4, 0, path=path),
    ):
        pytest.fail("changed")
    assert read(path) == 3
    with fenced(4, 0, path=path):
        assert read(path) == 4


def test_what_is_done_inside_may_fail_and_frees_it(path: str) -> None:
    with pytest.raises(ValueError, match="inside"), fenced(3, path=path):
        raise ValueError("inside")
    with fenced(3, 0, path=path):
        pass


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_that_no_lease_has_is_refused(path: str, number: int) -> None:
    with (
        pytest.raises(FenceError, match=rf"fence: {number}; expected the number of a lease"),
        fenced(number, path=path),
    ):
        pytest.fail("changed")


@pytest.mark.parametrize("held", ['{"fence": "7"}', '{"fence": true}', "7", "{"])
def test_a_damaged_file_is_named(path: str, held: str) -> None:
    Path(path).parent.mkdir()
    Path(path).write_text(held)
    with pytest.raises(FenceError, match=r"deploy/fence: "), fenced(9, path=path):
        pytest.fail("changed")


def test_the_file_can_be_read_by_all(path: str) -> None:
    with fenced(9, path=path):
        pass
    assert json.loads(Path(path).read_text()) == {"fence": 9}
    assert Path(path).stat().st_mode & 0o777 == 0o644


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "deploy").write_text("")
    with (
        pytest.raises(FenceError, match=r"deploy/fence: its directory cannot be created: .*become: true"),
        fenced(9, path=str(tmp_path / "deploy" / "fence")),
    ):
        pytest.fail("changed")
