# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files are judged, and what is made of squawk's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.sql_lint import (
    Finding,
    SqlLintError,
    chosen,
    parse,
    summary,
)

MEMBERS = (
    "./migrations/0002.sql",
    "./migrations/0001.sql",
    "./migrations/contract/0001.sql",
    "./migrations/readme.md",
    "./node_modules/pg/migrations/0001.sql",
)


@pytest.mark.parametrize(
    ("globs", "known", "expected"),
    [
        (["migrations/*.sql"], [], ["./migrations/0001.sql", "./migrations/0002.sql"]),
        (["migrations/*.sql"], ["migrations/0001.sql"], ["./migrations/0002.sql"]),
        (
            ["migrations/**/*.sql"],
            [],
            ["./migrations/0001.sql", "./migrations/0002.sql", "./migrations/contract/0001.sql"],
        ),
        (
            ["migrations/000?.sql", "migrations/contract/*"],
            ["./migrations/0001.sql", "migrations/0002.sql"],
            [MEMBERS[2]],
        ),
        (["**/0001.sql"], [], ["./migrations/0001.sql", "./migrations/contract/0001.sql", MEMBERS[4]]),
        (["db/*.sql"], [], []),
        # A dot is a dot.
        (["migrations/readme?md"], [], ["./migrations/readme.md"]),
        (["migrations/0001xsql"], [], []),
    ],
)
def test_chosen(globs: list[str], known: list[str], expected: list[str]) -> None:
    assert chosen(MEMBERS, globs, known) == tuple(expected)


@pytest.mark.parametrize("glob", ["", "/etc/*.sql", "../*.sql", "a/../../b"])
def test_a_glob_outside_the_release_is_refused(glob: str) -> None:
    with pytest.raises(SqlLintError, match="expected a glob relative to the release"):
        chosen(MEMBERS, [glob], [])


def raw(file: str, line: int, rule: str, level: str = "Warning", advice: str | None = None) -> dict[str, Any]:
    return {"file": file, "line": line, "rule_name": rule, "level": level, "message": f"{rule}!", "help": advice}


def test_findings_are_named_as_in_the_release_and_ordered() -> None:
    text = json.dumps(
        [
            raw("00001.sql", 4, "ban-drop-column"),
            raw("00000.sql", 0, "require-lock-timeout"),
            raw("00000.sql", 0, "syntax-error", "Error"),
            raw("00000.sql", 2, "prefer-bigint-over-int", advice="Use bigint."),
            raw("00000.sql", 3, "prefer-text-field"),
        ]
    )
    names = {"00000.sql": "migrations/0001.sql", "00001.sql": "migrations/0002.sql"}
    assert parse(text, names, ["prefer-text-field"]) == (
        Finding("migrations/0001.sql", 1, "syntax-error", "error", "syntax-error!", False),
        Finding(
            "migrations/0001.sql",
            3,
            "prefer-bigint-over-int",
            "warning",
            "prefer-bigint-over-int! Use bigint.",
            False,
        ),
        Finding("migrations/0002.sql", 5, "ban-drop-column", "warning", "ban-drop-column!", True),
    )


@pytest.mark.parametrize("text", ["", "panicked", '[{"file": "a.sql"}]', '{"a": 1}'])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(SqlLintError, match="squawk printed what cannot be read"):
        parse(text, {})


def test_summary() -> None:
    old = Finding("a.sql", 1, "ban-drop-column", "warning", "", True)
    fine = Finding("a.sql", 1, "prefer-identity", "warning", "", False)
    assert summary([], []) == "There is no new SQL file to judge"
    assert summary([fine], ["a.sql"]) == "1 finding in 1 SQL file"
    assert (
        summary([fine, old], ["a.sql", "b.sql"]) == "2 findings in 2 SQL files, 1 of them for what can break older code"
    )
