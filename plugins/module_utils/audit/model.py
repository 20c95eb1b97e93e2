# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Items of the checklists, and what an audit says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..topology.model import Topology

SEEN_AT_MOST = 4
"""How many results an evidence quotes."""


class State(Enum):
    """What an audit says of an item."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    EVIDENCE_MISSING = "evidence_missing"


@dataclass(frozen=True)
class Found:
    """What a rule found: what was seen and where; where it did not pass, what would make it pass."""

    passed: bool
    evidence: str
    next_step: str = ""


@dataclass(frozen=True)
class Facts:
    """What rules look at: the report over all hosts (``health_report``), and the topology."""

    report: Mapping[str, Any]
    topology: Topology

    def proofs(self, word: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Results, each with its host, of checks that say in ``proves`` that they are about ``word``, or in ``part``.

        A part that is an application's name, or merely the type of the check, was not meant to say so.
        """
        return [
            (host, result)
            for host, part in (self.report.get("hosts") or {}).items()
            for result in part.get("results") or ()
            if word in (result.get("proves") or ()) or word == _told_part(result)
        ]


def _told_part(result: Mapping[str, Any]) -> str:
    part = str(result.get("part", ""))
    return "" if result.get("application") or part == result.get("type") else part


Rule = Callable[[Facts], Found]
"""An automatic rule. It never passes where nothing was seen."""
Exemption = Callable[[Topology], str]
"""Why an item does not apply to a stack; an empty text where it does."""
Place = tuple[str, str]
"""A host and an application that something has to be seen at; an empty name stands for any."""


@dataclass(frozen=True)
class Item:
    """One line of a guide's checklist.

    Either ``rule`` decides it, or the operator's evidence does: then ``needs`` says which, ``valid_days`` how long it
    counts, and ``seen_as`` which checks may stand for it. ``unless`` tells when it does not apply.
    """

    identity: str
    section: str
    text: str
    rule: Rule | None = None
    needs: str = ""
    valid_days: int = 365
    seen_as: str = ""
    unless: Exemption | None = None

    @property
    def guide(self) -> str:
        return self.identity.partition("-")[0]

    @property
    def kind(self) -> str:
        return "automatic" if self.rule else "evidence"


@dataclass(frozen=True)
class Judged:
    """An item with what the audit says of it."""

    item: Item
    state: State
    evidence: str
    next_step: str = ""

    def as_dict(self) -> dict[str, str]:
        return {
            "id": self.item.identity,
            "guide": self.item.guide,
            "section": self.item.section,
            "text": self.item.text,
            "kind": self.item.kind,
            "state": self.state.value,
            "evidence": self.evidence,
            "next_step": self.next_step,
        }


@dataclass(frozen=True)
class Audit:
    """What an audit says.

    ``automatic`` counts the items of the whole checklist that need no operator's evidence; ``guides`` are the titles.
    """

    items: tuple[Judged, ...]
    automatic: int
    guides: Mapping[str, str]

    @property
    def counts(self) -> dict[str, int]:
        states = [judged.state for judged in self.items]
        return {state.value: states.count(state) for state in State}

    def as_dict(self) -> dict[str, Any]:
        return {
            "counts": self.counts,
            "automatic": self.automatic,
            "guides": dict(self.guides),
            "items": [judged.as_dict() for judged in self.items],
        }


def quoted(results: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """What was seen and on which hosts, in one line that ends with the number of those left out."""
    lines = []
    for host, result in results:
        said = result["seen"] if result["status"] == "ok" else result["message"]
        lines.append(f"{host}: {result['name']}: {said}")
    return shortened(list(dict.fromkeys(lines)), "; ")


def shortened(texts: Sequence[str], separator: str = ", ") -> str:
    """Some texts, and how many there are besides."""
    more = len(texts) - SEEN_AT_MOST
    return separator.join(texts[:SEEN_AT_MOST]) + (f" and {more} more" if more > 0 else "")
