# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Errors and answer times as users met them lately, from the edge's access log."""

from __future__ import annotations

import glob
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from ...nginx.maintenance import DIRECTORY, OFF, ON, Maintenance, MaintenanceError, parse
from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, judged, level
from ..options import option
from ..steps import journal, site
from ..tools import Deadline, Tools
from ..units import human_bytes, human_seconds

BLOCK_BYTES = 1 << 18
LATE_SECONDS = 10
"""How far lines may be out of order: each worker of nginx writes its own, after up to a second."""


@dataclass(frozen=True)
class Request:
    """One line of the log. ``member`` is the upstream that was asked, empty where the edge answered itself."""

    at: float
    application: str
    status: int
    seconds: float
    member: str


@dataclass(frozen=True)
class Log:
    """The requests of a window; ``since`` is from when on they are complete, in seconds since 1970."""

    requests: Sequence[Request]
    since: float
    malformed: int = 0
    pages: Mapping[str, Maintenance] = field(default_factory=dict)


def parse_line(line: bytes) -> Request | None:
    """Read a line as the role nginx has them written, or ``None`` where it is none."""
    try:
        raw = json.loads(line)
        return Request(
            datetime.fromisoformat(raw["time"]).timestamp(),
            str(raw["application"]),
            int(raw["status"]),
            float(raw["seconds"]),
            str(raw.get("member") or ""),
        )
    except (ValueError, KeyError, TypeError):
        return None


def read_end(path: str, since: float, budget: int) -> tuple[list[Request], int, int, bool]:
    """Read a log backwards until before a time. Raises OSError.

    Returns the requests (any order), the number of malformed lines, the bytes read, and whether there was more within
    the time than ``budget`` bytes.
    """
    requests: list[Request] = []
    malformed = 0
    with open(path, "rb") as stream:
        position = size = stream.seek(0, os.SEEK_END)
        rest = b""
        while position > 0 and size - position < budget:
            length = min(BLOCK_BYTES, position)
            position -= length
            stream.seek(position)
            # The first line of a block may begin in the block before it.
            first, newline, lines = (stream.read(length) + rest).partition(b"\n")
            if position > 0:
                rest = first + newline if newline else first
            else:
                lines, rest = first + newline + lines, b""
            found = [(line, parse_line(line)) for line in lines.split(b"\n") if line.strip()]
            malformed += sum(request is None for _dummy, request in found)
            read = [request for _dummy, request in found if request]
            requests += [request for request in read if request.at >= since]
            if read and min(request.at for request in read) < since - LATE_SECONDS:
                return requests, malformed, size - position, False
    return requests, malformed, size - position, position > 0


def is_error(request: Request, pages: Mapping[str, Maintenance]) -> bool:
    """Whether the user met an error of the application or of the edge; a maintenance page is none."""
    if request.status < 500:
        return False
    page = pages.get(request.application)
    if request.status != 503 or request.member or page is None or page.since is None:
        return True
    # While the page was on; when it was switched on before that is not known any more.
    since = page.since.timestamp()
    return not (request.at >= since if page.state == ON else page.state == OFF and request.at <= since)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many of a hundred do not exceed (nearest rank); 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)] if ordered else 0.0


@dataclass(frozen=True)
class TrafficCheck(Check):
    """Looks at what happened, not at what a probe meets. Websockets count as requests, but not their duration."""

    TYPE: ClassVar[str] = "traffic"
    WEIGHT: ClassVar[float] = 3

    application: str = option("str", "", about="Application whose requests they are; each by default.")
    log: str = option("str", "/var/log/nginx/access.log", about="The access log, as the role C(nginx) has it written.")
    window_seconds: float = option("number", 300, minimum=1, maximum=86400, about="How far back to look.")
    min_requests: int = option("int", 20, minimum=1, about="Requests from which an application is judged.")
    error_warn_percent: float = option("percent", 5, about="Warning at this share of answers with a status from 500.")
    error_crit_percent: float = option("percent", 10, about="Critical at this share of answers with a status from 500.")
    warn_ms: float = option(
        "number",
        1000,
        minimum=0,
        about="Warning when 5 % of the answers took so many milliseconds or more; 0 for none.",
    )
    crit_ms: float = option("number", 0, minimum=0, about="Critical when 5 % took so many or more; 0 for none.")
    max_mb: float = option("number", 8, minimum=0.1, maximum=1000, about="How much of the log to read at most.")

    def problems(self) -> list[str]:
        problems = []
        if not self.log.startswith("/"):
            problems.append(f"log: expected an absolute path, got {self.log!r}")
        for warn, crit in (("error_warn_percent", "error_crit_percent"), ("warn_ms", "crit_ms")):
            if getattr(self, warn) > getattr(self, crit) > 0:
                problems.append(f"{warn} ({getattr(self, warn):g}) is above {crit} ({getattr(self, crit):g})")
        return problems

    def target(self) -> str:
        return f"{self.log} ({self.application})" if self.application else self.log

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        now = tools.now()
        return self.judge(self.look(tools, now), now)

    def look(self, tools: Tools, now: float) -> Log:
        """Read the end of the log and, where that is younger than the window, of the one before it.

        Raises CouldNotRun.
        """
        since, budget = now - self.window_seconds, int(self.max_mb * 1e6)
        requests: list[Request] = []
        malformed, complete = 0, True
        try:
            for path in self._files(since):
                found, wrong, read, more = read_end(path, since, budget)
                requests += found
                malformed += wrong
                budget -= read
                if more or budget <= 0:
                    complete = False
                    break
        except OSError as error:
            raise CouldNotRun(
                f"{self.log} cannot be read: {error.strerror}",
                f"{site('nginx')} has it written; or correct log",
            ) from None
        oldest = min((request.at for request in requests), default=since)
        pages = {name: _page(tools, name) for name in {r.application for r in requests if r.status == 503}}
        chosen = [r for r in requests if not self.application or r.application == self.application]
        return Log(chosen, since if complete else oldest, malformed, {k: v for k, v in pages.items() if v})

    def _files(self, since: float) -> Iterable[str]:
        """The log and what it was renamed to, the newest first, as far as it may hold lines of the window."""
        yield self.log
        rotated = []
        for path in glob.iglob(f"{glob.escape(self.log)}[.-]*"):  # noqa: PTH207 (an absolute one)
            try:
                written = Path(path).stat().st_mtime
            except OSError:
                continue
            # The role's logrotate leaves the last one uncompressed.
            if not path.endswith((".gz", ".xz", ".zst", ".bz2")) and written >= since:
                rotated.append((written, path))
        yield from (path for _dummy, path in sorted(rotated, reverse=True))

    def judge(self, log: Log, now: float) -> Outcome:
        """Hold each application's requests against the levels; ``now`` in seconds since 1970."""
        findings: list[Finding] = []
        seen: list[str] = []
        span = human_seconds(now - log.since)
        for name in sorted({request.application for request in log.requests} | {self.application} - {""}):
            requests = [request for request in log.requests if request.application == name]
            called = name or "no application"
            if len(requests) < self.min_requests:
                seen.append(f"{called}: {len(requests)} requests, too few to judge")
                continue
            errors, times = _errors(requests, log.pages), _times(requests)
            share, p95 = 100 * errors / len(requests), percentile(times, 95)
            seen.append(f"{called}: {len(requests)} requests, {share:.1f} % errors, 95 % within {p95:.0f} ms")
            findings.append(
                level(
                    share,
                    self.error_warn_percent,
                    self.error_crit_percent,
                    f"{share:.1f} % of {len(requests)} requests to {called} in {span} were answered with an error"
                    f" ({_most_common(requests, log.pages)})",
                    f"`grep '\"status\":5' {self.log} | tail` names members and paths"
                    + (f"; look at the application's log there: {journal(f'slipway-{name}@*')}" if name else ""),
                )
            )
            if len(times) >= self.min_requests:
                findings.append(
                    level(
                        p95,
                        self.warn_ms,
                        self.crit_ms,
                        f"5 % of the answers of {called} took {p95:.0f} ms or more in {span}",
                        "look at the load of its hosts (`systemd-cgtop`) and of its database, and at what it waits for",
                    )
                )
        if log.malformed > len(log.requests):
            findings.append(
                Finding(
                    Status.UNKNOWN,
                    f"{log.malformed} lines of {self.log} are not as the role nginx has them written",
                    f"{site('nginx')} has it written so; or correct log",
                )
            )
        short = now - log.since < self.window_seconds - 1
        note = f"; of the last {span} only: {human_bytes(self.max_mb * 1e6)} of the log hold no more" if short else ""
        text = "; ".join(seen) or f"no requests in {span}"
        times = _times(log.requests)
        return judged(
            findings,
            seen=f"{text}{note}" + (f"; {log.malformed} malformed lines" if log.malformed else ""),
            wanted=", ".join(
                [f"errors below {self.error_warn_percent:g} %"]
                + ([f"95 % of the answers within {self.warn_ms:g} ms"] if self.warn_ms else [])
            ),
            fine=f"{text}{note}",
            measures={
                "requests": len(log.requests),
                "error_percent": round(100 * _errors(log.requests, log.pages) / max(1, len(log.requests)), 2),
                **({f"p{share}_ms": round(percentile(times, share), 1) for share in (50, 95, 99)} if times else {}),
                **({"answer_ms": round(percentile(times, 95), 1)} if times else {}),
            },
        )


def _errors(requests: Sequence[Request], pages: Mapping[str, Maintenance]) -> int:
    return sum(is_error(request, pages) for request in requests)


def _times(requests: Sequence[Request]) -> list[float]:
    """Milliseconds of the answers; a websocket's time is how long it was open."""
    return [1000 * request.seconds for request in requests if request.status != 101]


def _most_common(requests: Sequence[Request], pages: Mapping[str, Maintenance]) -> str:
    statuses = [request.status for request in requests if is_error(request, pages)]
    return ", ".join(
        f"{statuses.count(status)} of status {status}"
        for status in sorted(set(statuses), key=lambda status: -statuses.count(status))
    )


def _page(tools: Tools, application: str) -> Maintenance | None:
    """The state of an application's maintenance page, from its file; nothing where it says nothing."""
    if "/" in application:
        return None
    try:
        raw: Any = json.loads(tools.read(f"{DIRECTORY}/{application}.json") or "{}")
        return parse(raw)
    except (ValueError, AttributeError, MaintenanceError):
        return None
