# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit: each item held against what was seen and what the operator says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from ..topology.model import Topology
from .checklist import AUTOMATIC, GUIDES
from .evidence import EVIDENCE, NOT_APPLICABLE, EvidenceError, Said, read_said
from .model import Audit, Facts, Item, Judged, State, quoted

FAIL_ON = ("failed", "evidence_missing", "never")
NONE_GIVEN = "none is given"


def judge(
    checklist: Sequence[Item],
    report: Mapping[str, Any],
    topology: Topology,
    evidence: Any,
    not_applicable: Any,
    today: date,
) -> Audit:
    """Judge every item. Raises EvidenceError where the operator's words cannot be read.

    ``report`` is what ``health_report`` returns; ``evidence`` and ``not_applicable`` are the variables of an inventory.
    """
    said = read_said(evidence, not_applicable, today)
    facts = Facts(report, topology)
    return Audit(tuple(_judged(item, facts, said, today) for item in checklist), AUTOMATIC, GUIDES)


def _judged(item: Item, facts: Facts, said: Said, today: date) -> Judged:
    reason = said.not_applicable.get(item.identity, "")
    if reason:
        return Judged(item, State.NOT_APPLICABLE, f"{reason} ({NOT_APPLICABLE})")
    exempt = item.unless(facts.topology) if item.unless else ""
    if exempt:
        return Judged(item, State.NOT_APPLICABLE, exempt)
    if item.rule:
        found = item.rule(facts)
        return Judged(item, State.PASSED if found.passed else State.FAILED, found.evidence, found.next_step)
    return _from_checks(item, facts) or _from_operator(item, said, today)


def _from_checks(item: Item, facts: Facts) -> Judged | None:
    """What checks of the operator's own say of an item that needs evidence, where there are any."""
    words = [word for word in (item.identity, item.seen_as) if word]
    proofs = list({id(result): (host, result) for word in words for host, result in facts.proofs(word)}.values())
    if not proofs:
        return None
    bad = [(host, result) for host, result in proofs if result["status"] != "ok"]
    steps = dict.fromkeys(result["next_step"] for _host, result in bad if result["next_step"])
    return Judged(item, State.FAILED if bad else State.PASSED, quoted(bad or proofs), "; ".join(steps))


def _from_operator(item: Item, said: Said, today: date) -> Judged:
    given = said.evidence.get(item.identity)
    if given is None:
        return Judged(item, State.EVIDENCE_MISSING, NONE_GIVEN, _wanted(item))
    if given.last_day() < today:
        stale = f"{given}, which counted until {given.last_day().isoformat()}"
        return Judged(item, State.EVIDENCE_MISSING, stale, f"renew it: {_wanted(item)}")
    return Judged(item, State.PASSED, f"{given}, valid until {given.last_day().isoformat()}")


def _wanted(item: Item) -> str:
    return f"give {EVIDENCE}.{item.identity} with by, date and what: {item.needs} (valid for {item.valid_days} days)"


def chosen(checklist: Sequence[Item], guides: Any) -> list[Item]:
    """The items of some guides, or of all where none is named. Raises EvidenceError for guides that do not exist."""
    names = [guides] if isinstance(guides, str) else list(guides or GUIDES)
    problems = [
        f"slipway_audit_guides: {name!r} is no guide; expected some of {', '.join(GUIDES)}"
        for name in names
        if name not in GUIDES
    ]
    if problems:
        raise EvidenceError(problems)
    return [item for item in checklist if item.guide in names]


def fails(counts: Mapping[str, int], fail_on: str) -> bool:
    """Whether an audit with these counts is bad enough. Raises ValueError for what ``fail_on`` cannot be."""
    if fail_on not in FAIL_ON:
        raise ValueError(f"slipway_audit_fail_on: {fail_on!r}; expected one of {', '.join(FAIL_ON)}")
    if fail_on == "never":
        return False
    missing = counts[State.EVIDENCE_MISSING.value] if fail_on == "evidence_missing" else 0
    return counts[State.FAILED.value] + missing > 0
