# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps on a host, with a systemctl that answers from a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.app import instances_host as host
from ansible_collections.slipway.stack.plugins.module_utils.app.instances import Action, Stopped

PROBE = host.Probe("running", "127.0.0.1", "/", "", 30, timeout_seconds=60)
LAST_LINES = "2026-01-01T00:00:00+0000 host shop[1]: no configuration"


class Systemctl:
    """Each ``systemctl show`` takes the next of the given answers, and the last one for ever."""

    def __init__(self, *answers: Mapping[str, str]) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []

    def __call__(self, argv: Sequence[str]) -> tuple[int, str, str]:
        self.calls.append(list(argv))
        if argv[0] == "journalctl":
            return 0, f"{LAST_LINES}\n", ""
        if argv[1] != "show":
            return 0, "", ""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        block = "".join(f"{name}={value}\n" for name, value in answer.items())
        return 0, "\n".join(block for _unit in argv[3:]), ""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.time, "sleep", lambda _seconds: None)


def state(active: str, sub: str, restarts: int = 0, **more: str) -> dict[str, str]:
    return {"ActiveState": active, "SubState": sub, "NRestarts": str(restarts), "Result": "exit-code", **more}


def test_an_instance_that_ends_three_times_is_not_waited_for_any_longer() -> None:
    run = Systemctl(
        state("active", "running", 7),
        state("activating", "auto-restart", 7),
        state("activating", "auto-restart", 8),
        state("activating", "auto-restart", 9),
    )
    with pytest.raises(host.InstanceProblem) as caught:
        host.prove(host.Systemd(run, "slipway-shop"), PROBE, 3000)
    assert str(caught.value) == (
        "slipway-shop@3000.service is not ready: it ended 3 times while it was waited for;"
        " activating (auto-restart), last result exit-code, 9 restarts; see: journalctl -u slipway-shop@3000.service\n"
        + LAST_LINES
    )


def test_earlier_restarts_of_an_instance_that_runs_are_no_trouble() -> None:
    run = Systemctl(state("active", "running", 17, ExecMainStartTimestampMonotonic="1"))
    assert host.prove(host.Systemd(run, "slipway-shop"), PROBE, 3000).ready


def test_stopping_is_one_call_and_tells_how_each_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.time, "monotonic", lambda: 1.0)
    run = Systemctl(state("inactive", "dead", InactiveEnterTimestampMonotonic="2500000"))
    stopped = host.stop_all(host.Systemd(run, "slipway-shop"), [Action("stop", 3000), Action("stop", 3001)])
    assert stopped == {3000: Stopped(1.5, False, "exit-code"), 3001: Stopped(1.5, False, "exit-code")}
    assert [call[1:] for call in run.calls if call[1] == "stop"] == [
        ["stop", "--quiet", "slipway-shop@3000.service", "slipway-shop@3001.service"]
    ]


def test_an_instance_that_is_not_down_after_it_was_stopped_is_an_error() -> None:
    run = Systemctl(state("active", "running"))
    with pytest.raises(host.InstanceProblem, match=r"slipway-shop@3000\.service was told to stop and is active"):
        host.stop_all(host.Systemd(run, "slipway-shop"), [Action("stop", 3000)])
