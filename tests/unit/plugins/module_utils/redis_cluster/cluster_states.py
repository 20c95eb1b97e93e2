"""States and wishes that the tests of this folder share."""

from __future__ import annotations

from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import (
    Endpoint,
    Member,
    NodeView,
    State,
    Wanted,
)
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.plan import fresh


def node(host: int, port: int = 6379) -> Endpoint:
    """One instance on the machine ``data<host>``."""
    return Endpoint(f"data{host}", f"10.0.0.{10 + host}", port)


def six() -> Wanted:
    """The demo's cluster: three hosts with two instances each."""
    return Wanted(tuple(node(host, port) for host in (1, 2, 3) for port in (6379, 6380)), 1)


def untouched(wanted: Wanted) -> State:
    """Every instance is new."""
    return State(tuple(fresh(endpoint) for endpoint in wanted.nodes))


def view(
    endpoint: Endpoint,
    node_id: str,
    members: list[Member],
    *,
    keys: int = 0,
    state_ok: bool = True,
    link_up: bool = True,
    config_epoch: int = 1,
) -> NodeView:
    """What ``endpoint`` says, in one line."""
    return NodeView(
        endpoint=endpoint,
        node_id=node_id,
        members=tuple(members),
        state_ok=state_ok,
        config_epoch=config_epoch,
        keys=keys,
        link_up=link_up,
    )


def formed(masters: dict[Endpoint, tuple[int, int]], replicas: dict[Endpoint, Endpoint]) -> State:
    """A cluster in full service with these masters (and their slots) and replicas (and their masters)."""
    ids = {endpoint: f"id-{endpoint.address}-{endpoint.port}" for endpoint in (*masters, *replicas)}
    members = [Member(ids[endpoint], frozenset({"master"}), None, (slots,)) for endpoint, slots in masters.items()]
    members += [Member(ids[one], frozenset({"slave"}), ids[master]) for one, master in replicas.items()]
    return State(tuple(view(endpoint, node_id, members) for endpoint, node_id in ids.items()))
