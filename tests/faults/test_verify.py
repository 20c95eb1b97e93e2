"""`verify` finds each fault of a table, names it on the right host with its level and a next step, and nothing else."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.verify_faults import BATCHES, Deed, Fault
from tests.support.deploy import one_of
from tests.support.say import say
from tests.support.stack import ROOT, Stack

OVERLAY = ROOT / "tests" / "faults" / "inventory"
LATE_PYTHON = r"""#!/bin/sh
[ -e /run/slipway-test-late ] && exec faketime -f -60s /usr/bin/python3 "$@"
exec /usr/bin/python3 "$@"
"""
RECOVERY_SECONDS = 90

Verify = Callable[[], dict[str, Any]]


def _do(stack: Stack, host: str, deed: Deed) -> None:
    if callable(deed):
        deed(stack)
    else:
        stack.shell(host, deed)


def _lines(report: dict[str, Any]) -> str:
    return "\n".join(
        f"  {p['host']}: {p['name']}: {p['status']}: {p['message']} [next: {p['next_step']}]"
        for p in report["problems"]
    )


def _await_healthy(verify: Verify) -> None:
    """Until all passes; what happened lately is told for some seconds more."""
    end = time.monotonic() + RECOVERY_SECONDS
    while (report := verify())["score"] != 100:
        assert time.monotonic() < end, f"not healthy within {RECOVERY_SECONDS} s:\n{_lines(report)}"
    assert report["verdict"] == "healthy"


@pytest.fixture(scope="module")
def verify(demo: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verify]:
    """Runs `verify` with the operator's own checks that the table speaks of, and returns its report."""
    # Other tests killed instances; an operator who knows why acknowledges it so.
    for host in demo.groups["shop"]:
        demo.shell(host, "systemctl reset-failed 'slipway-*'")
    demo.shell("data1", "mkdir -p /var/backups/slipway && touch /var/backups/slipway/shop-1.dump")
    demo.shell("app2", "echo '192.0.2.1 backup.slipway.test' >> /etc/hosts")
    demo.shell("data2", "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y faketime > /dev/null")
    demo.shell("data2", f"printf '%s' '{LATE_PYTHON}' > /usr/local/bin/slipway-test-python")
    demo.shell("data2", "chmod 0755 /usr/local/bin/slipway-test-python")
    directory: Path = tmp_path_factory.mktemp("reports")

    def run() -> dict[str, Any]:
        options = {"slipway_report_directory": str(directory), "slipway_verify_fail_on": "never"}
        done = demo.playbook("verify", "-i", str(OVERLAY), "-e", json.dumps(options))
        assert done.status == 0, done.output
        return dict(json.loads((directory / "verify.json").read_text()))

    _await_healthy(run)
    yield run
    demo.shell("data1", "rm -r /var/backups/slipway")
    demo.shell("app2", "sed '/backup.slipway.test/d' /etc/hosts > /run/hosts && cat /run/hosts > /etc/hosts")


def _is_named(fault: Fault, problem: dict[str, Any]) -> bool:
    wanted = fault.found
    return (
        problem["host"] == wanted.host
        and problem["status"] == wanted.level
        and re.search(rf"\A{wanted.check}\Z", problem["name"]) is not None
        and re.search(wanted.says, problem["message"]) is not None
        and re.search(wanted.next_step, problem["next_step"]) is not None
    )


def _is_expected(faults: tuple[Fault, ...], problem: dict[str, Any]) -> bool:
    line = f"{problem['host']}: {problem['name']}"
    lines = [line for fault in faults for line in (f"{fault.found.host}: {fault.found.check}", *fault.also)]
    return any(re.search(rf"\A{pattern}\Z", line) for pattern in lines)


@pytest.mark.parametrize("faults", one_of(BATCHES.values()), ids=BATCHES)
def test_faults_are_found_and_named_and_gone_when_mended(demo, whole, verify, faults):
    # Whatever goes wrong in between, everything is mended.
    with ExitStack() as mending:
        for fault in faults:
            mending.callback(_do, demo, fault.found.host, fault.mend)
            _do(demo, fault.found.host, fault.break_it)
        report = verify()
    missed = [fault.name for fault in faults if not any(_is_named(fault, problem) for problem in report["problems"])]
    others = [problem for problem in report["problems"] if not _is_expected(faults, problem)]
    say(f"did: {'; '.join(fault.name for fault in faults)}")
    say(f"saw: {len(faults) - len(missed)} of {len(faults)} named, {len(report['problems'])} lines")
    assert not missed, f"{missed} not named as wanted in:\n{_lines(report)}"
    assert not others, f"named, but not broken:\n{_lines({'problems': others})}"
    assert report["verdict"] == "failed"
    _await_healthy(verify)
