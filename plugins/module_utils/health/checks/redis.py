# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis server, alone or as the member of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, Unreachable, judged, level
from ..net import where
from ..options import option
from ..tools import Deadline, Tools
from ..units import human_bytes

SLOTS = 16384

_CLUSTER_STEP = "look at redis-cli CLUSTER NODES, start what is down, then run the site playbook"


@dataclass(frozen=True)
class Node:
    """A line of CLUSTER NODES; ``address`` is without port."""

    identity: str
    address: str
    port: int
    flags: tuple[str, ...]
    master: str
    connected: bool
    slots: int

    @property
    def is_master(self) -> bool:
        return "master" in self.flags

    @property
    def failed(self) -> bool:
        return "fail" in self.flags

    @property
    def name(self) -> str:
        return where(self.address, self.port)


def parse_nodes(text: str) -> list[Node]:
    """Read CLUSTER NODES: ``id address:port@bus[,name] flags master ping pong epoch link slots...``."""
    nodes = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 8:
            continue
        address, _dummy, port = words[1].split(",")[0].split("@")[0].rpartition(":")
        slots = 0
        for item in words[8:]:
            # [slot->-id] and [slot-<-id] are slots on the move; they are counted where they are assigned.
            if item.startswith("["):
                continue
            first, dash, last = item.partition("-")
            slots += int(last if dash else first) - int(first) + 1
        nodes.append(
            Node(
                words[0],
                address.strip("[]"),
                int(port or 0),
                tuple(words[2].split(",")),
                "" if words[3] == "-" else words[3],
                words[7] == "connected",
                slots,
            )
        )
    return nodes


def parse_pairs(text: str) -> dict[str, str]:
    """Read the ``key:value`` lines of CLUSTER INFO."""
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)


@dataclass(frozen=True)
class ServerState:
    """INFO, and for a cluster CLUSTER INFO and CLUSTER NODES."""

    info: Mapping[str, Any]
    took_ms: float
    cluster: Mapping[str, str] | None = None
    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True)
class RedisCheck(Check):
    """Logs in, pings, and reads what the server says of itself and of its cluster."""

    TYPE: ClassVar[str] = "redis"
    WEIGHT: ClassVar[float] = 3
    LIBRARIES: ClassVar[tuple[str, ...]] = ("redis",)

    host: str = option("str", "127.0.0.1", about="Name or address.")
    port: int = option("port", 6379, about="Port.")
    username: str = option("str", "", about="ACL user; the default user by default.")
    password: str = option("str", "", about="Its password; never shown.")
    tls: bool = option("bool", False, about="Whether to connect with TLS; on where O(ca_file) is given.")
    ca_file: str = option("str", "", about="PEM file of the authority that signed the server's certificate.")
    role: str = option("str", "", choices=("master", "replica"), about="The role that it has to have.")
    cluster: bool = option("bool", False, about="Whether it is a member of a cluster that has to be whole.")
    nodes: int = option("int", 0, minimum=0, about="How many nodes the cluster has to know; 0 for any number.")
    replicas: int = option("int", 1, minimum=0, about="Replicas that each master needs on other hosts than its own.")
    memory_warn_percent: float = option("percent", 80, about="Warning at this share of maxmemory.")
    memory_crit_percent: float = option("percent", 95, about="Critical at this share of maxmemory.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        if self.memory_warn_percent > self.memory_crit_percent > 0:
            return ["memory_warn_percent is above memory_crit_percent"]
        return []

    def target(self) -> str:
        return where(self.host, self.port)

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.ask(tools, deadline))

    def judge(self, state: ServerState) -> Outcome:
        """Hold the server's state against what is wanted of it."""
        role = "master" if state.info.get("role") == "master" else "replica"
        seen = [role, f"Redis {state.info.get('redis_version', '?')}", f"{state.took_ms:.0f} ms"]
        wanted = [f"a {self.role}" if self.role else "an answer"]
        if self.warn_ms:
            wanted.append(f"in less than {self.warn_ms:g} ms")
        findings = [
            level(
                state.took_ms,
                self.warn_ms,
                None,
                f"the answer took {state.took_ms:.0f} ms",
                "look at slow commands (SLOWLOG GET) and at the load of the host",
            )
        ]
        if self.role and self.role != role:
            findings.append(
                Finding(Status.CRITICAL, f"the server is a {role}", "look where the master is, or correct the address")
            )
        findings += self._memory(state.info, seen)
        findings += _persistence(state.info)
        if role == "replica" and state.info.get("master_link_status") == "down":
            findings.append(Finding(Status.WARNING, "the link to its master is down", "look at the master and its log"))
        if state.cluster is not None:
            wanted.append(f"a cluster in state ok with all {SLOTS} slots")
            if self.replicas:
                wanted.append(f"{self.replicas} replica{'s' * (self.replicas > 1)} of each master on other hosts")
            seen.append(
                f"cluster {state.cluster.get('cluster_state', '?')}, "
                f"{state.cluster.get('cluster_slots_assigned', '?')} slots, {len(state.nodes)} nodes"
            )
            findings += self._cluster(state.cluster, state.nodes)
        return judged(
            findings,
            seen=", ".join(seen),
            wanted=", ".join(wanted),
            fine=", ".join(seen),
            measures={
                "answer_ms": round(state.took_ms, 1),
                "memory_bytes": float(state.info.get("used_memory", 0)),
            },
        )

    def _memory(self, info: Mapping[str, Any], seen: list[str]) -> list[Finding]:
        used, limit = float(info.get("used_memory", 0)), float(info.get("maxmemory", 0))
        if not limit:
            return []
        percent = 100 * used / limit
        seen.append(f"{percent:.0f} % of {human_bytes(limit)}")
        if info.get("maxmemory_policy", "noeviction") != "noeviction":
            # A cache is full by design; only a store that is full refuses writes.
            return []
        return [
            level(
                percent,
                self.memory_warn_percent,
                self.memory_crit_percent,
                f"{percent:.0f} % of maxmemory ({human_bytes(limit)}) is in use, and writes fail when it is full",
                "raise the memory of Redis, add masters, or look for keys without expiry (redis-cli --bigkeys)",
            )
        ]

    def _cluster(self, info: Mapping[str, str], nodes: tuple[Node, ...]) -> list[Finding]:
        findings = []
        state = info.get("cluster_state", "?")
        assigned = int(info.get("cluster_slots_assigned", 0))
        if info.get("cluster_enabled") == "0" or (not nodes and state == "?"):
            return [Finding(Status.CRITICAL, "the server is in no cluster", "run the site playbook to make it join")]
        if assigned < SLOTS:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"{SLOTS - assigned} of {SLOTS} slots are assigned to no node",
                    "look at redis-cli CLUSTER NODES, then run the site playbook to assign them",
                )
            )
        failing = int(info.get("cluster_slots_fail", 0))
        if failing:
            findings.append(Finding(Status.CRITICAL, f"{failing} slots are on failed nodes", _CLUSTER_STEP))
        if state != "ok" and not findings:
            findings.append(Finding(Status.CRITICAL, f"the cluster is in state {state}", _CLUSTER_STEP))
        if self.nodes and len(nodes) != self.nodes:
            findings.append(
                Finding(Status.WARNING, f"the cluster knows {len(nodes)} nodes, wanted are {self.nodes}", _CLUSTER_STEP)
            )
        down = [node.name for node in nodes if node.failed or "noaddr" in node.flags]
        if down:
            findings.append(Finding(Status.WARNING, f"down: {', '.join(sorted(down))}", _CLUSTER_STEP))
        findings += self._replicas(nodes)
        return findings

    def _replicas(self, nodes: tuple[Node, ...]) -> list[Finding]:
        """Masters whose replicas would not outlive the loss of the master's host."""
        findings = []
        for master in (node for node in nodes if node.is_master and node.slots and not node.failed):
            mine = [node for node in nodes if node.master == master.identity and not node.failed]
            elsewhere = [node for node in mine if node.address != master.address]
            if len(elsewhere) >= self.replicas:
                continue
            near = f", {len(mine) - len(elsewhere)} on its own host" if len(mine) > len(elsewhere) else ""
            findings.append(
                Finding(
                    Status.WARNING,
                    f"master {master.name} has {len(elsewhere)} of {self.replicas} replicas on other hosts{near}",
                    "start the missing replicas, or run the site playbook to place them on other hosts",
                )
            )
        return findings

    def ask(self, tools: Tools, deadline: Deadline) -> ServerState:
        """Log in and ask. Raises CouldNotRun and Unreachable."""
        try:
            redis = tools.load("redis")
        except ImportError:
            raise CouldNotRun(
                "the Python library redis is missing on this host", "install the package python3-redis"
            ) from None
        options: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "username": self.username or None,
            "password": self.password or None,
            "socket_timeout": deadline.left(),
            "socket_connect_timeout": deadline.left(),
            "decode_responses": True,
        }
        if self.tls or self.ca_file:
            options.update(ssl=True, ssl_ca_certs=self.ca_file or None, ssl_check_hostname=True)
        client = redis.Redis(**options)
        try:
            client.ping()
            took_ms = deadline.spent_ms()
            info = client.info()
            cluster: dict[str, str] | None = None
            nodes: tuple[Node, ...] = ()
            if self.cluster and info.get("cluster_enabled") == 1:
                # As two words, so that no version of the library parses the answer its own way.
                cluster = parse_pairs(client.execute_command("CLUSTER", "INFO"))
                nodes = tuple(parse_nodes(client.execute_command("CLUSTER", "NODES")))
            elif self.cluster:
                cluster = {"cluster_enabled": "0"}
        except redis.exceptions.RedisError as error:
            raise self._unreachable(error) from None
        finally:
            client.close()
        return ServerState(info, took_ms, cluster, nodes)

    def _unreachable(self, error: Exception) -> Unreachable:
        text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        lower = text.lower()
        if "refused" in lower or "cannot assign requested address" in lower:
            return Unreachable(
                f"connection to {self.target()} refused: nothing listens there",
                f"start Redis on port {self.port}, or correct host and port",
            )
        if "timeout" in lower or "timed out" in lower:
            return Unreachable(
                f"no answer from {self.target()} in time",
                "look whether the host is up, whether a firewall drops the port, and at SLOWLOG GET",
            )
        if any(word in lower for word in ("noauth", "wrongpass", "invalid password", "authentication required")):
            return Unreachable(f"{self.target()} refuses the password: {text}", "correct the password of Redis")
        if "noperm" in lower or "no permissions" in lower:
            return Unreachable(
                f"{self.target()} refuses a command: {text}", "allow the user ping, info and cluster in its ACL"
            )
        if "loading" in lower:
            return Unreachable(f"{self.target()} is loading its data", "wait until it has read its file")
        return Unreachable(f"{self.target()}: {text}", "look into the log of Redis")


def _persistence(info: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for key, what in (
        ("rdb_last_bgsave_status", "the last snapshot failed"),
        ("aof_last_write_status", "the last write to the append-only file failed"),
        ("aof_last_bgrewrite_status", "the last rewrite of the append-only file failed"),
    ):
        if info.get(key, "ok") != "ok":
            findings.append(
                Finding(Status.WARNING, what, "look at the disk's free space, vm.overcommit_memory and Redis's log")
            )
    return findings
