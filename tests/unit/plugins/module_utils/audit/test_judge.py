"""What the operator says: evidence and its age, what does not apply, and what is refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.audit.checklist import AUTOMATIC, BY_ID, ITEMS
from ansible_collections.slipway.stack.plugins.module_utils.audit.evidence import EvidenceError
from ansible_collections.slipway.stack.plugins.module_utils.audit.judge import chosen, fails, judge
from ansible_collections.slipway.stack.plugins.module_utils.audit.report import headline, markdown, table
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.audit.stacks import report, result, stack
from hypothesis import given
from hypothesis import strategies as st

TODAY = date(2026, 11, 24)
WHOLE, TOPOLOGY = stack()
TRAINING = {"by": "Ana Lopez", "date": "2026-11-01", "what": "training of the on-call team"}


def judged(identity, evidence=None, not_applicable=None, seen=WHOLE, today=TODAY):
    (one,) = judge([BY_ID[identity]], seen, TOPOLOGY, evidence, not_applicable, today).items
    return one


@pytest.mark.parametrize("day", ["2026-11-01", date(2026, 11, 1), datetime(2026, 11, 1, 9)])
def test_evidence_passes_and_is_quoted(day):
    one = judged("S1-10", {"S1-10": {**TRAINING, "date": day, "link": "https://wiki.example.org/training"}})
    assert one.state.value == "passed"
    for word in ("Ana Lopez", "2026-11-01", "training of", "https://wiki", "valid until 2027-11-01"):
        assert word in one.evidence


def test_without_evidence_it_is_missing_and_says_which():
    one = judged("S1-10")
    assert one.state.value == "evidence_missing"
    assert "slipway_audit_evidence.S1-10" in one.next_step


@given(age=st.integers(0, 800), days=st.integers(1, 700))
def test_evidence_counts_until_its_last_day(age, days):
    evidence = {"S1-10": {**TRAINING, "date": TODAY - timedelta(days=age), "valid_days": days}}
    assert judged("S1-10", evidence).state.value == ("passed" if age <= days else "evidence_missing")


def test_stale_evidence_is_shown_and_to_be_renewed():
    one = judged("S0-6", {"S0-6": {**TRAINING, "date": "2026-01-01"}})
    assert one.state.value == "evidence_missing"
    assert "counted until 2026-04-01" in one.evidence
    assert one.next_step.startswith("renew it")


def test_what_does_not_apply_has_its_reason():
    one = judged("S2-12", None, {"S2-12": "one fixed\nserver"})
    assert one.state.value == "not_applicable"
    assert "one fixed server" in one.evidence


@pytest.mark.parametrize("status", ["ok", "critical"])
@pytest.mark.parametrize(
    ("identity", "word"), [("S3-9", "S3-9"), ("S3-9", "websocket_authentication"), ("S2-8", "load_test")]
)
def test_a_check_of_the_operators_own_decides_before_evidence(identity, word, status):
    own = {**result("own", "websocket", "shop", "shop", [word]), "status": status, "message": "let in"}
    seen = report({"edge1": [own]})
    one = judged(identity, {identity: TRAINING}, seen=seen)
    assert one.state.value == ("passed" if status == "ok" else "failed")
    assert one.evidence.startswith("edge1: own")


@pytest.mark.parametrize(
    ("evidence", "not_applicable", "words"),
    [
        ({"S1-11": TRAINING}, None, ["slipway_audit_evidence.S1-11", "no item", "did you mean S1-1"]),
        ({"S0-7": TRAINING}, None, ["slipway_audit_evidence.S0-7", "is looked at"]),
        ({"S1-10": "done"}, None, ["slipway_audit_evidence.S1-10", "mapping with by, date, what"]),
        ({"S1-10": {"by": "Ana"}}, None, ["S1-10.date: is missing", "S1-10.what: is missing"]),
        ({"S1-10": {**TRAINING, "by": " "}}, None, ["S1-10.by"]),
        ({"S1-10": {**TRAINING, "by": 5}}, None, ["S1-10.by", "a text"]),
        ({"S1-10": {**TRAINING, "date": "2026-11-25"}}, None, ["S1-10.date", "yet to come"]),
        ({"S1-10": {**TRAINING, "date": "1.11.2026"}}, None, ["S1-10.date", "2026-11-01"]),
        ({"S1-10": {**TRAINING, "valid_days": 0}}, None, ["S1-10.valid_days", "1 to 3650"]),
        ({"S1-10": {**TRAINING, "valid_days": True}}, None, ["S1-10.valid_days"]),
        ({"S1-10": {**TRAINING, "vaild_days": 5}}, None, ["S1-10.vaild_days", "did you mean valid_days"]),
        ({"S1-10": {"by": "Ana", True: "2026-11-01", "what": "x"}}, None, ["S1-10.True", "did you mean date"]),
        (["S1-10"], None, ["slipway_audit_evidence: ['S1-10']", "mapping"]),
        (None, {"S2-12": ""}, ["slipway_audit_not_applicable.S2-12", "the reason"]),
        (None, {"S2-12": True}, ["slipway_audit_not_applicable.S2-12", "the reason"]),
        (None, {"S9-1": "no"}, ["slipway_audit_not_applicable.S9-1"]),
        ({"S1-10": TRAINING}, {"S1-10": "no team"}, ["slipway_audit_not_applicable.S1-10", "keep one"]),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(evidence, not_applicable, words):
    with pytest.raises(EvidenceError) as caught:
        judged("S1-10", evidence, not_applicable)
    for word in words:
        assert word in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(EvidenceError) as caught:
        judged("S1-10", {"S1-10": {}, "S7-1": {}}, {"S2-12": None})
    assert len(caught.value.problems) == 5


def test_evidence_of_a_guide_that_is_not_asked_for_is_still_read():
    with pytest.raises(EvidenceError):
        judge(chosen(ITEMS, ["S0"]), WHOLE, TOPOLOGY, {"S1-10": {}}, None, TODAY)


@pytest.mark.parametrize(("guides", "count"), [(None, 58), ([], 58), (["S0"], 9), ("S3", 16), (["S3", "S0"], 25)])
def test_guides(guides, count):
    assert len(chosen(ITEMS, guides)) == count


def test_unknown_guides_are_refused():
    with pytest.raises(EvidenceError, match=r"slipway_audit_guides: 'S5'.*S0, S1, S2, S3, S4"):
        chosen(ITEMS, ["S5"])


@pytest.mark.parametrize(
    ("failed", "missing", "fail_on", "bad"),
    [
        (0, 0, "failed", False),
        (1, 0, "failed", True),
        (0, 1, "failed", False),
        (0, 1, "evidence_missing", True),
        (1, 0, "evidence_missing", True),
        (1, 1, "never", False),
    ],
)
def test_fails(failed, missing, fail_on, bad):
    counts = {"passed": 3, "failed": failed, "not_applicable": 0, "evidence_missing": missing}
    assert fails(counts, fail_on) is bad


def test_a_fail_on_that_is_none_is_refused():
    with pytest.raises(ValueError, match="slipway_audit_fail_on"):
        fails({"failed": 0, "evidence_missing": 0}, "always")


def whole_audit(**words):
    return judge(ITEMS, WHOLE, TOPOLOGY, {"S1-10": TRAINING}, words, TODAY).as_dict()


def test_an_audit_as_data():
    audit = whole_audit()
    assert set(audit) == {"counts", "automatic", "guides", "items"}
    assert sum(audit["counts"].values()) == len(audit["items"]) == 58
    assert audit["automatic"] == AUTOMATIC
    assert set(audit["items"][0]) == {"id", "guide", "section", "text", "kind", "state", "evidence", "next_step"}
    assert audit["counts"]["failed"] == 0
    assert audit["counts"]["passed"] == AUTOMATIC + 1


def test_the_table_counts_first_and_tells_what_to_do():
    audit = judge(ITEMS, {}, TOPOLOGY, None, None, TODAY).as_dict()
    lines = table(audit).splitlines()
    assert lines[0] == headline(audit)
    assert "58 items: 0 passed" in lines[0]
    assert sum(line.lstrip().startswith("Next: ") for line in lines) == 58
    assert max(map(len, lines)) < 130
    for guide in ("S0  ", "S1  ", "S2  ", "S3  ", "S4  "):
        assert any(line.startswith(guide) for line in lines)


def test_the_page_has_a_row_for_each_item_whatever_was_said():
    audit = whole_audit(**{"S2-12": "a | b\n<script>`"})
    page = markdown(audit, "2026-11-24T10:00:00Z")
    rows = [line for line in page.splitlines() if line.startswith("| S")]
    assert len(rows) == 58
    assert all(row.replace("\\|", "").count("|") == 7 for row in rows)
    assert "<script>" not in page
    assert "Made at 2026-11-24T10:00:00Z" in page
