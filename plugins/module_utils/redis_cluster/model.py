# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words of this domain: endpoints, what each node says of the cluster, and actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Union

SLOTS = 16384
"""Hash slots of every Redis Cluster (Redis Cluster specification)."""

BUS_OFFSET = 10000
"""A node's cluster bus listens on its client port plus this."""

MINIMUM_MASTERS = 3
"""Fewer masters cannot elect a successor when one of them dies."""

Ranges = tuple[tuple[int, int], ...]
"""Slots as ordered, disjoint, inclusive ranges."""


class RedisClusterError(Exception):
    """Something that the operator must resolve; the message names the option and the node."""


@dataclass(frozen=True)
class Endpoint:
    """Where one Redis instance listens.

    ``host`` is the machine it runs on and decides placement only; ``address`` and ``port`` are where it is reached.
    """

    host: str
    address: str
    port: int

    @property
    def label(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.host} ({address}:{self.port})"


@dataclass(frozen=True)
class Member:
    """One line of CLUSTER NODES: what the node asked believes of another (or of itself)."""

    node_id: str
    flags: frozenset[str]
    master_id: str | None = None
    slots: Ranges = ()

    @property
    def joining(self) -> bool:
        """Not a member yet: its id is a placeholder until the handshake ends."""
        return "handshake" in self.flags


@dataclass(frozen=True)
class NodeView:
    """All that one node says: of itself, of its cluster, and of the others."""

    endpoint: Endpoint
    node_id: str
    members: tuple[Member, ...]
    state_ok: bool = False
    config_epoch: int = 0
    keys: int = 0
    link_up: bool = True
    """False only on a replica that is not in touch with its master."""

    @property
    def own(self) -> Member:
        for member in self.members:
            if member.node_id == self.node_id:
                return member
        raise RedisClusterError(f"{self.endpoint.label}: CLUSTER NODES does not list the node itself")

    @property
    def slots(self) -> Ranges:
        return self.own.slots

    @property
    def master_id(self) -> str | None:
        return self.own.master_id

    @property
    def known(self) -> frozenset[str]:
        """Ids of all members that this node knows, itself included."""
        return frozenset(member.node_id for member in self.members if not member.joining)

    @property
    def alone(self) -> bool:
        return self.known == {self.node_id}


@dataclass(frozen=True)
class Pulse:
    """The least that one instance says: whether its cluster serves. A single server has no slots."""

    slots_assigned: int
    state_ok: bool


@dataclass(frozen=True)
class State:
    """The views of all wanted nodes, in the order in which they are wanted."""

    views: tuple[NodeView, ...]

    def view(self, endpoint: Endpoint) -> NodeView:
        for view in self.views:
            if view.endpoint == endpoint:
                return view
        raise KeyError(endpoint.label)

    def by_id(self, node_id: str | None) -> NodeView | None:
        for view in self.views:
            if view.node_id == node_id:
                return view
        return None


@dataclass(frozen=True)
class Wanted:
    """The cluster that shall be: its nodes and how many replicas each master has."""

    nodes: tuple[Endpoint, ...]
    replicas: int

    @property
    def masters(self) -> int:
        return len(self.nodes) // (self.replicas + 1)


@dataclass(frozen=True)
class SetEpoch:
    """Give a node that is still alone its own configuration epoch, so that no two masters ever tie."""

    node: Endpoint
    epoch: int

    def __str__(self) -> str:
        return f"set the configuration epoch of {self.node.label} to {self.epoch}"


@dataclass(frozen=True)
class AddSlots:
    """Make a node serve slots that nobody serves."""

    node: Endpoint
    slots: Ranges

    def __str__(self) -> str:
        return f"assign slots {ranges_text(self.slots)} to {self.node.label}"


@dataclass(frozen=True)
class Meet:
    """Introduce a node to another one."""

    node: Endpoint
    other: Endpoint

    def __str__(self) -> str:
        return f"introduce {self.node.label} to {self.other.label}"


@dataclass(frozen=True)
class Replicate:
    """Make an empty node the replica of a master."""

    node: Endpoint
    master: Endpoint

    def __str__(self) -> str:
        return f"make {self.node.label} a replica of {self.master.label}"


Action = Union[SetEpoch, AddSlots, Meet, Replicate]


def slots_of(ranges: Ranges) -> set[int]:
    """The single slots in ``ranges``."""
    return {slot for first, last in ranges for slot in range(first, last + 1)}


def ranges_of(slots: Iterable[int]) -> Ranges:
    """The fewest ordered ranges that hold exactly ``slots``."""
    found: list[tuple[int, int]] = []
    for slot in sorted(set(slots)):
        if found and found[-1][1] == slot - 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return tuple(found)


def ranges_text(ranges: Ranges) -> str:
    """``ranges`` for people, as Redis writes them: ``0-5460,5462``."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
