# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The firewall has to be loaded, closed, and there again after a boot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Completed, Tools

RULES = """table inet slipway {
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		tcp dport { 22 } accept comment "ssh"
		counter name "dropped" drop
	}
}
"""
OPEN = RULES.replace("policy drop", "policy accept")


@pytest.mark.parametrize(
    ("rules", "enabled", "status", "words"),
    [
        (RULES, True, Status.OK, "2 rules that let in"),
        (RULES, False, Status.WARNING, "not enabled"),
        (OPEN, True, Status.CRITICAL, "lets in what no rule names"),
        (None, True, Status.CRITICAL, "not loaded: every port is open"),
        (None, False, Status.CRITICAL, "not loaded"),
    ],
)
def test_judges(make_check: Callable[..., Any], rules: str | None, enabled: bool, status: Status, words: str) -> None:
    outcome = make_check(type="firewall").judge(rules, enabled)
    assert outcome.status is status
    assert words in outcome.message
    assert (outcome.next_step == "") is (status is Status.OK)


def tools(nft: Completed) -> Tools:
    def run(argv: Sequence[str], timeout: float) -> Completed:
        return nft if argv[0] == "nft" else Completed(0, "enabled\n", "")

    return Tools(run=run)


def test_looks_at_what_the_kernel_has(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    check = make_check(type="firewall")
    assert look(check, tools(Completed(0, RULES, ""))).status is Status.OK
    gone = look(check, tools(Completed(1, "", "Error: No such file or directory")))
    assert gone.status is Status.CRITICAL


def test_without_the_right_to_look_nothing_is_said(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with pytest.raises(CouldNotRun, match="Operation not permitted"):
        look(make_check(type="firewall"), tools(Completed(1, "", "Operation not permitted (you must be root)")))
