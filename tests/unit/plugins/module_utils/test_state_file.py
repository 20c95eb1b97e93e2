"""Files that are there as a whole or not at all, written by one at a time."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.slipway.stack.plugins.module_utils import state_file
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError


def test_what_was_written_is_read_by_everybody(tmp_path):
    path = str(tmp_path / "shop.json")
    assert state_file.read(path) == {}
    old = os.umask(0o077)
    try:
        state_file.write(path, {"members": {"bücher:1": {"state": "out"}}})
    finally:
        os.umask(old)
    assert state_file.read(path) == {"members": {"bücher:1": {"state": "out"}}}
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["shop.json"]


def test_what_an_interrupted_writer_left_is_no_obstacle(tmp_path):
    (tmp_path / ".shop.json.new").write_text('{"members": "half and longer than what comes')
    state_file.write(str(tmp_path / "shop.json"), {})
    assert json.loads((tmp_path / "shop.json").read_text()) == {}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "shop.json"
    state_file.write(str(path), {"a": 1})

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateFileError, match=r"shop\.json: cannot be written: .*No space left"):
        state_file.write(str(path), {"a": 2})
    assert state_file.read(str(path)) == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\udcff"])
def test_a_file_that_is_none_is_refused_by_its_name(tmp_path, text):
    path = tmp_path / "shop.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StateFileError, match=r"shop\.json: "):
        state_file.read(str(path))


def test_there_is_one_writer_at_a_time(tmp_path):
    path, now = str(tmp_path / "shop.json"), [0.0]

    def pause(seconds):
        now[0] += seconds

    with state_file.locked(path):
        with (
            pytest.raises(StateFileError, match="another program has held its lock for 3 seconds"),
            state_file.locked(path, timeout_seconds=3, clock=lambda: now[0], pause=pause),
        ):
            pass
        assert 3 <= now[0] < 4
    with state_file.locked(path, timeout_seconds=0):
        pass


def test_a_directory_that_is_missing_is_named(tmp_path):
    with (
        pytest.raises(StateFileError, match=r"none/shop\.json: cannot be locked"),
        state_file.locked(str(tmp_path / "none" / "shop.json")),
    ):
        pass
