"""Reads and writes of a folder that looks like /proc/sys."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.sysctl import client
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.client import Kernel
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.model import NO_SUCH_KEY, READ_ONLY, Change, Live


@pytest.fixture
def proc_sys(tmp_path: Path) -> Path:
    (tmp_path / "vm").mkdir()
    (tmp_path / "vm/swappiness").write_text("60\n")
    return tmp_path


def test_values_are_read_and_missing_keys_said(proc_sys: Path) -> None:
    assert Kernel(str(proc_sys)).read(["vm.swappiness", "vm.nothing", "vm.swappiness.deeper"]) == {
        "vm.swappiness": Live("60\n", True),
        "vm.nothing": Live(None, False),
        "vm.swappiness.deeper": Live(None, False),
    }


def test_what_is_applied_is_held(proc_sys: Path) -> None:
    assert Kernel(str(proc_sys)).apply([Change("vm.swappiness", "60", "1")]) == ()
    assert (proc_sys / "vm/swappiness").read_text() == "1\n"


def test_a_key_that_vanished_is_refused(proc_sys: Path) -> None:
    (proc_sys / "vm/swappiness").unlink()
    (proc_sys / "vm").rmdir()
    (refusal,) = Kernel(str(proc_sys)).apply([Change("vm.swappiness", "60", "1")])
    assert refusal.reason == NO_SUCH_KEY


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EINVAL, "the kernel answers: Invalid argument"),
        (errno.EROFS, READ_ONLY),
        (errno.EACCES, READ_ONLY),
        (errno.EPERM, READ_ONLY),
    ],
)
def test_why_a_write_failed_is_told(proc_sys: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(number, {errno.EINVAL: "Invalid argument"}.get(number, "no"))

    monkeypatch.setattr(client, "open", refuse, raising=False)
    (refusal,) = Kernel(str(proc_sys)).apply([Change("vm.swappiness", "60", "999")])
    assert (refusal.value, refusal.reason, refusal.clamped) == ("999", reason, False)


def test_a_value_that_the_kernel_changes_is_reported(proc_sys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(str(proc_sys))
    monkeypatch.setattr(kernel, "_write", lambda key, value: None)
    (refusal,) = kernel.apply([Change("vm.swappiness", "60", "1")])
    assert (refusal.reason, refusal.clamped) == ("the kernel holds 60 instead", True)
