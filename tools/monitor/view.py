"""What is shown, as a function of what is known: no terminal, clock or process in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .text import Style, clean, clip, width_of, wrapped

RANK = {"critical": 0, "unknown": 1, "warning": 2, "ok": 3}
VERDICTS = {"healthy": "ok", "degraded": "warning", "failed": "critical"}
MESSAGE_LINES = 8
CHANGES = 4
KEYS = "q quit   r refresh now   p pause"


@dataclass(frozen=True)
class Change:
    """A problem that came, went, or got better or worse between two reports. ``at`` is a time of day."""

    at: str
    sign: str
    status: str
    text: str


@dataclass(frozen=True)
class View:
    """All that there is to show. Ages in seconds; ``trouble`` is why there is no newer report."""

    report: Mapping[str, Any] | None = None
    age_seconds: float | None = None
    scores: Sequence[float] = ()
    changes: Sequence[Change] = ()
    trouble: str = ""
    running: bool = False
    paused: bool = False


def changes(before: Mapping[str, Any] | None, now: Mapping[str, Any], at: str) -> list[Change]:
    """What came ("+"), what went ("-") and what changed its state ("~") since the report before."""
    if before is None:
        return []

    def problems(report: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
        return {(clean(one["host"]), clean(one["name"])): one for one in report["problems"]}

    old, new = problems(before), problems(now)
    found = []
    for key, problem in new.items():
        status, name = problem["status"], ": ".join(key)
        if key not in old:
            found.append(Change(at, "+", status, f"{name}: {clean(problem['message'])}"))
        elif old[key]["status"] != status:
            found.append(Change(at, "~", status, f"{name}: {old[key]['status']} became {status}"))
    # A host that is not heard from takes its checks' problems with it, which are not solved by that.
    for key in old.keys() - new.keys():
        host = now["hosts"].get(key[0])
        silent = host is not None and _lost(host) and key[1] != "host"
        text = "no longer known, the host is silent" if silent else "gone"
        found.append(Change(at, "-", "unknown" if silent else "ok", f"{': '.join(key)}: {text}"))
    return sorted(found, key=lambda change: (RANK.get(change.status, 1), change.text))


def render(view: View, width: int, height: int | None, style: Style) -> list[str]:
    """The lines to show, none wider than `width`. Not more than `height`; None where there is room for all."""
    top = [_headline(view, width, style), ""]
    if view.trouble:
        top += _trouble(view.trouble, width, style)
    foot = [] if height is None else ["", style.paint(KEYS + ("   PAUSED" if view.paused else ""), "soft")]
    if view.report is None:
        if not view.trouble:
            top.append(style.paint("The first look at the stack is under way.", "soft"))
        body: list[str] = []
    else:
        room = None if height is None else max(0, height - len(top) - len(foot))
        body = _body(view, view.report, width, room, style)
    lines = [clip(line, width, style) for line in [*top, *body]]
    if height is None:
        return lines
    return [*lines[: max(1, height - len(foot))], *(clip(line, width, style) for line in foot)][:height]


def _headline(view: View, width: int, style: Style) -> str:
    state = "looking" if view.running else ""
    if view.age_seconds is not None:
        state = f"{_age(view.age_seconds)} old" + (f", {state}" if state else "")
    if view.report is None:
        left = style.paint("NO REPORT YET", "bold")
    else:
        report = view.report
        colour = VERDICTS.get(report["verdict"], "unknown")
        counts = report["counts"]
        total = sum(counts.values())
        left = "  ".join(
            part
            for part in (
                style.paint(
                    f"{style.mark(colour)} {clean(report['verdict']).upper()} {report['score']}", "bold", colour
                ),
                style.paint(style.spark(view.scores[-20:]), "accent") if len(view.scores) > 1 else "",
                f"{counts.get('ok', 0)} of {total} checks passed on {_number(len(report['hosts']), 'host')}",
            )
            if part
        )
    if not state:
        return left
    gap = width - width_of(left) - len(state)
    return f"{left}{' ' * gap}{style.paint(state, 'soft')}" if gap >= 2 else f"{left}  {style.paint(state, 'soft')}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _age(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"


def _trouble(text: str, width: int, style: Style) -> list[str]:
    lines = [style.paint("No new report:", "bold", "critical")]
    given = [clean(line) for line in text.splitlines() if clean(line)]
    for line in given[:MESSAGE_LINES]:
        lines += wrapped(line, width, "  ", "    ", 4)
    return [*lines, ""]


def _lost(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The result that stands for a host which gave none."""
    return next((one for one in part["results"] if one["type"] == "connection"), None)


def _worst(statuses: Sequence[str]) -> str:
    return min(statuses, key=lambda status: RANK.get(status, 1), default="unknown")


def _body(view: View, report: Mapping[str, Any], width: int, room: int | None, style: Style) -> list[str]:
    hosts = _hosts(report, width, style)
    changed = [
        style.paint(f"  {one.at} {one.sign} ", "soft") + style.paint(one.text, one.status) for one in view.changes
    ]
    problems = [_problem(one, width, style) for one in report["problems"]]
    if room is None:
        lines = [*hosts, ""]
        for problem in problems:
            lines += problem
        return [*lines, *(["Changed", *changed] if changed else [])]
    last = ["", style.paint("Changed", "bold"), *changed[: min(CHANGES, room // 6)]] if changed and room >= 12 else []
    room -= len(last)
    wanted = sum(map(len, problems)) + 2 if problems else 0
    most = max(min(len(hosts), room - wanted), min(len(hosts), room // 2), 1)
    shown = _cut(hosts, most, "hosts", style)
    lines = [*shown]
    if problems:
        lines += ["", style.paint(_number(len(problems), "problem"), "bold")]
        left = room - len(lines)
        for number, problem in enumerate(problems):
            rest = len(problems) - number
            more = 1 if rest > 1 else 0
            # Its first line alone says more than that there is one more.
            kept = problem if len(problem) <= left - more else problem[:1]
            if len(kept) > left - more:
                lines.append(style.paint(f"  and {rest} more", "soft"))
                break
            lines += kept
            left -= len(kept)
    return [*lines, *last]


def _cut(lines: list[str], most: int, what: str, style: Style) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], style.paint(f"  and {len(lines) - most + 1} more {what}", "soft")]


def _hosts(report: Mapping[str, Any], width: int, style: Style) -> list[str]:
    """A line for each host, in the report's order; those that are not well first where some are cut off."""
    names = {host: clean(host) for host in report["hosts"]}
    column = min(max(map(width_of, names.values()), default=4), max(8, width // 4))
    lines = []
    ordered = sorted(
        report["hosts"].items(), key=lambda pair: RANK.get(_worst([one["status"] for one in pair[1]["results"]]), 1)
    )
    for host, part in ordered:
        name = clip(names[host], column, style)
        name += " " * (column - width_of(name))
        state = _worst([one["status"] for one in part["results"]])
        line = f"{style.paint(style.mark(state), state)} {style.paint(name, 'bold')} {part['score']:>3}  "
        lost = _lost(part)
        if lost:
            words = "CANNOT BE REACHED" if lost["status"] == "critical" else "NOT CHECKED"
            lines.append(line + style.paint(words, "bold", state))
            continue
        groups: dict[str, list[str]] = {}
        for one in part["results"]:
            groups.setdefault(clean(one.get("part") or one["type"]), []).append(one["status"])
        chips = []
        for name, statuses in groups.items():
            worst = _worst(statuses)
            bad = sum(status != "ok" for status in statuses)
            number = f"{bad}/{len(statuses)}" if bad else str(len(statuses))
            chips.append((RANK.get(worst, 1), style.paint(f"{style.mark(worst)} {name}", worst) + f" {number}"))
        # What is wrong comes first, since a narrow terminal cuts the end off.
        lines.append(line + "  ".join(text for rank, text in sorted(chips, key=lambda chip: chip[0])))
    return lines


def _problem(problem: Mapping[str, Any], width: int, style: Style) -> list[str]:
    status = problem["status"]
    name = f"{clean(problem['host'])}: {clean(problem['name'])}"
    first, *rest = wrapped(f"{name}: {clean(problem['message'])}", width - 2, "", "  ", 3)
    lines = [f"{style.paint(style.mark(status), status)} {first}", *(f"  {line}" for line in rest)]
    step = clean(problem["next_step"])
    if step:
        arrow = "→ " if style.unicode else "> "
        lines += [style.paint(line, "soft") for line in wrapped(step, width, f"    {arrow}", "      ", 3)]
    return lines
