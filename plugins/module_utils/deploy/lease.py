# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lease of a fleet: at most one run at a time changes it. Who may take it, renew it and give it back.

Times are aware, in UTC and whole seconds; the present is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..moments import parse_time, render_time
from . import process as processes
from .process import Process

TAKEN, RENEWED, RELEASED = "taken", "renewed", "released"
EXPIRED, DEAD, ASKED = "expired", "dead", "asked"

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")
TEXT_MAX = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class LeaseError(Exception):
    """The lease cannot be had, is lost, or an option cannot be; ``holder`` is the lease of who has it."""

    def __init__(self, text: str, holder: Lease | None = None) -> None:
        super().__init__(text)
        self.holder = holder


@dataclass(frozen=True)
class Phase:
    """A part of a run, and when it began."""

    name: str
    began_at: datetime


@dataclass(frozen=True)
class Lease:
    """Who changes the fleet. ``fence`` is a number that no other run has had; ``process`` is the controller's.

    ``phases`` are those that the run has begun so far, the present one last: how long each took can be told of them,
    and when a run dies, how far it got.
    """

    owner: str
    run: str
    purpose: str
    phase: str
    fence: int
    taken_at: datetime
    renewed_at: datetime
    expires_at: datetime
    process: Process | None = None
    phases: tuple[Phase, ...] = ()

    def expired(self, now: datetime) -> bool:
        """Whether its time is up, so that anybody may take it over."""
        return self.expires_at <= now


@dataclass(frozen=True)
class Record:
    """What the file holds: the lease, if somebody has it, and the highest number given so far."""

    fence: int = 0
    lease: Lease | None = None


@dataclass(frozen=True)
class Request:
    """What a run asks for. None leaves a value of its own lease as it is.

    ``dead_run`` is a run whose process is known to be gone; ``fence_above`` a number that the lease's has to exceed.
    """

    state: str
    run: str
    owner: str | None = None
    purpose: str | None = None
    phase: str | None = None
    term_seconds: int = 0
    take_over: bool = False
    process: Process | None = None
    dead_run: str | None = None
    fence_above: int = 0


@dataclass(frozen=True)
class Outcome:
    """What comes of a request: the record to write if ``changed``, and whose lease was taken over, and why."""

    after: Record
    changed: bool
    msg: str
    previous: Lease | None = None
    taken_over: str | None = None


def parse(raw: Mapping[str, Any]) -> Record:
    """Return what the file holds; nobody and no number for an empty one.

    Raises:
        LeaseError: when it holds something else.
    """
    try:
        fence, lease = int(raw.get("fence", 0)), raw.get("lease")
        if lease is None:
            return Record(fence)
        return Record(
            fence,
            Lease(
                owner=str(lease["owner"]),
                run=str(lease["run"]),
                purpose=str(lease["purpose"]),
                phase=str(lease["phase"]),
                fence=int(lease["fence"]),
                taken_at=parse_time(lease["taken_at"]),
                renewed_at=parse_time(lease["renewed_at"]),
                expires_at=parse_time(lease["expires_at"]),
                process=processes.parse(lease.get("process")),
                phases=tuple(Phase(str(one["name"]), parse_time(one["began_at"])) for one in lease.get("phases", ())),
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LeaseError(f"holds no lease as it should ({error!r}); correct it, or remove it to start anew") from error


def render(record: Record) -> dict[str, Any]:
    """Return the record as its file holds it; ``parse`` is the way back."""
    return {"fence": record.fence, "lease": as_dict(record.lease)}


def as_dict(lease: Lease | None) -> dict[str, Any] | None:
    """Return a lease as the file holds it and as modules return it."""
    if lease is None:
        return None
    moments = {key: render_time(getattr(lease, key)) for key in ("taken_at", "renewed_at", "expires_at")}
    phases = [{"name": phase.name, "began_at": render_time(phase.began_at)} for phase in lease.phases]
    return {**asdict(lease), **moments, "phases": phases}


def parse_request(options: Mapping[str, Any]) -> Request:
    """Return what a module's options ask for.

    Raises:
        LeaseError: with one line for each option that cannot be.
    """
    state = options["state"]
    findings = []
    for option in ("owner", "purpose", "phase"):
        text = options.get(option) or ""
        if len(text) > TEXT_MAX or _CONTROL.search(text):
            findings.append(f"{option}: {text!r}; expected at most {TEXT_MAX} characters on one line")
    if not RUN_ID.match(options.get("run") or ""):
        findings.append(
            f"run: {options.get('run')!r}; expected the id of the run, 1 to 64 letters, digits and . _ : -, as the task"
            " that took the lease returned it (lease.run)"
        )
    if state == TAKEN and not (options.get("owner") or "").strip():
        findings.append("owner: is empty; expected who takes the lease, such as ana@laptop")
    term_seconds = options.get("term_seconds") or 0
    if state != RELEASED and term_seconds < 1:
        findings.append(
            f"term_seconds: {options.get('term_seconds')}; expected 1 or more, the seconds after which others may take"
            " the lease over if it is not renewed"
        )
    if (options.get("fence_above") or 0) < 0:
        findings.append(f"fence_above: {options['fence_above']}; expected 0 or more")
    if findings:
        raise LeaseError("\n".join(findings))
    return Request(
        state=state,
        run=options["run"],
        owner=options.get("owner"),
        purpose=options.get("purpose"),
        phase=options.get("phase"),
        term_seconds=term_seconds,
        take_over=bool(options.get("take_over")),
        process=processes.parse(options.get("process")),
        dead_run=options.get("dead_run"),
        fence_above=options.get("fence_above") or 0,
    )


def plan(current: Record, request: Request, now: datetime) -> Outcome:
    """Return what comes of ``request``.

    Raises:
        LeaseError: when another run has the lease and may keep it, or when a lease that is to be renewed or given back
            is not this run's any more.
    """
    if request.state == TAKEN:
        return _take(current, request, now)
    return _renew(current, request, now) if request.state == RENEWED else _release(current, request, now)


def _take(current: Record, request: Request, now: datetime) -> Outcome:
    held = current.lease
    if held is not None and held.run == request.run:
        return _renew(current, request, now)
    taken_over = None
    if held is not None:
        taken_over = _why_taken_over(held, request, now)
        if taken_over is None:
            raise LeaseError(
                f"The lease is held: {describe(held, now)}. Nothing was changed. Wait until that run has ended; or, if"
                " you know that it has, take the lease over (take_over: true, in a playbook -e deploy_take_over=true)",
                held,
            )
    fence = max(current.fence, request.fence_above) + 1
    lease = Lease(
        owner=request.owner or "",
        run=request.run,
        purpose=request.purpose or "",
        phase=request.phase or "",
        fence=fence,
        taken_at=now,
        renewed_at=now,
        expires_at=now + timedelta(seconds=request.term_seconds),
        process=request.process,
        phases=_begun((), request.phase, now),
    )
    msg = f"run {lease.run} has the lease, number {fence}, until {render_time(lease.expires_at)}"
    if held is not None:
        msg += f"; taken over ({taken_over}) from {describe(held, now)}"
    return Outcome(Record(fence, lease), True, msg, held, taken_over)


def _why_taken_over(held: Lease, request: Request, now: datetime) -> str | None:
    if held.expired(now):
        return EXPIRED
    if held.run == request.dead_run:
        return DEAD
    return ASKED if request.take_over else None


def _renew(current: Record, request: Request, now: datetime) -> Outcome:
    held = _own(current, request, now)
    if held is None:
        raise LeaseError(
            f"The lease is lost: nobody has it, so run {request.run} gave it back, or it ended and another run took it"
            " over and has finished. Nothing was changed. Start again",
        )
    lease = replace(
        held,
        owner=request.owner or held.owner,
        purpose=held.purpose if request.purpose is None else request.purpose,
        phase=held.phase if request.phase is None else request.phase,
        renewed_at=now,
        expires_at=now + timedelta(seconds=request.term_seconds),
        process=request.process or held.process,
        phases=_begun(held.phases, request.phase, now),
    )
    msg = f"run {lease.run} keeps the lease, number {lease.fence}, until {render_time(lease.expires_at)}"
    return Outcome(replace(current, lease=lease), True, msg)


def _begun(phases: tuple[Phase, ...], name: str | None, now: datetime) -> tuple[Phase, ...]:
    """The phases with one more, unless it goes on."""
    if not name or (phases and phases[-1].name == name):
        return phases
    return (*phases, Phase(name, now))


def _release(current: Record, request: Request, now: datetime) -> Outcome:
    held = _own(current, request, now)
    if held is None:
        return Outcome(current, False, "nobody has the lease, nothing to give back")
    return Outcome(Record(current.fence), True, f"run {held.run} gave back the lease, number {held.fence}")


def _own(current: Record, request: Request, now: datetime) -> Lease | None:
    """Return the lease if it is this run's; raise if it is another's."""
    held = current.lease
    if held is not None and held.run != request.run:
        raise LeaseError(
            f"The lease of run {request.run} is lost to another: {describe(held, now)}. Nothing was changed. Let that"
            " run end, then start again",
            held,
        )
    return held


def describe(lease: Lease, now: datetime) -> str:
    """Return who has a lease, since when and how long still, as part of a sentence."""
    what = ", ".join(text for text in (lease.purpose, f"phase {lease.phase}" if lease.phase else "") if text)
    left = (lease.expires_at - now).total_seconds()
    end = f"unless renewed it ends in {duration(left)}" if left > 0 else f"it ended {duration(-left)} ago"
    return (
        f"{lease.owner} (run {lease.run}{f', {what}' if what else ''}) has it since {render_time(lease.taken_at)},"
        f" {duration((now - lease.taken_at).total_seconds())} ago; {end}, at {render_time(lease.expires_at)}"
    )


def duration(seconds: float) -> str:
    """Return a time span in words: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    for size, unit, small, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"
