"""Findings carry what an operator needs and become one message."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.host.findings import (
    Finding,
    errors,
    from_mapping,
    render,
    warnings,
)

SKEW = Finding("error", "app1", "clock", "4.2 s ahead", "within 1 s", "synchronise the clock")
SMALL = Finding("warning", "app1", "memory", "512 MB", "at least 1024 MB", "add memory")
GROUP = Finding("error", "", "group shop", "0 hosts", "at least one host", "add a host to [shop]")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="error, warning"):
        Finding("fatal", "", "x", "y", "z", "w")


def test_plain_data_round_trips() -> None:
    assert from_mapping(SKEW.as_dict()) == SKEW


def test_plain_data_with_other_keys_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"missing: fix; unknown: remedy"):
        from_mapping({**{k: v for k, v in SKEW.as_dict().items() if k != "fix"}, "remedy": "x"})


def test_levels_are_told_apart() -> None:
    assert errors([SMALL, SKEW]) == (SKEW,)
    assert warnings([SMALL, SKEW]) == (SMALL,)


def test_no_findings_is_no_message() -> None:
    assert render([]) == ""


def test_one_message_names_everything_and_puts_errors_first() -> None:
    message = render([SMALL, SKEW, GROUP, SKEW])
    assert message.splitlines()[0] == "preflight: 2 errors, 1 warning; nothing was changed on any host."
    assert message.index("ERROR group shop on the inventory") < message.index("ERROR clock on app1")
    assert message.index("ERROR clock on app1") < message.index("WARNING memory on app1")
    assert message.count("ERROR clock on app1") == 1
    for finding in (SKEW, SMALL, GROUP):
        for part in (finding.variable, finding.received, finding.expected, finding.fix):
            assert part in message


def test_warnings_alone_do_not_claim_a_refusal() -> None:
    assert render([SMALL]).splitlines()[0] == "preflight: 0 errors, 1 warning."
