# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who of an application's pool takes requests on this edge, as its nginx says; and its maintenance page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar

from ...nginx.admin import Admin, AdminError
from ...nginx.maintenance import ANNOUNCED, DIRECTORY, ON, Maintenance, MaintenanceError, parse
from ...nginx.pool import ACTIVE, Pool, PoolError, differs, info, require
from ...nginx.pool_host import PoolHost
from ...state_file import StateFileError
from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, Unreachable, judged
from ..options import option
from ..steps import journal, site
from ..tools import Deadline, Tools

_SYNC = "`curl --unix-socket /var/lib/slipway/nginx/admin.sock -X POST http://localhost/sync`"


@dataclass(frozen=True)
class EdgeState:
    """What was seen of an edge.

    ``pools`` are those of the files; ``report`` is what nginx says of them (``GET /pools``), ``maintenance`` what it
    says of its pages (``GET /maintenance``), by application.
    """

    pools: Sequence[Pool]
    report: Mapping[str, Any]
    maintenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolCheck(Check):
    """Asks nginx, not its files: what it runs with is what users meet."""

    TYPE: ClassVar[str] = "pool"
    WEIGHT: ClassVar[float] = 3

    application: str = option("str", "", about="Application whose pool it is; all of this edge by default.")

    def target(self) -> str:
        return f"pool of {self.application}" if self.application else "all pools"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        host = PoolHost(admin=Admin(timeout_seconds=deadline.left()))
        now = datetime.fromtimestamp(tools.now(), timezone.utc)
        return self.judge(self.look(host), now)

    def look(self, host: PoolHost) -> EdgeState:
        """Read the files and ask nginx. Raises Unreachable and CouldNotRun."""
        try:
            declared = host.declared()
            if self.application:
                require(self.application, declared)
            pools = [host.read(name)[0] for name in ([self.application] if self.application else sorted(declared))]
            report = host.report()
            pages = host.admin.request("GET", "/maintenance") if report is not None else {}
        except (PoolError, StateFileError) as error:
            raise CouldNotRun(str(error), f"{site('nginx')} writes them; or correct application") from None
        except AdminError as error:
            raise CouldNotRun(str(error), "look into nginx's log: `tail /var/log/nginx/error.log`") from None
        if report is None:
            raise Unreachable(
                "nginx is not running: nobody listens at its admin socket",
                f"start it: `systemctl start nginx`; {journal('nginx')} tells why it ended",
            )
        return EdgeState(pools, report, pages.get("applications") or {})

    def judge(self, state: EdgeState, now: datetime) -> Outcome:
        """Hold the pools against what users need: a member that takes requests; and name what is kept from them."""
        findings: list[Finding] = []
        seen: list[str] = []
        total = {"members": 0, "taking": 0, "in_flight": 0, "websockets": 0}
        for pool in state.pools:
            members = info(pool, state.report)["members"]
            taking = [member for member in members if member["state"] == ACTIVE and not member["failing"]]
            findings += _member_findings(pool, members, len(taking))
            findings += _page_findings(pool.application, state.maintenance.get(pool.application) or {}, now)
            total["members"] += len(members)
            total["taking"] += len(taking)
            for key in ("in_flight", "websockets"):
                total[key] += sum(member[key] or 0 for member in members)
            seen.append(f"{pool.application} {len(taking)} of {len(members)}")
        findings += self._stale_findings(state)
        text = f"members that take requests: {', '.join(seen) or 'no pool'}"
        return judged(
            findings,
            seen=f"{text}; {total['in_flight']} requests and {total['websockets']} websockets in flight",
            wanted="every member of each pool takes requests, no maintenance page",
            fine=text,
            measures={f"{key}_members" if key == "taking" else key: count for key, count in total.items()},
        )

    def _stale_findings(self, state: EdgeState) -> list[Finding]:
        findings = []
        unsynced = [pool.application for pool in state.pools if differs(state.report, pool)]
        if unsynced:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"nginx does not run the states that the files of {', '.join(unsynced)} tell",
                    _SYNC,
                )
            )
        stale = [str(path) for path in state.report.get("stale_files") or []]
        if stale:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"newer than what nginx runs: {', '.join(stale)}",
                    f"{site('nginx')}, or `systemctl reload nginx`, which ends old workers' connections in time",
                )
            )
        return findings


def _member_findings(pool: Pool, members: Sequence[Mapping[str, Any]], taking: int) -> list[Finding]:
    findings = []
    name = pool.application
    active = [member for member in members if member["state"] == ACTIVE]
    if not active:
        text = f"no member of {name} takes requests: everybody gets 503"
        findings.append(Finding(Status.CRITICAL, text, f"bring them back: {_bring_back(name, '*')}"))
    elif not taking:
        text = f"every active member of {name} fails"
        step = f"look at the application's units and log on {_hosts(active)}: {journal(f'slipway-{name}@*')}"
        findings.append(Finding(Status.CRITICAL, text, step))
    for member in members:
        if member["state"] != ACTIVE:
            why = f" ({member['reason']})" if member["reason"] else ""
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{member['name']} of {name} is {member['state']} by {member['owner'] or 'nobody named'}"
                    f" since {member['since'] or '?'}{why}",
                    f"ask {member['owner'] or 'around'}, or bring it back: {_bring_back(name, member['name'])}",
                )
            )
        elif member["failing"] and taking:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{member['name']} of {name} is passed over, since it failed",
                    f"look at the application's unit and log on {_hosts([member])}: {journal(_unit(name, member))}",
                )
            )
    return findings


def _bring_back(application: str, members: str) -> str:
    words = f"application={application} members={members} state=active when_owned_by_other=take"
    return f'`ansible edge -b -m slipway.stack.pool_member -a "{words}"`'


def _unit(application: str, member: Mapping[str, Any]) -> str:
    return f"slipway-{application}@{member['name'].rpartition(':')[2]}"


def _hosts(members: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(member["name"].rpartition(":")[0] for member in members))


def _page_findings(application: str, raw: Mapping[str, Any], now: datetime) -> list[Finding]:
    try:
        page = parse(raw)
    except MaintenanceError as error:
        text = f"the maintenance page of {application}: {error}"
        return [Finding(Status.WARNING, text, f"look at its state file: `cat {DIRECTORY}/{application}.json`")]
    words = f"application={application} state=off when_owned_by_other=take"
    step = f'`ansible edge -b -m slipway.stack.maintenance_page -a "{words}"`'
    if page.state == ON:
        ends = f", which was to end {_minutes(now, page)} ago" if page.overdue(now) else ""
        why = f" ({page.reason})" if page.reason else ""
        since = f"{page.since:%Y-%m-%dT%H:%M:%SZ}" if page.since else "?"
        text = f"the maintenance page of {application} is on by {page.owner or 'nobody named'} since {since}{why}{ends}"
        return [Finding(Status.WARNING, text, f"ask {page.owner or 'around'}, or switch it off: {step}")]
    if page.state == ANNOUNCED and page.overdue(now):
        text = f"maintenance of {application} that was to end {_minutes(now, page)} ago is still announced"
        return [Finding(Status.WARNING, f"{text} by {page.owner or 'nobody named'}", f"end it: {step}")]
    return []


def _minutes(now: datetime, page: Maintenance) -> str:
    return f"{(now - page.ends).total_seconds() / 60:.0f} minutes" if page.ends else "some time"
