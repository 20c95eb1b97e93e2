# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal's structured fields."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.journal import UNIT_FAILED, entries, parse
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Completed, Deadline, Tools

LINE = '{"__REALTIME_TIMESTAMP":"1795531465773928","UNIT":"a.service","MESSAGE_ID":"x","UNIT_RESULT":"signal"}'


def tools_that(completed: Completed, asked: list[list[str]]) -> Tools:
    def run(argv: Sequence[str], timeout: float) -> Completed:
        asked.append(list(argv))
        return completed

    return Tools(run=run, clock=lambda: 0.0)


def test_asks_for_what_systemd_said_of_a_unit() -> None:
    asked: list[list[str]] = []
    tools = tools_that(Completed(0, f"{LINE}\n", ""), asked)
    found = entries(tools, Deadline.after(tools.clock, 5), 1000.7, [UNIT_FAILED, "y"], "a.service")
    assert [(entry.at, entry.message_id, entry.unit) for entry in found] == [(1795531465.773928, "x", "a.service")]
    assert found[0].fields["UNIT_RESULT"] == "signal"
    assert asked[0][-4:] == ["_PID=1", f"MESSAGE_ID={UNIT_FAILED}", "MESSAGE_ID=y", "UNIT=a.service"]
    assert "--since=@1000" in asked[0]


def test_no_entries_are_no_error() -> None:
    tools = tools_that(Completed(1, "", ""), [])
    assert entries(tools, Deadline.after(tools.clock, 5), 0, ["x"]) == []


def test_a_journal_that_cannot_be_read_could_not_run() -> None:
    tools = tools_that(Completed(1, "", "Failed to open journal\n"), [])
    with pytest.raises(CouldNotRun, match="Failed to open journal"):
        entries(tools, Deadline.after(tools.clock, 5), 0, ["x"])


@pytest.mark.parametrize("line", ["-- No entries --", "{", "[]", "{}", '{"__REALTIME_TIMESTAMP": null}', ""])
def test_leaves_out_what_is_no_entry(line: str) -> None:
    assert len(parse(f"{LINE}\n{line}\n")) == 1
