# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One Redis server: it answers, takes writes, keeps what it is given, and has room left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..model import Finding, Outcome, Status, judged, level
from ..net import where
from ..options import option
from ..redis_login import RedisLogin, number, unit
from ..steps import journal, site
from ..tools import Deadline, Tools
from ..units import human_bytes

PERSISTENCE = ("aof", "rdb", "both", "any", "none")


@dataclass(frozen=True)
class ServerState:
    """What the server says of itself.

    ``info`` is INFO as redis-py reads it; ``config`` holds those settings that the user may read;
    ``now`` is the time at which ``info`` was read, in seconds since 1970.
    """

    info: Mapping[str, Any]
    took_ms: float
    now: float = 0.0
    config: Mapping[str, str] = field(default_factory=dict)
    slow_commands: int | None = None


@dataclass(frozen=True)
class RedisCheck(RedisLogin):
    """Logs in, pings, and reads what the server says of itself."""

    TYPE: ClassVar[str] = "redis"
    WEIGHT: ClassVar[float] = 3

    role: str = option("str", "", choices=("master", "replica"), about="The role that it has to have.")
    memory_warn_percent: float = option("percent", 80, about="Warning at this share of maxmemory.")
    memory_crit_percent: float = option("percent", 95, about="Critical at this share of maxmemory.")
    clients_warn_percent: float = option("percent", 80, about="Warning at this share of maxclients.")
    clients_crit_percent: float = option("percent", 95, about="Critical at this share of maxclients.")
    persistence: str = option("str", "", choices=PERSISTENCE, about="How it has to keep its data on disk.")
    save_warn_seconds: float = option(
        "number", 0, minimum=0, about="Warning when changes wait so long for a snapshot; 0 for none."
    )
    # A master pings its replicas every ten seconds, so that much silence says nothing.
    lag_warn_seconds: float = option(
        "number", 20, minimum=0, about="Warning at this silence between master and replica."
    )
    lag_crit_seconds: float = option("number", 60, minimum=0, about="Critical at this silence.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        return [
            f"{kind}_warn_{unit} is above {kind}_crit_{unit}"
            for kind, unit in (("memory", "percent"), ("clients", "percent"), ("lag", "seconds"))
            if getattr(self, f"{kind}_warn_{unit}") > getattr(self, f"{kind}_crit_{unit}") > 0
        ]

    def target(self) -> str:
        return where(self.host, self.port)

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.ask(tools, deadline))

    def judge(self, state: ServerState) -> Outcome:
        """Hold the server's state against what is wanted of it."""
        info = state.info
        role = "master" if info.get("role") == "master" else "replica"
        seen = [role, f"Redis {info.get('redis_version', '?')}", f"{state.took_ms:.0f} ms"]
        wanted = [f"a {self.role}" if self.role else "an answer"]
        if self.warn_ms:
            wanted.append(f"in less than {self.warn_ms:g} ms")
        findings = [
            level(
                state.took_ms,
                self.warn_ms,
                None,
                f"the answer took {state.took_ms:.0f} ms",
                f"look at slow commands ({self._cli('SLOWLOG GET')}) and at the load of the host (`systemd-cgtop`)",
            )
        ]
        if self.role and self.role != role:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"the server is a {role}",
                    f"look where the master is ({self._cli('INFO replication')}), or correct the address",
                )
            )
        findings += self._memory(info, seen)
        findings += self._clients(info, seen)
        findings += _disk(state, self._disk_step())
        if self.persistence or self.save_warn_seconds:
            findings += self._persistence(state, seen, wanted)
        findings += self._replication(info, role, seen)
        return judged(
            findings,
            seen=", ".join(seen),
            wanted=", ".join(wanted),
            fine=", ".join(seen),
            measures=_measures(state),
        )

    def _cli(self, command: str) -> str:
        return self.cli(self.host, self.port, command)

    def _disk_step(self) -> str:
        return (
            "look at the disk's free space (`df -h /var/lib/redis`), at `sysctl vm.overcommit_memory` and into Redis's"
            f" log: {journal(unit(self.port))}"
        )

    def _counts_anew(self) -> str:
        return f"then {self._cli('CONFIG RESETSTAT')} counts anew"

    def _memory(self, info: Mapping[str, Any], seen: list[str]) -> list[Finding]:
        limit = number(info, "maxmemory")
        # A cache is full by design and evicts; only a store that is full refuses writes.
        if not limit or info.get("maxmemory_policy", "noeviction") != "noeviction":
            if limit:
                seen.append(f"{100 * number(info, 'used_memory') / limit:.0f} % of {human_bytes(limit)}")
            return []
        percent = 100 * number(info, "used_memory") / limit
        seen.append(f"{percent:.0f} % of {human_bytes(limit)}")
        findings = [
            level(
                percent,
                self.memory_warn_percent,
                self.memory_crit_percent,
                f"{percent:.0f} % of maxmemory ({human_bytes(limit)}) is in use, and writes fail when it is full",
                f"raise the memory of Redis, add masters, or look for keys without expiry: {self._cli('--bigkeys')}",
            )
        ]
        evicted, refused = number(info, "evicted_keys"), _errors(info, "OOM")
        if evicted:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{evicted:.0f} keys were evicted since the start, though nothing may be with noeviction",
                    f"look who changed maxmemory-policy ({self._cli('CONFIG GET maxmemory-policy')}),"
                    f" {self._counts_anew()}",
                )
            )
        if refused:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{refused:.0f} writes were refused since the start because the memory was full",
                    f"raise the memory of Redis, {self._counts_anew()}",
                )
            )
        return findings

    def _clients(self, info: Mapping[str, Any], seen: list[str]) -> list[Finding]:
        limit, count = number(info, "maxclients"), number(info, "connected_clients")
        findings = []
        if limit:
            percent = 100 * count / limit
            seen.append(f"{count:.0f} of {limit:.0f} clients")
            findings.append(
                level(
                    percent,
                    self.clients_warn_percent,
                    self.clients_crit_percent,
                    f"{count:.0f} of {limit:.0f} clients are connected ({percent:.0f} %)",
                    f"look who holds the connections ({self._cli('CLIENT LIST')}), or raise maxclients",
                )
            )
        rejected = number(info, "rejected_connections")
        if rejected:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{rejected:.0f} connections were refused since the start because there were too many",
                    f"look who holds connections ({self._cli('CLIENT LIST')}) or raise maxclients,"
                    f" {self._counts_anew()}",
                )
            )
        return findings

    def _persistence(self, state: ServerState, seen: list[str], wanted: list[str]) -> list[Finding]:
        """Whether what is written outlives a restart, as far as the user may see it."""
        aof, save = bool(number(state.info, "aof_enabled")), state.config.get("save")
        if save is None:
            seen.append("save points not seen: the user may not run CONFIG GET")
        seen.append(" and ".join(["AOF"] * aof + ["snapshots"] * bool(save)) or "no persistence")
        findings = []
        if self.persistence:
            wanted.append(
                {"any": "AOF or snapshots", "both": "AOF and snapshots", "aof": "AOF", "rdb": "snapshots"}.get(
                    self.persistence, "no persistence"
                )
            )
            lacking = _lacking(self.persistence, aof, save)
            if lacking:
                findings.append(Finding(Status.WARNING, lacking, f"set appendonly and save in Redis: {site('redis')}"))
        changes, age = number(state.info, "rdb_changes_since_last_save"), 0.0
        if changes:
            age = max(0.0, state.now - number(state.info, "rdb_last_save_time"))
        if self.save_warn_seconds:
            wanted.append(f"changes in a snapshot within {self.save_warn_seconds:g} s")
        findings.append(
            level(
                age,
                self.save_warn_seconds,
                None,
                f"{changes:.0f} changes are in no snapshot, the last one is {age:.0f} s old",
                f"look at the save points ({self._cli('CONFIG GET save')}); {self._disk_step()}",
            )
        )
        return findings

    def _replication(self, info: Mapping[str, Any], role: str, seen: list[str]) -> list[Finding]:
        if role == "replica":
            return [self._link(info, seen)]
        findings = []
        for key in sorted(key for key in info if re.fullmatch(r"slave\d+", key)):
            replica = info[key] if isinstance(info[key], Mapping) else {}
            name, state = where(str(replica.get("ip", "?")), int(number(replica, "port"))), replica.get("state", "?")
            seen.append(f"replica {name} {state}")
            if state != "online":
                # Nothing is said about a lag before the first transfer has ended.
                findings.append(
                    Finding(
                        Status.WARNING,
                        f"replica {name} is in state {state}",
                        f"look into its log: {journal(unit(int(number(replica, 'port'))))} on {replica.get('ip', '?')}",
                    )
                )
                continue
            findings.append(self._silence(f"replica {name} last answered {{}} s ago", number(replica, "lag")))
        return findings

    def _link(self, info: Mapping[str, Any], seen: list[str]) -> Finding:
        master = where(str(info.get("master_host", "?")), int(number(info, "master_port")))
        if info.get("master_link_status") == "up":
            seen.append(f"replica of {master}")
            return self._silence(
                f"its master {master} was last heard of {{}} s ago", number(info, "master_last_io_seconds_ago")
            )
        down = max(0.0, number(info, "master_link_down_since_seconds"))
        ping = self.cli(str(info.get("master_host", "?")), int(number(info, "master_port")), "ping")
        step = f"look whether {master} is up ({ping}) and into both logs ({journal(unit(self.port))})"
        if number(info, "master_sync_in_progress"):
            return Finding(
                Status.WARNING, f"the first transfer from its master {master} is under way", "wait for its end"
            )
        finding = self._silence(f"the link to its master {master} is down since {{}} s", down)
        return Finding(max((finding.status, Status.WARNING), key=lambda status: status.rank), finding.message, step)

    def _silence(self, text: str, seconds: float) -> Finding:
        return level(
            seconds,
            self.lag_warn_seconds,
            self.lag_crit_seconds,
            text.format(f"{seconds:.0f}"),
            f"look at the link between the two and at the load of both hosts: {self._cli('INFO replication')}",
        )

    def ask(self, tools: Tools, deadline: Deadline) -> ServerState:
        """Log in and ask. Raises CouldNotRun and Unreachable."""
        response_error = tools.library("redis", "python3-redis").exceptions.ResponseError

        def look(client: Any) -> ServerState:
            try:
                client.ping()
            except response_error as error:
                # While it refuses writes because it cannot keep them it refuses PING, too, and INFO says why.
                if "MISCONF" not in str(error):
                    raise
            took_ms = deadline.spent_ms()
            info = client.info()
            config: dict[str, str] = {}
            slow = None
            # A user with few rights may look all the same; what it is refused is not seen.
            with suppress(response_error):
                slow = int(client.slowlog_len())
            with suppress(response_error):
                # One at a time: several names in one command are for Redis 7 and newer.
                for name in ("save", "stop-writes-on-bgsave-error"):
                    config.update(client.config_get(name))
            return ServerState(info, took_ms, tools.now(), config, slow)

        return self.with_client(tools, self.host, self.port, deadline.left(), look)


def _errors(info: Mapping[str, Any], kind: str) -> float:
    """How often commands ended in an error of this kind (Redis 6.2 and newer)."""
    raw = info.get(f"errorstat_{kind}")
    # A single field is a text for older versions of the library, a dictionary for newer ones.
    return number(raw, "count") if isinstance(raw, Mapping) else float(str(raw or "=0").rpartition("=")[2])


def _disk(state: ServerState, step: str) -> list[Finding]:
    """Writes to disk that fail, and what to do then. Redis itself refuses writes while it cannot keep them."""
    info, findings = state.info, []
    if info.get("aof_last_write_status", "ok") != "ok":
        findings.append(
            Finding(
                Status.CRITICAL,
                "the last write to the append-only file failed, and writes are refused until one succeeds",
                step,
            )
        )
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        refuses = bool(state.config.get("save")) and state.config.get("stop-writes-on-bgsave-error") == "yes"
        findings.append(
            Finding(
                Status.CRITICAL if refuses else Status.WARNING,
                f"the last snapshot failed{', and writes are refused until one succeeds' if refuses else ''}",
                step,
            )
        )
    if info.get("aof_last_bgrewrite_status", "ok") != "ok":
        findings.append(Finding(Status.WARNING, "the last rewrite of the append-only file failed", step))
    return findings


def _lacking(wanted: str, aof: bool, save: str | None) -> str:
    """What the server lacks of the persistence wanted; ``save`` is None where it cannot be seen."""
    if wanted in ("aof", "both") and not aof:
        return "the append-only file is off"
    if wanted in ("rdb", "both") and save == "":
        return "no snapshots are taken"
    if wanted == "any" and not aof and save == "":
        return "neither the append-only file nor snapshots are on: a restart loses everything"
    if wanted == "none" and (aof or save):
        return "it keeps its data on disk, which is not wanted"
    return ""


def _measures(state: ServerState) -> dict[str, float]:
    info = state.info
    measures = {
        "answer_ms": round(state.took_ms, 1),
        "memory_bytes": number(info, "used_memory"),
        "clients": number(info, "connected_clients"),
        "evicted_keys": number(info, "evicted_keys"),
        "rejected_connections": number(info, "rejected_connections"),
        "refused_writes": _errors(info, "OOM"),
        "fragmentation_ratio": number(info, "mem_fragmentation_ratio"),
    }
    if number(info, "maxmemory"):
        measures["memory_percent"] = round(100 * measures["memory_bytes"] / number(info, "maxmemory"), 1)
    if number(info, "maxclients"):
        measures["clients_percent"] = round(100 * measures["clients"] / number(info, "maxclients"), 1)
    if state.slow_commands is not None:
        measures["slow_commands"] = float(state.slow_commands)
    return measures
