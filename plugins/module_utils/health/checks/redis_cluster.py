# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis Cluster as a whole: every slot served, replicas on other hosts, and one view that all nodes share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar

from ..model import Finding, Outcome, Status, Unreachable, judged, level
from ..net import split_address, where
from ..options import option
from ..parallel import ask_each
from ..redis_login import RedisLogin, parse_pairs, unit
from ..steps import journal, site
from ..tools import Deadline, Tools

SLOTS = 16384


@dataclass(frozen=True)
class Node:
    """A line of CLUSTER NODES; ``address`` is without port, ``slots`` are first and last of each range."""

    identity: str
    address: str
    port: int
    flags: tuple[str, ...]
    master: str
    connected: bool
    slots: tuple[tuple[int, int], ...] = ()

    @property
    def is_master(self) -> bool:
        return "master" in self.flags

    @property
    def failed(self) -> bool:
        return "fail" in self.flags or "noaddr" in self.flags

    @property
    def is_member(self) -> bool:
        """Whether it is more than an address that is being introduced."""
        return "handshake" not in self.flags

    @property
    def name(self) -> str:
        return where(self.address, self.port)

    @property
    def slot_count(self) -> int:
        return sum(last - first + 1 for first, last in self.slots)


def parse_nodes(text: str) -> list[Node]:
    """Read CLUSTER NODES: ``id address:port@bus[,name] flags master ping pong epoch link slots...``."""
    nodes = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 8:
            continue
        address, _dummy, port = words[1].split(",")[0].split("@")[0].rpartition(":")
        # [slot->-id] and [slot-<-id] are slots on the move; they are counted where they are assigned.
        ranges = [item.partition("-") for item in words[8:] if not item.startswith("[")]
        nodes.append(
            Node(
                words[0],
                address.strip("[]"),
                int(port or 0),
                tuple(words[2].split(",")),
                "" if words[3] == "-" else words[3],
                words[7] == "connected",
                tuple((int(first), int(last or first)) for first, _dash, last in ranges),
            )
        )
    return nodes


def free_slots(nodes: Iterable[Node]) -> list[tuple[int, int]]:
    """The ranges of slots that no node has."""
    found, wanted = [], 0
    for first, last in sorted(slots for node in nodes for slots in node.slots):
        if first > wanted:
            found.append((wanted, first - 1))
        wanted = max(wanted, last + 1)
    return [*found, (wanted, SLOTS - 1)] if wanted < SLOTS else found


def ranges_text(ranges: Sequence[tuple[int, int]]) -> str:
    """``0-5460, 9``, shortened after five ranges."""
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:5]]
    return ", ".join(texts) + (", ..." if len(ranges) > 5 else "")


@dataclass(frozen=True)
class View:
    """What one node says: CLUSTER INFO, CLUSTER NODES, and of INFO the section replication."""

    asked: str
    info: Mapping[str, str]
    nodes: tuple[Node, ...] = ()
    replication: Mapping[str, Any] = field(default_factory=dict)
    took_ms: float = 0.0

    @property
    def identity(self) -> str:
        return next((node.identity for node in self.nodes if "myself" in node.flags), "")

    @cached_property
    def signature(self) -> frozenset[tuple[str, str, tuple[tuple[int, int], ...]]]:
        """What all nodes have to agree on: who is a member, whom it follows, and who has which slots.

        Flags of failure are left out: suspicion is each node's own.
        """
        return frozenset(
            (node.identity, node.master, tuple(sorted(node.slots))) for node in self.nodes if node.is_member
        )


@dataclass(frozen=True)
class ClusterState:
    """The views of all nodes that answered, and for the others why they did not, by ``host:port``."""

    views: tuple[View, ...]
    silent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RedisClusterCheck(RedisLogin):
    """Asks every node of a cluster, and holds what they say against each other."""

    TYPE: ClassVar[str] = "redis_cluster"
    WEIGHT: ClassVar[float] = 3

    nodes: Sequence[str] = option(
        "strings", (), about="Nodes that have to be members, as host:port; any of them tells of the others."
    )
    size: int = option("int", 0, minimum=0, about="How many nodes the cluster has to have; 0 for any number.")
    replicas: int = option("int", 1, minimum=0, about="Replicas that each master needs on other hosts than its own.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds of the slowest node.")

    def problems(self) -> list[str]:
        problems = []
        for node in self.nodes:
            try:
                split_address(node)
            except ValueError as error:
                problems.append(f"nodes: {error}")
        if 0 < self.size < len(set(self.nodes)):
            problems.append(f"size ({self.size}) is less than the {len(set(self.nodes))} nodes that are named")
        return problems

    def target(self) -> str:
        starts = self._starts()
        more = f" and {len(starts) - 1} more" if len(starts) > 1 else ""
        return f"{where(*starts[0])}{more}"

    def _starts(self) -> list[tuple[str, int]]:
        named = dict.fromkeys(split_address(node) for node in self.nodes)
        return list(named) or [(self.host, self.port)]

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.ask(tools, deadline))

    def judge(self, state: ClusterState) -> Outcome:
        """Hold what the nodes say against what is wanted, and against each other."""
        members = [view for view in state.views if view.nodes]
        if not members:
            return Outcome(
                Status.CRITICAL,
                "no cluster",
                "a cluster in state ok",
                f"{', '.join(view.asked for view in state.views)} runs without cluster support",
                f"`slipway_redis_mode: cluster`, then {site('redis')}; or check it as a single server (type redis)",
            )
        reference = _reference(members)
        # In an order of our own: each look at CLUSTER NODES may list them in another.
        nodes = sorted((node for node in reference.nodes if node.is_member), key=lambda node: (node.address, node.port))
        down = self._down(nodes, state)
        shown = self.cli(*split_address(reference.asked), "CLUSTER NODES")
        step = f"{shown} shows what is down: start that, then {site('redis')}"
        slowest = max(members, key=lambda view: view.took_ms)
        slow = self.cli(*split_address(slowest.asked), "SLOWLOG GET")
        findings = [
            level(
                slowest.took_ms,
                self.warn_ms,
                None,
                f"{slowest.asked} took {slowest.took_ms:.0f} ms to answer",
                f"look at slow commands ({slow}) and at the load of its host (`systemd-cgtop`)",
            ),
            *_slots(nodes, f"look at {shown}, then {site('redis')} assigns them"),
            *_down_findings(nodes, down),
            *_states(members, reference, step),
            *self._membership(nodes, state, step),
            *_disagreements(members, reference, shown),
            *_links(members, nodes, down),
            *self._replicas(nodes, down),
        ]
        assigned = sum(node.slot_count for node in nodes)
        masters = sum(1 for node in nodes if node.is_master and node.slots)
        seen = (
            f"cluster {reference.info.get('cluster_state', '?')}, {assigned} slots on {masters} masters, "
            f"{len(nodes)} nodes on {len({node.address for node in nodes})} hosts, {len(members)} of them answer"
        )
        wanted = [f"state ok, all {SLOTS} slots served, one view"]
        if self.size:
            wanted.append(f"{self.size} nodes")
        if self.replicas:
            wanted.append(f"{self.replicas} replica{'s' * (self.replicas > 1)} of each master on other hosts")
        return judged(
            findings,
            seen=seen,
            wanted=", ".join(wanted),
            fine=seen,
            measures={
                "answer_ms": round(slowest.took_ms, 1),
                "nodes": float(len(nodes)),
                "nodes_answering": float(len(members)),
                "slots_assigned": float(assigned),
            },
        )

    def _down(self, nodes: Sequence[Node], state: ClusterState) -> dict[str, str]:
        """Members that do not work, by name, and why."""
        answering = {view.identity for view in state.views}
        down = {}
        for node in nodes:
            if node.failed:
                down[node.name] = state.silent.get(node.name, "the cluster holds it for failed")
            elif node.identity not in answering and node.name in state.silent:
                down[node.name] = state.silent[node.name]
        return down

    def _membership(self, nodes: Sequence[Node], state: ClusterState, step: str) -> list[Finding]:
        identities, names = {node.identity for node in nodes}, {node.name for node in nodes}
        findings = []
        for view in state.views:
            if view.identity not in identities:
                findings.append(
                    Finding(Status.WARNING, f"{view.asked} is no member of the cluster", f"{site('redis')} adds it")
                )
        for name, reason in state.silent.items():
            if name not in names:
                findings.append(Finding(Status.WARNING, f"{name} is missing: {reason}", step))
        if self.size and len(nodes) != self.size:
            findings.append(
                Finding(Status.WARNING, f"the cluster has {len(nodes)} nodes, wanted are {self.size}", step)
            )
        return findings

    def _replicas(self, nodes: Sequence[Node], down: Mapping[str, str]) -> list[Finding]:
        """Masters whose replicas would not outlive the loss of the master's host."""
        findings = []
        for master in (node for node in nodes if node.is_master and node.slots and node.name not in down):
            mine = [node for node in nodes if node.master == master.identity and node.name not in down]
            elsewhere = [node for node in mine if node.address != master.address]
            if len(elsewhere) >= self.replicas:
                continue
            near = f", {len(mine) - len(elsewhere)} on its own host" if len(mine) > len(elsewhere) else ""
            findings.append(
                Finding(
                    Status.WARNING,
                    f"master {master.name} has {len(elsewhere)} of {self.replicas} replicas on other hosts{near}",
                    f"start the missing replicas, or let {site('redis')} place them on other hosts",
                )
            )
        return findings

    def ask(self, tools: Tools, deadline: Deadline) -> ClusterState:
        """Ask the start nodes, and then the nodes that they tell of. Raises CouldNotRun and Unreachable."""
        tools.library("redis", "python3-redis")
        views: list[View] = []
        silent: dict[str, str] = {}
        refusals: list[Unreachable] = []
        asked: set[tuple[str, int]] = set()
        wave = self._starts()
        # A host that drops packets must leave time to hear the others.
        for share in (0.4, 0.8):
            seconds = max(0.01, share * deadline.left())
            answers = ask_each(partial(self._view, tools, seconds), wave, deadline, seconds)
            asked.update(wave)
            for node, answer in answers.items():
                if isinstance(answer, View):
                    views.append(answer)
                    continue
                silent[where(*node)] = answer.message if isinstance(answer, Unreachable) else str(answer)
                if isinstance(answer, Unreachable):
                    refusals.append(answer)
            known = {view.identity for view in views}
            told = {
                (node.address, node.port): None
                for view in views
                for node in view.nodes
                if node.identity not in known and node.is_member and node.address and "noaddr" not in node.flags
            }
            wave = [node for node in told if node not in asked]
            if not wave:
                break
        if not views:
            if len(silent) == 1 and refusals:
                raise refusals[0]
            step = refusals[0].next_step if refusals else "look whether the hosts are up and a firewall drops the ports"
            raise Unreachable(f"no node answers: {'; '.join(dict.fromkeys(silent.values()))}", step)
        return ClusterState(_once(views), silent)

    def _view(self, tools: Tools, seconds: float, node: tuple[str, int]) -> View:
        started = tools.clock()

        def look(client: Any) -> View:
            replication = client.info("replication")
            if client.info("cluster").get("cluster_enabled") != 1:
                return View(where(*node), {}, took_ms=(tools.clock() - started) * 1000)
            # As two words, so that no version of the library parses the answer its own way.
            info = parse_pairs(client.execute_command("CLUSTER", "INFO"))
            nodes = tuple(
                # A node that has never been introduced does not know its own address.
                node_seen if node_seen.address else replace(node_seen, address=node[0])
                for node_seen in parse_nodes(client.execute_command("CLUSTER", "NODES"))
            )
            return View(where(*node), info, nodes, replication, (tools.clock() - started) * 1000)

        return self.with_client(tools, *node, seconds, look)


def _once(views: Sequence[View]) -> tuple[View, ...]:
    """Each node once, though it may have been asked under two names."""
    return tuple({view.identity or view.asked: view for view in reversed(views)}.values())[::-1]


def _reference(views: Sequence[View]) -> View:
    """The view that most nodes share; of several, the one with most slots, then with most nodes."""
    shared = Counter(view.signature for view in views)

    def weight(view: View) -> tuple[int, int, int]:
        return shared[view.signature], sum(node.slot_count for node in view.nodes), len(view.nodes)

    return max(views, key=weight)


def _states(views: Sequence[View], reference: View, step: str) -> list[Finding]:
    """A node that holds the cluster for failed serves nobody."""
    wrong = [view for view in views if view.info.get("cluster_state") != "ok"]
    if not wrong:
        return []
    state = reference.info.get("cluster_state", "?")
    if len(wrong) == len(views):
        return [Finding(Status.CRITICAL, f"the cluster is in state {state}", step)]
    names = ", ".join(f"{view.asked} ({view.info.get('cluster_state', '?')})" for view in wrong)
    return [Finding(Status.CRITICAL, f"not every node is in state ok: {names}", step)]


def _slots(nodes: Sequence[Node], step: str) -> list[Finding]:
    free = free_slots(nodes)
    if not free:
        return []
    count = sum(last - first + 1 for first, last in free)
    return [
        Finding(
            Status.CRITICAL,
            f"{count} of {SLOTS} slots are assigned to no node ({ranges_text(free)})",
            step,
        )
    ]


def _down_findings(nodes: Sequence[Node], down: Mapping[str, str]) -> list[Finding]:
    """What is down, a line for each host; critical where slots went with it."""
    findings = []
    for address in dict.fromkeys(node.address for node in nodes):
        here = [node for node in nodes if node.address == address]
        gone = [node for node in here if node.name in down]
        if not gone:
            continue
        names = ", ".join(node.name for node in gone)
        whole = len(gone) == len(here) and len(here) < len(nodes)
        reasons = "; ".join(dict.fromkeys(down[node.name] for node in gone))
        lost = [slots for node in gone for slots in node.slots]
        served = f", and slots {ranges_text(lost)} are not served" if lost else ""
        findings.append(
            Finding(
                Status.CRITICAL if lost else Status.WARNING,
                f"{f'host {address} is missing with' if whole else 'down:'} {names} ({reasons}){served}",
                f"start Redis on {address}: `systemctl start {' '.join(unit(node.port) for node in gone)}`,"
                f" then {site('redis')}",
            )
        )
    return findings


def _disagreements(views: Sequence[View], reference: View, shown: str) -> list[Finding]:
    others = [view for view in views if view.signature != reference.signature]
    if not others:
        return []
    names = ", ".join(
        f"{view.asked} ({sum(node.slot_count for node in view.nodes)} slots, {len(view.nodes)} nodes)"
        for view in others
    )
    return [
        Finding(
            Status.WARNING,
            f"{len(others)} of {len(views)} nodes see another cluster than the rest: {names}",
            f"wait a few seconds after a change; if it stays, {shown} of both tells; then {site('redis')}",
        )
    ]


def _links(views: Sequence[View], nodes: Sequence[Node], down: Mapping[str, str]) -> list[Finding]:
    """Nodes that answer but that others cannot reach, and replicas without a link to their master."""
    findings = []
    for node in nodes:
        if node.name in down:
            continue
        without = [
            view.asked
            for view in views
            for other in view.nodes
            if other.identity == node.identity and (not other.connected or "fail?" in other.flags)
        ]
        if without:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{node.name} cannot be reached by {', '.join(without)}",
                    f"look whether a firewall drops port {node.port + 10000}, the bus: `nft list ruleset` on both",
                )
            )
    masters = {node.identity: node.name for node in nodes}
    followed = {node.identity: masters.get(node.master, "its master") for node in nodes if node.master}
    for view in views:
        master = followed.get(view.identity, "its master")
        cut_off = view.replication.get("role") == "slave" and view.replication.get("master_link_status") == "down"
        if cut_off and master not in down:
            log = journal(unit(split_address(view.asked)[1]))
            findings.append(
                Finding(
                    Status.WARNING,
                    f"replica {view.asked} has no link to {master}",
                    f"look into the log of both ({log}), and at the password (masterauth)",
                )
            )
    return findings
