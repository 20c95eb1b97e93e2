# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit for people: a table for a terminal, and a Markdown page to hand to an auditor."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from .checklist import GUIDES, ITEMS
from .judge import NONE_GIVEN
from .model import State

WORDS = {
    State.PASSED.value: "passed",
    State.FAILED.value: "failed",
    State.NOT_APPLICABLE.value: "not applicable",
    State.EVIDENCE_MISSING.value: "evidence missing",
}
_WIDTH = 110


def headline(audit: Mapping[str, Any]) -> str:
    """How many items ended in which way, and how many of the whole checklist are automatic."""
    counts = ", ".join(f"{audit['counts'][state]} {word}" for state, word in WORDS.items())
    return (
        f"{len(audit['items'])} items: {counts}. "
        f"{audit['automatic']} of all {len(ITEMS)} are looked at, the others need evidence."
    )


def _by_guide(audit: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    groups = [(guide, [item for item in audit["items"] if item["guide"] == guide]) for guide in GUIDES]
    return [(guide, items) for guide, items in groups if items]


def _passed(items: Sequence[Mapping[str, Any]]) -> str:
    applicable = [item for item in items if item["state"] != State.NOT_APPLICABLE.value]
    passed = sum(item["state"] == State.PASSED.value for item in applicable)
    return f"{passed} of {len(applicable)} passed"


def _wrapped(words: str, indent: int) -> list[str]:
    blank = " " * indent
    return textwrap.wrap(words, _WIDTH, initial_indent=blank, subsequent_indent=blank, break_on_hyphens=False)


def table(audit: Mapping[str, Any]) -> str:
    """The audit for a terminal: the counts, then each guide's items; what did not pass with what would make it."""
    lines = [headline(audit)]
    width = max(len(word) for word in WORDS.values())
    for guide, items in _by_guide(audit):
        lines += ["", f"{guide}  {GUIDES[guide]}: {_passed(items)}"]
        for item in items:
            lines.append(f"  {WORDS[item['state']].ljust(width)}  {item['id'].ljust(5)}  {item['text']}")
            if item["state"] == State.NOT_APPLICABLE.value:
                lines += _wrapped(item["evidence"], width + 11)
            elif item["state"] != State.PASSED.value:
                lines += _wrapped(item["evidence"], width + 11) if item["evidence"] != NONE_GIVEN else []
                lines += _wrapped(f"Next: {item['next_step']}", width + 11)
    return "\n".join(lines)


def markdown(audit: Mapping[str, Any], at: str) -> str:
    """The audit as a page: ``at`` tells when it was made."""
    lines = ["# Audit of the production checklists", "", f"Made at {at}." if at else "", "", headline(audit)]
    for guide, items in _by_guide(audit):
        lines += ["", f"## {guide}: {GUIDES[guide]}", "", _passed(items) + ".", ""]
        lines += ["| item | what | kind | state | evidence | next step |", "|---|---|---|---|---|---|"]
        for item in items:
            cells = (item["id"], item["text"], item["kind"], WORDS[item["state"]], item["evidence"], item["next_step"])
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that stays one cell: what hosts said may hold anything."""
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace("`", "\\`")
