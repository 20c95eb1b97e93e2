# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Only a process that has certainly ended is gone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.process import Process, gone, identify, parse


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_that_runs_is_there_and_one_that_ended_is_gone(child: subprocess.Popen[bytes]) -> None:
    process = identify(child.pid)
    assert process is not None
    assert not gone(process)
    child.kill()
    # Also before its parent has asked for its end.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert gone(process)
    child.wait()
    assert gone(process)


def test_another_process_with_its_number_is_not_it(child: subprocess.Popen[bytes]) -> None:
    process = identify(child.pid)
    assert process is not None
    assert gone(replace(process, started=process.started - 1))


@pytest.mark.parametrize("other", [{"boot": "other"}, {"pid_namespace": "pid:[1]"}])
def test_nothing_is_said_of_processes_elsewhere(child: subprocess.Popen[bytes], other: dict[str, str]) -> None:
    process = identify(child.pid)
    assert process is not None
    child.kill()
    child.wait()
    assert not gone(replace(process, **other))


def test_nothing_is_said_where_the_system_does_not_tell() -> None:
    assert identify(os.getpid(), proc="/nowhere") is None
    assert not gone(Process("host", "", "", 2**22 + 1, 1), proc="/nowhere")


def test_what_is_written_is_read() -> None:
    process = identify(os.getpid())
    assert process is not None
    assert parse(asdict(process)) == process


@pytest.mark.parametrize("raw", [None, {}, {"host": "a"}, {"host": "a", "boot": "b", "pid_namespace": "c", "pid": "x"}])
def test_what_is_no_process_is_none(raw: dict[str, str] | None) -> None:
    assert parse(raw) is None
