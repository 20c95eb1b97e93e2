# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which SQL files of a release are judged, and what squawk found in them.

Rules: https://squawkhq.com/docs/rules
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

CONTRACT_RULES = frozenset(
    {
        "adding-not-nullable-field",
        "adding-required-field",
        "ban-drop-column",
        "ban-drop-database",
        "ban-drop-default",
        "ban-drop-domain",
        "ban-drop-function",
        "ban-drop-schema",
        "ban-drop-sequence",
        "ban-drop-table",
        "ban-drop-type",
        "ban-drop-view",
        "ban-set-schema",
        "changing-column-type",
        "renaming-column",
        "renaming-object",
        "renaming-table",
    }
)
"""Rules that name statements after which the code of an older release can fail, reading or writing."""

SET_ELSEWHERE = frozenset({"require-lock-timeout", "require-statement-timeout", "require-timeout-settings"})
"""Rules that ask for what the module migration sees to."""


class SqlLintError(ValueError):
    """The files cannot be judged; the message says why and what to do."""


@dataclass(frozen=True)
class Finding:
    """One finding. ``line`` counts from 1, ``level`` is warning or error, ``contract`` says that old code can break."""

    file: str
    line: int
    rule: str
    level: str
    text: str
    contract: bool


def pattern_of(glob: str) -> re.Pattern[str]:
    """What a glob over whole paths matches: ``*`` and ``?`` stay within a folder, ``**/`` stands for any folders."""
    if not glob or glob.startswith("/") or ".." in glob.split("/"):
        raise SqlLintError(f"files: {glob!r}; expected a glob relative to the release, such as migrations/*.sql")
    parts = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    found = re.findall(r"\*\*/|\*|\?|[^*?]+", glob)
    return re.compile("".join(parts.get(part, re.escape(part)) for part in found) + r"\Z")


def chosen(members: Iterable[str], globs: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The members of an archive that match one of the globs and are not known, sorted, as the archive spells them.

    Raises:
        SqlLintError: for a glob that cannot match.
    """
    patterns = [pattern_of(glob) for glob in globs]
    passed_over = {posixpath.normpath(name) for name in known}
    normal = {member: posixpath.normpath(member) for member in members}
    return tuple(
        sorted(
            member
            for member, name in normal.items()
            if name not in passed_over and any(pattern.match(name) for pattern in patterns)
        )
    )


def parse(text: str, names: Mapping[str, str], ignored: Collection[str] = ()) -> tuple[Finding, ...]:
    """The findings in what ``squawk --reporter json`` printed, ordered by file and line.

    ``names`` maps the files that squawk was given to their names in the release.

    Raises:
        SqlLintError: when it is not what squawk prints.
    """
    try:
        found = [_finding(raw, names) for raw in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise SqlLintError(
            f"squawk printed what cannot be read ({type(error).__name__}: {error}): {text[:200]!r}"
        ) from error
    ignored = SET_ELSEWHERE | set(ignored)
    return tuple(sorted((item for item in found if item.rule not in ignored), key=lambda item: (item.file, item.line)))


def _finding(raw: Mapping[str, Any], names: Mapping[str, str]) -> Finding:
    rule = str(raw["rule_name"])
    text = " ".join(str(part) for part in (raw["message"], raw.get("help")) if part)
    file = names.get(posixpath.basename(str(raw["file"])), str(raw["file"]))
    return Finding(file, int(raw["line"]) + 1, rule, str(raw["level"]).lower(), text, rule in CONTRACT_RULES)


def summary(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """The outcome in a sentence."""
    if not files:
        return "There is no new SQL file to judge"
    breaking = sum(finding.contract for finding in findings)
    text = f"{_count(findings, 'finding')} in {_count(files, 'SQL file')}"
    return f"{text}, {breaking} of them for what can break older code" if breaking else text


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def as_dicts(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings as plain data."""
    return [asdict(finding) for finding in findings]
