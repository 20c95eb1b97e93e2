# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The maintenance page of one application: what is asked for, what is, and the way between.

Times are aware and in UTC; the present is passed in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv6Network, ip_network
from typing import Any

from ..moments import parse_time, render_time

DIRECTORY = "/var/lib/slipway/maintenance"
"""Where the state files are, one for each application: APPLICATION.json."""

SETTINGS = "/etc/nginx/slipway/maintenance.json"
"""What the role nginx writes: the applications of this edge, and what their pages have in common."""

OFF, ANNOUNCED, ON = "off", "announced", "on"
STATES = (OFF, ANNOUNCED, ON)
FAIL, SKIP, TAKE = "fail", "skip", "take"

MESSAGE_MAX = 2000
"""Characters of a message, an owner or a reason."""

ALLOW_MAX = 256
"""Addresses and networks in one allow list. nginx goes through it for each request while the page is on."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class MaintenanceError(Exception):
    """What was asked for, or what a state file holds, cannot be; the message has one line for each finding."""


@dataclass(frozen=True)
class Maintenance:
    """The state of an application's page. ``allow`` are networks in their usual form.

    ``since`` is when the state last became what it is.
    """

    state: str = OFF
    message: str = ""
    starts: datetime | None = None
    ends: datetime | None = None
    allow: tuple[str, ...] = ()
    owner: str = ""
    reason: str = ""
    since: datetime | None = None

    def overdue(self, now: datetime) -> bool:
        """Whether the end that was named has passed."""
        return self.state != OFF and self.ends is not None and self.ends <= now


@dataclass(frozen=True)
class Request:
    """What is asked for. None leaves a value as it is, if the page is on or announced, and empty if it is off."""

    state: str
    message: str | None = None
    starts: datetime | None = None
    ends: datetime | None = None
    allow: tuple[str, ...] | None = None
    owner: str = ""
    reason: str = ""
    others: str = FAIL
    """What becomes of a page that another owner announced or switched on: ``fail``, ``skip`` or ``take``."""
    without: frozenset[str] = frozenset()
    """Which of the times to take away (given as empty text)."""


@dataclass(frozen=True)
class Action:
    """One change of one value of the state."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Plan:
    """Changes to make; none where ``skipped`` says that the page is left to another owner."""

    actions: tuple[Action, ...] = ()
    skipped: bool = False


def parse_network(text: str) -> str:
    """Return an address or network in its usual form; a network of one address as that address.

    Raises:
        ValueError: when it is neither, or has bits set beyond its prefix; the message says why.
    """
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ValueError(
            "expected an address or a network, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
        ) from error
    try:
        exact = ip_network(text.strip())
    except ValueError as error:
        address = text.strip().partition("/")[0]
        raise ValueError(f"expected the network {network}, or the address {address} alone") from error
    mapped = exact.network_address.ipv4_mapped if isinstance(exact, IPv6Network) else None
    if mapped and exact.prefixlen >= 96:
        exact = ip_network(f"{mapped}/{exact.prefixlen - 96}")
    return str(exact.network_address) if exact.num_addresses == 1 else str(exact)


def parse_request(options: Mapping[str, Any]) -> Request:
    """Return what a module's options ask for.

    Raises:
        MaintenanceError: with one finding for each option that cannot be.
    """
    findings: list[str] = []
    times: dict[str, datetime | None] = {}
    for key in ("starts", "ends"):
        times[key] = None
        if options.get(key):
            try:
                times[key] = parse_time(str(options[key]))
            except ValueError as error:
                findings.append(f"{key}: {str(options[key])!r}: {error}")
    for key in ("text", "owner", "reason"):
        findings += _text_findings(key, options.get(key))
    allow = options.get("allow")
    networks: list[str] = []
    for item in allow or []:
        try:
            networks.append(parse_network(str(item)))
        except ValueError as error:
            findings.append(f"allow: {str(item)!r}: {error}")
    if len(networks) > ALLOW_MAX:
        findings.append(f"allow: {len(networks)} entries; expected at most {ALLOW_MAX}: name networks, not addresses")
    if options["state"] != OFF and not (options.get("owner") or "").strip():
        findings.append(f"owner: is empty; expected who makes the page {options['state']}, since only they end it")
    if findings:
        raise MaintenanceError("\n".join(findings))
    return Request(
        state=options["state"],
        message=_tidy(options.get("text")),
        starts=times["starts"],
        ends=times["ends"],
        allow=None if allow is None else tuple(dict.fromkeys(networks)),
        owner=options.get("owner") or "",
        reason=options.get("reason") or "",
        others=options.get("when_owned_by_other") or FAIL,
        without=frozenset(key for key in ("starts", "ends") if options.get(key) == ""),
    )


def _tidy(message: str | None) -> str | None:
    return None if message is None else message.replace("\r\n", "\n").strip()


def _text_findings(key: str, text: str | None) -> list[str]:
    if not text:
        return []
    if len(text) > MESSAGE_MAX:
        return [f"{key}: {len(text)} characters; expected at most {MESSAGE_MAX}"]
    if _CONTROL.search(text.replace("\r\n", "\n")):
        return [f"{key}: {text!r} has control characters; expected text, a message also with line breaks"]
    return []


def parse(raw: Mapping[str, Any]) -> Maintenance:
    """Return the state that a state file holds; off for an empty one.

    Raises:
        MaintenanceError: when the file holds something else.
    """
    state = raw.get("state", OFF)
    if state not in STATES:
        raise MaintenanceError(f"state is {state!r}; expected {', '.join(STATES)}")
    moments: dict[str, datetime | None] = {}
    for key in ("starts", "ends", "since"):
        try:
            moments[key] = parse_time(str(raw[key])) if raw.get(key) else None
        except ValueError as error:
            raise MaintenanceError(f"{key} is {raw[key]!r}: {error}") from error
    allow = raw.get("allow") or []
    if not isinstance(allow, Sequence) or isinstance(allow, str):
        raise MaintenanceError(f"allow is {allow!r}; expected a list")
    try:
        networks = tuple(parse_network(str(item)) for item in allow)
    except ValueError as error:
        raise MaintenanceError(f"allow is {allow!r}: {error}") from error
    return Maintenance(
        state=state,
        message=str(raw.get("message") or ""),
        starts=moments["starts"],
        ends=moments["ends"],
        allow=networks,
        owner=str(raw.get("owner") or ""),
        reason=str(raw.get("reason") or ""),
        since=moments["since"],
    )


def render(maintenance: Maintenance) -> dict[str, Any]:
    """Return the state as its file holds it; ``parse`` is the way back."""
    return {
        "state": maintenance.state,
        "message": maintenance.message,
        "starts": render_time(maintenance.starts),
        "ends": render_time(maintenance.ends),
        "allow": list(maintenance.allow),
        "owner": maintenance.owner,
        "reason": maintenance.reason,
        "since": render_time(maintenance.since),
    }


def report_state(maintenance: Maintenance, now: datetime) -> dict[str, Any]:
    """Return the state as modules tell it."""
    return {**render(maintenance), "overdue": maintenance.overdue(now)}


def wanted(current: Maintenance, request: Request) -> Maintenance:
    """Return the state that ``request`` makes of ``current``, with ``since`` still to be set.

    An application that is off has no message, times or allow list. One that is off already stays exactly as it is,
    whoever asks: its owner is who switched it off.
    """
    if request.state == OFF:
        if current.state == OFF:
            return current
        return Maintenance(owner=request.owner, reason=request.reason, since=current.since)
    kept = current if current.state != OFF else Maintenance(since=current.since)
    return Maintenance(
        state=request.state,
        message=kept.message if request.message is None else request.message,
        starts=None if "starts" in request.without else request.starts or kept.starts,
        ends=None if "ends" in request.without else request.ends or kept.ends,
        allow=kept.allow if request.allow is None else request.allow,
        owner=request.owner,
        reason=request.reason,
        since=kept.since,
    )


def plan(current: Maintenance, request: Request, now: datetime) -> Plan:
    """Return what leads from ``current`` to what ``request`` asks for; nothing when it is so already.

    Raises:
        MaintenanceError: when another owner has the page and ``others`` is ``fail``, or when the outcome would make no
            sense: an announcement of nothing, an end before the start, or an end that has passed already. What is so
            already is not judged again.
    """
    target = wanted(current, request)
    before, after = render(current), render(target)
    actions = tuple(Action(key, before[key], after[key]) for key in before if before[key] != after[key])
    if not actions:
        return Plan()
    if current.state != OFF and current.owner != request.owner and request.others != TAKE:
        if request.others == SKIP:
            return Plan(skipped=True)
        raise MaintenanceError(
            f"owner: the page is {_possession(current)}. Nothing was changed: {request.owner or 'a call without owner'}"
            f" may not make it {request.state}. Let its owner end it, leave it alone (when_owned_by_other: skip),"
            " or take it over (take)"
        )
    findings = _findings(target, now)
    if findings:
        raise MaintenanceError("\n".join(findings))
    return Plan(actions)


def _possession(current: Maintenance) -> str:
    why = f" ({current.reason})" if current.reason else ""
    return f"{current.state} by {current.owner or 'nobody named'} since {render_time(current.since) or '?'}{why}"


def _findings(target: Maintenance, now: datetime) -> list[str]:
    findings = []
    if target.state == ANNOUNCED and not target.starts:
        findings.append("starts: missing; expected the time from which maintenance is announced (state=announced)")
    if target.starts and target.ends and target.ends <= target.starts:
        findings.append(
            f"ends: {render_time(target.ends)} is not after starts, {render_time(target.starts)}; expected a later time"
        )
    if target.state != OFF and target.ends and target.ends <= now:
        findings.append(
            f"ends: {render_time(target.ends)} has passed (it is {render_time(now)}); expected a later time,"
            " or none where the end is not known (ends='')"
        )
    return findings


def applied(current: Maintenance, request: Request, now: datetime) -> Maintenance:
    """Return what the file will hold: what ``wanted`` says, and since when."""
    target = wanted(current, request)
    return target if target.state == current.state else replace(target, since=now.replace(microsecond=0))


def warnings(maintenance: Maintenance, now: datetime) -> tuple[str, ...]:
    """Return what is to be said of a state that is allowed, but perhaps forgotten."""
    if not maintenance.overdue(now) or maintenance.ends is None:
        return ()
    late = now - maintenance.ends
    what = "the page is still on" if maintenance.state == ON else "it is still announced"
    return (
        f"ends, {render_time(maintenance.ends)}, passed {_duration(late)} ago and {what}:"
        " only state=off ends it; give a later end where it takes longer",
    )


def _duration(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


def describe(current: Maintenance, actions: Sequence[Action]) -> dict[str, str]:
    """Return the plan as a diff of the state's JSON, without the time at which it is carried out."""
    before = {key: value for key, value in render(current).items() if key != "since"}
    after = {**before, **{action.key: action.after for action in actions}}
    return {
        side: json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for side, values in (("before", before), ("after", after))
    }


def require(application: str, settings: Mapping[str, Any]) -> None:
    """Raise MaintenanceError that names the applications of an edge with these settings, when it lacks this one."""
    known = settings.get("applications") or {}
    if application not in known:
        names = f"expected one of {', '.join(sorted(known))}" if known else "this edge serves no application"
        raise MaintenanceError(f"application: {application!r} is not served by this host; {names}")


def differs(report: Mapping[str, Any], application: str, maintenance: Maintenance) -> bool:
    """Return whether nginx, by what its admin socket says, follows another state than that of the file."""
    running = (report.get("applications") or {}).get(application)
    if running is None:
        return True
    expected = render(maintenance if maintenance.state != OFF else Maintenance())
    return any((running.get(key) or None) != (value or None) for key, value in expected.items())
