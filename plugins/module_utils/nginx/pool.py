# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Members of a pool leaving and coming back: who may, who stays, and what the state file says afterwards.

A pool's members are declared by the topology; its state file holds only what differs from "active". Whoever drains a
member owns that, and it ends by the same owner, or by somebody who says that they take it over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

ACTIVE, DRAINING, OUT = "active", "draining", "out"
STATES = (ACTIVE, DRAINING, OUT)
FAIL, SKIP, TAKE = "fail", "skip", "take"

DECLARED_FILE = "/etc/nginx/slipway/pools.json"
STATES_DIRECTORY = "/var/lib/slipway/pool"


class PoolError(Exception):
    """What was asked for cannot or must not be done; the message says why, and what would be possible."""


@dataclass(frozen=True)
class Member:
    """A member of a pool, with ``state`` and, unless active, who it is owned by, why and since when (UTC, ISO 8601)."""

    name: str
    address: str = ""
    port: int = 0
    state: str = ACTIVE
    owner: str = ""
    reason: str = ""
    since: str = ""

    @property
    def host(self) -> str:
        """The host in a name like ``host:port``."""
        return self.name.rpartition(":")[0]


@dataclass(frozen=True)
class Pool:
    """An application's members, in the order of the topology; and those in its state file that are not declared."""

    application: str
    members: tuple[Member, ...]
    undeclared: tuple[Member, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the declared members."""
        return tuple(member.name for member in self.members)

    def at(self, name: str) -> Member:
        """Return the member of that name, declared or not. Raises KeyError."""
        for member in (*self.members, *self.undeclared):
            if member.name == name:
                return member
        raise KeyError(name)


@dataclass(frozen=True)
class Wanted:
    """What a call asks for.

    Attributes:
        members: names of members, as ``select`` returns them.
        state: ``active``, ``draining`` or ``out``.
        owner: who asks.
        reason: why; only kept for ``draining`` and ``out``.
        others: what becomes of members that another owner has drained or taken out: ``fail``, ``skip`` or ``take``.
        minimum_active: members that are to stay active and not failing, from 0 up.
    """

    members: tuple[str, ...]
    state: str
    owner: str = ""
    reason: str = ""
    others: str = FAIL
    minimum_active: int = 1


@dataclass(frozen=True)
class Change:
    """One member's state before and after."""

    before: Member
    after: Member


@dataclass(frozen=True)
class Plan:
    """Changes to make, and members left as they are because somebody else owns their state."""

    changes: tuple[Change, ...] = ()
    skipped: tuple[Member, ...] = ()


# Reading ----------------------------------------------------------------------------------------------------------


def require(application: str, declared: Mapping[str, Any]) -> None:
    """Raise PoolError that names the applications there are, when there is none of that name."""
    if application not in declared:
        known = f"expected one of {', '.join(sorted(declared))}" if declared else "this edge serves no application"
        raise PoolError(f"application: {application!r} has no pool on this host; {known}")


def parse(application: str, declared: Mapping[str, Any], states: Mapping[str, Any]) -> Pool:
    """Return a pool from the content of ``pools.json`` and of the application's state file.

    Raises:
        PoolError: when there is no such application, or the state file is not one.
    """
    require(application, declared)
    recorded = states.get("members", {})
    if not isinstance(recorded, Mapping):
        raise PoolError(f"the state file of {application}: members is not an object; correct or remove the file")
    known = {member.name: member for member in (_recorded(application, *item) for item in recorded.items())}
    members = []
    for entry in declared[application]["members"]:
        member = known.pop(entry["name"], Member(entry["name"]))
        members.append(replace(member, address=entry["address"], port=entry["port"]))
    return Pool(application, tuple(members), tuple(known[name] for name in sorted(known)))


def _recorded(application: str, name: str, entry: Any) -> Member:
    state = entry.get("state") if isinstance(entry, Mapping) else None
    if state not in STATES:
        raise PoolError(
            f"the state file of {application}: the state of {name} is {state!r}; expected one of {', '.join(STATES)}"
        )
    if state == ACTIVE:
        return Member(name)
    owner, reason, since = (str(entry.get(key) or "") for key in ("owner", "reason", "since"))
    return Member(name, state=state, owner=owner, reason=reason, since=since)


def select(pool: Pool, patterns: Sequence[str], host: str, state: str) -> tuple[str, ...]:
    """Return the names that the patterns match (shell style), or all of a host, each once, in the pool's order.

    A member that is recorded but no longer declared can only be made active, which forgets it, by its whole name.

    Raises:
        PoolError: naming what exists, when a pattern or the host matches nothing.
    """
    if host:
        found = [member.name for member in pool.members if host in (member.host, member.address)]
        if not found:
            hosts = sorted({member.host for member in pool.members})
            raise PoolError(f"host: {host!r} has no member in {pool.application}; {_there_are('hosts', hosts)}")
        return tuple(found)
    undeclared = [member.name for member in pool.undeclared if state == ACTIVE]
    chosen = set()
    for pattern in patterns:
        found = [name for name in pool.names if name == pattern or fnmatchcase(name, pattern)]
        found += [name for name in undeclared if name == pattern]
        if not found:
            raise PoolError(
                f"members: {pattern!r} matches no member of {pool.application}; {_there_are('members', pool.names)}"
            )
        chosen.update(found)
    return tuple(name for name in (*pool.names, *undeclared) if name in chosen)


def _there_are(what: str, names: Sequence[str]) -> str:
    return f"there are the {what} {', '.join(names)}" if names else f"it has no {what}"


# Planning ---------------------------------------------------------------------------------------------------------


def plan(pool: Pool, wanted: Wanted, now: str, failing: Collection[str] = ()) -> Plan:
    """Return what to change.

    ``now`` is recorded as the time from which a state holds; ``failing`` names members that nginx passes over.

    Raises:
        PoolError: when another owner has a member and ``others`` is ``fail``, or when too few would stay.
    """
    changes, skipped = [], []
    for before in (pool.at(name) for name in wanted.members):
        after = _after(before, wanted, now)
        if after == before:
            continue
        if before.state != ACTIVE and before.owner != wanted.owner and wanted.others != TAKE:
            skipped.append(before)
        else:
            changes.append(Change(before, after))
    if skipped and wanted.others == FAIL:
        raise PoolError(
            f"{pool.application}: {'; '.join(_possession(member) for member in skipped)}. Nothing was changed:"
            f" {wanted.owner or 'a call without owner'} may not make that {wanted.state}. Let its owner end it,"
            f" leave such members alone (when_owned_by_other: skip), or take them over (take)"
        )
    _keep_enough(pool, changes, wanted.minimum_active, failing)
    return Plan(tuple(changes), tuple(skipped))


def _after(before: Member, wanted: Wanted, now: str) -> Member:
    if wanted.state == ACTIVE:
        return replace(before, state=ACTIVE, owner="", reason="", since="")
    since = before.since if before.state == wanted.state and before.since else now
    return replace(before, state=wanted.state, owner=wanted.owner, reason=wanted.reason, since=since)


def _possession(member: Member) -> str:
    why = f" ({member.reason})" if member.reason else ""
    return f"{member.name} is {member.state} by {member.owner or 'nobody named'} since {member.since or '?'}{why}"


def _keep_enough(pool: Pool, changes: Sequence[Change], minimum: int, failing: Collection[str]) -> None:
    states = {change.after.name: change.after.state for change in changes}
    before = [member.name for member in pool.members if member.state == ACTIVE]
    after = [member.name for member in pool.members if states.get(member.name, member.state) == ACTIVE]
    for kind, passed_over in (("active", ()), ("active and not failing", failing)):
        had = [name for name in before if name not in passed_over]
        left = [name for name in after if name not in passed_over]
        if len(left) < len(had) and len(left) < minimum:
            raise PoolError(
                f"{pool.application}: {len(left)} of {len(pool.members)} members would stay {kind}"
                f"{' (' + ', '.join(left) + ')' if left else ''}; expected at least {minimum}. Nothing was changed:"
                f" bring others back first, or lower minimum_active (0: all may leave)"
            )


# Writing ----------------------------------------------------------------------------------------------------------


def render(states: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """Return the content of the state file after the changes; what they do not concern stays as it is."""
    members = dict(states.get("members", {}))
    for change in changes:
        after = change.after
        if after.state == ACTIVE:
            members.pop(after.name, None)
        else:
            members[after.name] = {
                "state": after.state,
                "owner": after.owner,
                "reason": after.reason,
                "since": after.since,
            }
    return {**states, "members": members}


def as_entry(member: Member) -> dict[str, str]:
    """Return a member's name and state as modules tell them."""
    return {
        "name": member.name,
        "state": member.state,
        "owner": member.owner,
        "reason": member.reason,
        "since": member.since,
    }


def describe(changes: Sequence[Change]) -> dict[str, str]:
    """Return the changes as a diff: one line a member on each side."""
    return {
        "before": "".join(f"{_line(change.before)}\n" for change in changes),
        "after": "".join(f"{_line(change.after)}\n" for change in changes),
    }


def _line(member: Member) -> str:
    if member.state == ACTIVE:
        return f"{member.name}: {ACTIVE}"
    why = f" ({member.reason})" if member.reason else ""
    return f"{member.name}: {member.state} by {member.owner or 'nobody named'}{why}"


# What nginx says ---------------------------------------------------------------------------------------------------


def failing(report: Mapping[str, Any], application: str) -> frozenset[str]:
    """Return the members that nginx passes over, from what its admin socket says."""
    return frozenset(entry["name"] for entry in _entries(report, application) if entry.get("failing"))


def differs(report: Mapping[str, Any], pool: Pool) -> tuple[str, ...]:
    """Return the members whose state in nginx is not that of the files, or that it does not know."""
    running = {entry["name"]: _running(entry) for entry in _entries(report, pool.application)}
    return tuple(
        member.name
        for member in pool.members
        if running.get(member.name) != (member.state, member.owner, member.reason, member.since)
    )


def _running(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if entry["state"] == ACTIVE:
        return (ACTIVE, "", "", "")
    owner, reason, since = (entry.get(key) or "" for key in ("owner", "reason", "since"))
    return (entry["state"], owner, reason, since)


def _entries(report: Mapping[str, Any], application: str) -> Sequence[Mapping[str, Any]]:
    pool = report.get("pools", {}).get(application, {})
    entries: Sequence[Mapping[str, Any]] = pool.get("members", ())
    return entries


def info(pool: Pool, report: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all that is known of a pool: states from nginx, or from the files where it does not run (``None``)."""
    running = {entry["name"]: entry for entry in _entries(report or {}, pool.application)}
    members = []
    for member in pool.members:
        entry = running.get(member.name, {})
        if entry:
            state, owner, reason, since = _running(entry)
            member = replace(member, state=state, owner=owner, reason=reason, since=since)
        counted = {key: entry.get(key) for key in ("in_flight", "websockets", "failures", "failing")}
        members.append({**as_entry(member), "address": member.address, "port": member.port, **counted})
    return {
        "members": members,
        "active": sum(entry["state"] == ACTIVE for entry in members),
        "undeclared": [member.name for member in pool.undeclared],
    }


@dataclass(frozen=True)
class Left:
    """What a member still has in flight through this edge."""

    name: str
    in_flight: int
    websockets: int

    def __str__(self) -> str:
        return f"{self.name} has {self.in_flight} requests and {self.websockets} websockets"


def left(report: Mapping[str, Any], application: str, members: Collection[str], websockets: bool) -> tuple[Left, ...]:
    """Return those of the members that have requests in flight or, where asked, websockets."""
    found = (
        Left(entry["name"], entry["in_flight"], entry["websockets"])
        for entry in _entries(report, application)
        if entry["name"] in members
    )
    return tuple(item for item in found if item.in_flight or (websockets and item.websockets))


@dataclass(frozen=True)
class Waited:
    """How waiting ended: ``left`` is what was seen last, ``seconds`` how long it took."""

    drained: bool
    left: tuple[Left, ...]
    seconds: float


def wait_drained(
    observe: Callable[[], tuple[Left, ...]],
    *,
    timeout_seconds: float,
    quiet_seconds: float,
    clock: Callable[[], float],
    pause: Callable[[float], None],
    interval_seconds: float = 0.1,
) -> Waited:
    """Observe until nothing has been left for ``quiet_seconds``, or ``timeout_seconds`` have passed on ``clock``."""
    began = clock()
    quiet_since: float | None = None
    while True:
        seen = observe()
        now = clock()
        if seen:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now
        if quiet_since is not None and now - quiet_since >= quiet_seconds:
            return Waited(True, (), now - began)
        if now - began >= timeout_seconds:
            return Waited(False, seen, now - began)
        pause(interval_seconds)
