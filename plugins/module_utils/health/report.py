# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One report over the checks of many hosts, and its forms: data, table, JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from .history import carry
from .model import Status
from .verdict import problem_line, summarise

HOST_WEIGHT = 10.0
"""What a host that could not be asked counts in the score: as much as a few of its checks."""

_HEADINGS = ("HOST", "CHECK", "STATE", "SEEN", "MS")
_SAID = ("status", "name", "target", "seen", "wanted", "message", "next_step")


def _not_asked(host: str, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The one result of a host that gave none: not to be heard from is not to be healthy."""
    message = " ".join(str((answer or {}).get("msg", "")).split())
    # Ansible's own preamble, which tells the reader nothing.
    message = re.sub(r"^(Task failed: )?(Module failed: )?", "", message)
    if answer is not None and answer.get("unreachable"):
        status, text = Status.CRITICAL, f"the host cannot be reached: {message}"
        step = f"look whether it is up and takes SSH connections: `ansible {host} -m ansible.builtin.ping`"
    elif answer is not None and answer.get("failed"):
        status, text = Status.UNKNOWN, f"its checks did not run: {message}"
        step = "correct the cause, then `ansible-playbook slipway.stack.verify`"
    else:
        status, text = Status.UNKNOWN, "it was not checked"
        step = "look why an earlier task failed or left the host out"
    return {
        "name": "host",
        "type": "connection",
        "part": "connection",
        "target": "",
        "weight": HOST_WEIGHT,
        "status": status.value,
        "seen": "no results",
        "wanted": "",
        "message": text.rstrip(": ."),
        "next_step": step,
        "measures": {},
        "duration_ms": 0,
        "attempts": 0,
        "warn_ms": 0,
    }


def _part(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    summary = summarise((Status(result["status"]), float(result["weight"])) for result in results)
    return {"verdict": summary.verdict.value, "score": summary.score, "counts": summary.counts}


def merge(
    hosts: Sequence[str],
    answers: Mapping[str, Mapping[str, Any] | None],
    at: str = "",
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    apps: Any = None,
    previous: Any = None,
) -> dict[str, Any]:
    """The report over all hosts, from what the module ``health_check`` returned on each.

    ``at`` is when, as text. A host without results counts as failed. ``groups`` are those of each host, ``apps`` is
    ``slipway_apps``, and ``previous`` the report before, whose history goes on.
    """
    parts: dict[str, dict[str, Any]] = {}
    everything: list[Mapping[str, Any]] = []
    problems: list[tuple[int, float, dict[str, Any]]] = []
    for host in hosts:
        answer = answers.get(host)
        results = list((answer or {}).get("results") or []) or [_not_asked(host, answer)]
        everything += results
        own = sorted(set((groups or {}).get(host, ())) - {"all", "ungrouped"})
        parts[host] = {**_part(results), "groups": own, "results": results}
        problems += [
            (
                -Status(result["status"]).rank,
                -float(result["weight"]),
                {"host": host, **{key: result[key] for key in _SAID}},
            )
            for result in results
            if result["status"] != Status.OK.value
        ]
    problems.sort(key=lambda problem: problem[:2])
    report = {
        **_part(everything),
        "at": at,
        "problems": [problem for rank, weight, problem in problems],
        "hosts": parts,
        "applications": applications(apps),
    }
    return {**report, "history": carry(previous, report)}


def applications(apps: Any) -> list[dict[str, Any]]:
    """What reports say of ``slipway_apps``: name, kind, group, and whether there is a database and Redis."""
    return [
        {
            "name": str(name),
            "kind": str(app.get("kind") or "http"),
            "group": str(app.get("group") or ""),
            "database": bool(app.get("database")),
            "redis": bool(app.get("redis")),
        }
        for name, app in (apps.items() if isinstance(apps, Mapping) else ())
        if isinstance(app, Mapping)
    ]


def headline(report: Mapping[str, Any]) -> str:
    """Verdict, score and numbers in one line."""
    counts = report["counts"]
    total = sum(counts.values())
    wrong = ", ".join(f"{counts[status]} {status}" for status in ("critical", "unknown", "warning") if counts[status])
    hosts = len(report["hosts"])
    return (
        f"{report['verdict']}, score {report['score']}: {counts['ok']} of {total} checks passed "
        f"on {hosts} host{'' if hosts == 1 else 's'}{f' ({wrong})' if wrong else ''}"
    )


def problem_lines(report: Mapping[str, Any]) -> list[str]:
    """A line for each problem: host, check, what is wrong, what was wanted, what to do."""
    return [problem_line(problem, problem["host"]) for problem in report["problems"]]


def message(report: Mapping[str, Any]) -> str:
    """The headline and all problems, as one message."""
    return "\n".join([headline(report), *problem_lines(report)])


def _rows(report: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for host, part in report["hosts"].items():
        # Open ports are many and say little; those that are open share a line.
        ports = [r for r in part["results"] if r["type"] == "tcp" and r["status"] == Status.OK.value]
        folded = ports if len(ports) > 1 else []
        for result in (r for r in part["results"] if r not in folded):
            seen = result["seen"] if result["status"] == Status.OK.value else result["message"]
            rows.append((host, result["name"], result["status"], seen, str(result["duration_ms"])))
        if folded:
            slowest = max(result["duration_ms"] for result in folded)
            rows.append((host, f"{len(folded)} connections", "ok", "all accepted", str(slowest)))
    return rows


def table(report: Mapping[str, Any], seen_width: int = 72) -> str:
    """The report for a terminal: the headline, a line for each check, then the problems.

    ``seen_width`` is where the column of what was seen is cut, in characters.
    """
    rows = [_HEADINGS]
    previous = ""
    for host, check, state, seen, took in _rows(report):
        text = " ".join(seen.split())
        text = text if len(text) <= seen_width else text[: seen_width - 3] + "..."
        rows.append(("" if host == previous else host, check, state, text, took))
        previous = host
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [headline(report), ""]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1])]
        lines.append("  ".join([*cells, row[-1].rjust(widths[-1])]).rstrip())
    steps = [
        f"{problem['host']}: {problem['name']}: {problem['next_step']}"
        for problem in report["problems"]
        if problem["next_step"]
    ]
    if steps:
        lines += ["", "Next:", *(f"  {step}" for step in steps)]
    return "\n".join(lines)


def _printable(text: str) -> str:
    """Without the characters that XML 1.0 has no place for."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def junit(report: Mapping[str, Any]) -> str:
    """JUnit XML: a suite for each host, a case for each check.

    Critical is a failure, unknown an error; a warning passes and says so in its output.
    """
    root = ElementTree.Element("testsuites", name="slipway.stack verify")
    for host, part in report["hosts"].items():
        results = part["results"]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_printable(host),
            tests=str(len(results)),
            failures=str(part["counts"][Status.CRITICAL.value]),
            errors=str(part["counts"][Status.UNKNOWN.value]),
            time=f"{max((r['duration_ms'] for r in results), default=0) / 1000:.3f}",
        )
        if report.get("at"):
            suite.set("timestamp", str(report["at"]).rstrip("Z"))
        for result in results:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_printable(f"{host}.{result['type']}"),
                name=_printable(str(result["name"])),
                time=f"{result['duration_ms'] / 1000:.3f}",
            )
            line = _printable(problem_line(result, host))
            if result["status"] == Status.CRITICAL.value:
                ElementTree.SubElement(case, "failure", message=_printable(str(result["message"]))).text = line
            elif result["status"] == Status.UNKNOWN.value:
                ElementTree.SubElement(case, "error", message=_printable(str(result["message"]))).text = line
            elif result["status"] == Status.WARNING.value:
                ElementTree.SubElement(case, "system-out").text = line
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def with_passwords(
    checks: Sequence[Mapping[str, Any]], database_passwords: Mapping[str, Any], redis_password: str
) -> list[dict[str, Any]]:
    """Checks with the passwords that they need.

    ``database_passwords`` are by role. A ``postgresql`` check gets the one of its ``user``, or else the
    one under the name of its ``application``; a ``redis`` check the one of Redis. Its own comes first.
    """
    filled = []
    for check in checks:
        password = None
        if check.get("type") == "postgresql":
            names = (str(check.get("user", "")), str(check.get("application", "")))
            password = next((database_passwords[name] for name in names if name in database_passwords), None)
        elif check.get("type") in ("redis", "redis_cluster"):
            password = redis_password
        filled.append({**({"password": password} if password else {}), **check})
    return filled
