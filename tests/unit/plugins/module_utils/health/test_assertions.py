# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON paths and assertions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.assertions import (
    MISSING,
    Assertion,
    BadPath,
    check_assertion,
    equal,
    look_up,
    parse_assertions,
    parse_path,
)
from hypothesis import given
from hypothesis import strategies as st

# S3's answer of /api/health/websocket.
ANSWER = {
    "status": "healthy",
    "connections": {"active": 45, "max": 1000},
    "uptime": "2h 15m",
    "memoryUsage": "245MB",
    "nodes": [{"name": "a", "ok": True}, {"name": "b", "ok": False}],
    "last": None,
    "dotted.key": 1,
}


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("$.a.b", ("a", "b")),
        ("$", ()),
        ("$[0]", (0,)),
        ("[1].x", (1, "x")),
        ("a[-1]", ("a", -1)),
        ('["dotted.key"].x', ("dotted.key", "x")),
        ("a['b c']", ("a", "b c")),
        ("a-b._c", ("a-b", "_c")),
        ("a.0.b", ("a", "0", "b")),
    ],
)
def test_reads_paths(path: str, steps: tuple[object, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path", ["", ".", ".a", "a.", "a..b", "a[", "a[x]", "a]", "a b", "a[1]b", "a.[0]", "$a b", "a[]"]
)
def test_refuses_bad_paths(path: str) -> None:
    with pytest.raises(BadPath):
        parse_path(path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("connections.active", 45),
        ("nodes[1].ok", False),
        ("nodes[-1].name", "b"),
        ("nodes[2]", MISSING),
        ("nodes.name", MISSING),
        ("status.x", MISSING),
        ("last", None),
        ('["dotted.key"]', 1),
        ("$", ANSWER),
    ],
)
def test_looks_up(path: str, value: object) -> None:
    assert look_up(ANSWER, parse_path(path)) == value


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"status": "healthy"}, True),
        ({"status": {"eq": "healthy"}}, True),
        ({"status": {"ne": "healthy"}}, False),
        ({"missing": {"ne": "healthy"}}, False),
        ({"memoryUsage": {"lt": "300MB"}}, True),
        ({"memoryUsage": {"lt": "0.2GB"}}, False),
        ({"memoryUsage": {"lt": 300}}, False),
        ({"memoryUsage": {"eq": "0.245 GB"}}, True),
        ({"uptime": {"ge": "1h"}}, True),
        ({"uptime": {"ge": "136m"}}, False),
        ({"uptime": {"eq": "135m"}}, True),
        ({"uptime": {"lt": "300MB"}}, False),
        ({"connections.active": {"gt": 0, "le": 800}}, True),
        ({"connections.active": {"le": "44"}}, False),
        ({"connections.active": {"eq": "45"}}, False),
        ({"status": {"gt": 1}}, False),
        ({"status": {"matches": "^heal"}}, True),
        ({"status": {"matches": "sick"}}, False),
        ({"nodes": {"matches": '"ok": false'}}, True),
        ({"nodes[0].ok": True}, True),
        ({"nodes[0].ok": 1}, False),
        ({"last": {"exists": True}}, True),
        ({"last": None}, True),
        ({"gone": {"exists": False}}, True),
        ({"status": {"exists": False}}, False),
    ],
)
def test_holds(wanted: dict[str, Any], holds: bool) -> None:
    assertions, problems = parse_assertions(wanted)
    assert not problems
    wrong = [text for text in (check_assertion(assertion, ANSWER) for assertion in assertions) if text]
    assert (not wrong) == holds


def test_says_what_it_saw_and_wanted() -> None:
    assert check_assertion(Assertion("memoryUsage", "lt", "200MB"), ANSWER) == (
        'memoryUsage is "245MB", wanted below "200MB"'
    )
    assert "a number without a unit" in check_assertion(Assertion("memoryUsage", "lt", 200), ANSWER)
    assert check_assertion(Assertion("a.b", "eq", 1), ANSWER) == "a.b is not there, wanted a.b equal to 1"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"a..b": 1}, "position 3"),
        ({"a": {"larger": 1}}, "unknown operator 'larger'"),
        ({"a": {}}, "no operator"),
        ({"a": {"lt": "many"}}, "takes a number"),
        ({"a": {"exists": "yes"}}, "true or false"),
        ({"a": {"matches": "("}}, "regular expression"),
    ],
)
def test_refuses_by_name(wanted: dict[str, Any], words: str) -> None:
    assert words in " ".join(parse_assertions(wanted)[1])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_equality_is_reflexive(value: object) -> None:
    assert equal(value, value)


@given(JSON, st.text(max_size=12))
def test_no_document_and_no_path_break_it(document: object, path: str) -> None:
    assertions, _ = parse_assertions({path: {"lt": 5}})
    for assertion in assertions:
        check_assertion(assertion, document)


@given(st.lists(st.text(alphabet="abc_", min_size=1) | st.integers(0, 9), min_size=1))
def test_paths_are_read_back(steps: list[str | int]) -> None:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    assert parse_path(text) == tuple(steps)
