"""The checklist has every item of the guides once, and the page about it says the same."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.audit.checklist import AUTOMATIC, GUIDES, ITEMS

ROOT = Path(__file__).resolve().parents[5]
NUMBERS = {"S0": 9, "S1": 10, "S2": 13, "S3": 16, "S4": 10}


def test_every_item_once():
    wanted = [f"{guide}-{number}" for guide, last in NUMBERS.items() for number in range(1, last + 1)]
    assert [item.identity for item in ITEMS] == wanted
    assert len(ITEMS) == 58
    assert Counter(item.guide for item in ITEMS) == NUMBERS
    assert set(GUIDES) == set(NUMBERS)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.identity)
def test_an_item_is_looked_at_or_needs_evidence(item):
    assert bool(item.rule) is not bool(item.needs)
    assert item.text
    assert item.section
    assert item.kind == ("automatic" if item.rule else "evidence")


def test_the_page_lists_them():
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (S\d-\d+) \| (.*) \|$", page, re.MULTILINE))
    assert list(rows) == [item.identity for item in ITEMS]
    for item in ITEMS:
        text, kind, *_rest = rows[item.identity].split(" | ")
        assert text == item.text
        assert kind == (f"evidence, {item.valid_days} days" if item.needs else "looked at")
    assert f"**{AUTOMATIC} of 58**" in page


def test_words_that_stand_for_evidence_are_told():
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    for item in ITEMS:
        assert not item.seen_as or f"`{item.seen_as}`" in page
