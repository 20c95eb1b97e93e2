"""From what a host has to what it should have: never a new rule without a timer, never a file without a proof."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.firewall.plan import (
    Boot,
    Current,
    Wanted,
    plan,
    plan_removal,
)
from hypothesis import given
from hypothesis import strategies as st

BOOT = Boot("rules", "unit", True)
WANTED = Wanted("listed", BOOT)
RIGHT = Current("listed", BOOT)


@pytest.mark.parametrize(
    ("current", "steps"),
    [
        (RIGHT, ()),
        (Current(), ("try",)),
        (replace(RIGHT, running=None), ("try",)),
        (replace(RIGHT, running="by hand"), ("try",)),
        (replace(RIGHT, boot=replace(BOOT, rules=None)), ("try",)),
        (replace(RIGHT, boot=replace(BOOT, rules="others")), ("try",)),
        (replace(RIGHT, boot=replace(BOOT, unit=None)), ("boot",)),
        (replace(RIGHT, boot=replace(BOOT, enabled=False)), ("boot",)),
        (replace(RIGHT, running="tried", pending=True), ("revert", "try")),
        (replace(RIGHT, pending=True), ("revert", "try")),
    ],
)
def test_steps(current, steps):
    assert plan(current, WANTED) == steps


def test_where_nft_cannot_be_asked_the_rules_are_thought_to_differ():
    assert plan(Current(), Wanted(None, BOOT)) == ("try",)


@pytest.mark.parametrize(
    ("current", "steps"),
    [
        (Current(), ()),
        (Current(running="listed"), ("remove",)),
        (Current(boot=Boot(enabled=True)), ("remove",)),
        (Current(pending=True), ("remove",)),
    ],
)
def test_steps_of_a_removal(current, steps):
    assert plan_removal(current) == steps


texts = st.sampled_from([None, "a", "b"])
boots = st.builds(Boot, texts, texts, st.booleans())
currents = st.builds(Current, texts, boots, st.booleans())


def after(current: Current, wanted: Wanted, steps: tuple[str, ...]) -> Current:
    """The host once the steps are done and what was tried is confirmed."""
    if "try" in steps:
        return Current(wanted.running, wanted.boot)
    if "boot" in steps:
        return replace(current, boot=wanted.boot)
    return current


@given(currents, st.sampled_from(["a", "b"]), st.sampled_from(["a", "b"]))
def test_once_done_there_is_nothing_more_to_do(current, running, rules):
    wanted = Wanted(running, Boot(rules, "unit", True))
    done = after(current, wanted, plan(current, wanted))
    assert plan(done, wanted) == ()


@given(currents, boots)
def test_rules_that_differ_are_always_tried_first(current, boot):
    wanted = Wanted("new", boot)
    assert "try" in plan(current, wanted)
