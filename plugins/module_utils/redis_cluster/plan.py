# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Observed topology and wanted topology -> the ordered actions between them.

Creation and completion only. What could lose data or hide a fault is refused by name: slots that are lost, nodes of
another cluster, nodes that hold keys. A cluster whose roles were swapped by a failover is as good as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from .layout import check_wanted, choose_masters, place_replicas, share_slots
from .model import (
    SLOTS,
    Action,
    AddSlots,
    Endpoint,
    Meet,
    Member,
    NodeView,
    RedisClusterError,
    Replicate,
    SetEpoch,
    State,
    Wanted,
    ranges_of,
    ranges_text,
    slots_of,
)


def fresh(endpoint: Endpoint) -> NodeView:
    """The view of an instance that has never been in a cluster."""
    node_id = f"new:{endpoint.address}:{endpoint.port}"
    return NodeView(endpoint, node_id, (Member(node_id, frozenset({"myself", "master"})),))


def unsettled(state: State) -> tuple[str, ...]:
    """What is still in motion, so that a plan made now could be wrong: handshakes, and a failover not yet known."""
    found = [
        f"{view.endpoint.label} is still shaking hands with another node"
        for view in state.views
        if any(member.joining for member in view.members)
    ]
    for one, other in combinations(state.views, 2):
        if other.node_id in one.known and slots_of(one.slots) & slots_of(other.slots):
            found.append(f"{one.endpoint.label} and {other.endpoint.label} both claim slots after a failover")
    return tuple(found)


def plan(state: State, wanted: Wanted) -> tuple[Action, ...]:
    """The actions that turn ``state`` into ``wanted``, in order; empty when it is so already.

    ``state`` holds one view for each wanted node and is settled. Every Replicate comes last: a node can only follow a
    master that it knows, so the caller waits for all introductions before.

    Raises RedisClusterError for a wish that cannot be fulfilled and for a state that must not be touched.
    """
    check_wanted(wanted)
    _refuse_strangers(state)
    owners = _slot_owners(state)
    missing = set(range(SLOTS)) - set(owners)
    if missing:
        actions, masters = _create(state, wanted, owners, missing)
    else:
        actions, masters = (), _established(state, wanted, owners)
    return (*actions, *_introduce(state), *_follow(state, wanted, masters))


def predict(state: State, actions: Sequence[Action]) -> State:
    """The state that ``actions`` lead to once every node has heard of them."""
    views = {view.endpoint: view for view in state.views}
    for action in actions:
        view = views[action.node]
        if isinstance(action, SetEpoch):
            views[action.node] = replace(view, config_epoch=action.epoch)
        elif isinstance(action, AddSlots):
            slots = ranges_of(slots_of(view.slots) | slots_of(action.slots))
            views[action.node] = _with_own(view, replace(view.own, slots=slots))
        elif isinstance(action, Replicate):
            flags = (view.own.flags - {"master"}) | {"slave"}
            own = replace(view.own, flags=flags, master_id=views[action.master].node_id)
            views[action.node] = _with_own(view, own)
        else:
            other = views[action.other]
            views[action.node] = _acquainted(view, other)
            views[action.other] = _acquainted(other, view)
    predicted = _heard(State(tuple(views[view.endpoint] for view in state.views)))
    whole = len(_slot_owners(predicted)) == SLOTS
    return State(tuple(replace(view, state_ok=whole) for view in predicted.views))


def obstacles(state: State) -> tuple[str, ...]:
    """Why the cluster is not in full service yet; empty when it is."""
    found = list(unsettled(state))
    everybody = {view.node_id for view in state.views}
    for view in state.views:
        name = view.endpoint.label
        strangers = everybody - view.known
        if strangers:
            found.append(f"{name} does not know {len(strangers)} of the other nodes yet")
        masters = {member.node_id: member.master_id for member in view.members}
        found += [
            f"{name} has not heard of the role of {other.endpoint.label} yet"
            for other in state.views
            if other.node_id in masters and masters[other.node_id] != other.master_id
        ]
        if not view.state_ok:
            found.append(f"{name} reports cluster_state:fail")
        if not view.link_up:
            found.append(f"{name} is not in sync with its master")
    return tuple(found)


def unacquainted(state: State) -> tuple[str, ...]:
    """Which nodes do not know all others yet; empty when every node can follow any other."""
    everybody = {view.node_id for view in state.views}
    return tuple(
        f"{view.endpoint.label} does not know {len(everybody - view.known)} of the other nodes yet"
        for view in state.views
        if everybody - view.known
    )


def misplaced(state: State) -> tuple[str, ...]:
    """Replicas that run on the host of their master: that host's death would take the whole shard."""
    found = []
    for view in state.views:
        master = state.by_id(view.master_id)
        if master is not None and master.endpoint.host == view.endpoint.host:
            found.append(f"{view.endpoint.label} is a replica of {master.endpoint.label} on its own host")
    return tuple(found)


def describe(state: State) -> str:
    """The topology for people, one node a line, in the order of the wanted nodes."""
    lines = []
    for view in state.views:
        master = state.by_id(view.master_id)
        if view.master_id is not None:
            role = f"replica of {master.endpoint.label if master else view.master_id}"
        elif view.slots:
            role = f"master of {ranges_text(view.slots)}"
        else:
            role = "in no cluster" if view.alone else "without a role"
        lines.append(f"{view.endpoint.label}: {role}\n")
    return "".join(lines)


def _refuse_strangers(state: State) -> None:
    ours = {view.node_id for view in state.views}
    for view in state.views:
        foreign = sorted(view.known - ours)
        if foreign:
            raise RedisClusterError(
                f"{view.endpoint.label} is in a cluster with nodes that are not in nodes (first id {foreign[0]}): name "
                f"every member of that cluster, or take the lost member out with CLUSTER FORGET, or, where it "
                f"belongs to another cluster and its data may go, empty it with FLUSHALL and CLUSTER RESET HARD"
            )
        if view.keys and not view.slots and view.master_id is None:
            raise RedisClusterError(
                f"{view.endpoint.label} holds {view.keys} keys and serves no slots: it would lose them by joining. "
                f"Empty it with FLUSHALL if its data may go, or name another instance in nodes"
            )


def _slot_owners(state: State) -> dict[int, NodeView]:
    """Who serves each slot, by what the masters say of themselves."""
    owners: dict[int, NodeView] = {}
    for view in state.views:
        for slot in slots_of(view.slots):
            twin = owners.setdefault(slot, view)
            if twin is not view:
                raise RedisClusterError(
                    f"{twin.endpoint.label} and {view.endpoint.label} both serve slot {slot}: they belong to two "
                    f"clusters, which are never merged. Name the nodes of one cluster only"
                )
    return owners


def _create(
    state: State, wanted: Wanted, owners: dict[int, NodeView], missing: set[int]
) -> tuple[tuple[Action, ...], tuple[Endpoint, ...]]:
    """First steps of a new cluster, or the rest of them when an earlier run was cut short."""
    masters = choose_masters(wanted)
    shares = share_slots(masters)
    planned = {slot: master for master, share in shares.items() for slot in slots_of(share)}
    stray = next((slot for slot, view in owners.items() if planned[slot] != view.endpoint), None)
    if stray is not None or any(view.master_id for view in state.views):
        raise RedisClusterError(
            f"nodes: slots {ranges_text(ranges_of(missing))} of an existing cluster are served by nobody: their data "
            f"is lost or its node is gone. Restore that node, or repair by hand with redis-cli --cluster fix: it is "
            f"never done automatically"
        )
    actions: list[Action] = []
    for index, view in enumerate(state.views, start=1):
        if view.alone and view.config_epoch == 0:
            actions.append(SetEpoch(view.endpoint, index))
        lacking = {slot for slot, master in planned.items() if master == view.endpoint} & missing
        if lacking:
            actions.append(AddSlots(view.endpoint, ranges_of(lacking)))
    return tuple(actions), masters


def _established(state: State, wanted: Wanted, owners: dict[int, NodeView]) -> tuple[Endpoint, ...]:
    serving = {view.node_id for view in owners.values()}
    masters = tuple(view.endpoint for view in state.views if view.node_id in serving)
    if len(masters) != wanted.masters:
        raise RedisClusterError(
            f"nodes: {len(wanted.nodes)} nodes with replicas={wanted.replicas} make {wanted.masters} masters, but the "
            f"existing cluster has {len(masters)} ({', '.join(node.label for node in masters)}): this module creates "
            f"and completes clusters and does not move slots. Name as many nodes as the cluster has"
        )
    return masters


def _introduce(state: State) -> tuple[Action, ...]:
    """Every pair that is not acquainted meets directly: faster than to wait for gossip."""
    return tuple(
        Meet(one.endpoint, other.endpoint)
        for one, other in combinations(state.views, 2)
        if other.node_id not in one.known or one.node_id not in other.known
    )


def _follow(state: State, wanted: Wanted, masters: tuple[Endpoint, ...]) -> tuple[Action, ...]:
    followers: dict[Endpoint, Endpoint] = {}
    free: list[Endpoint] = []
    for view in state.views:
        master: NodeView | None = state.by_id(view.master_id)
        if master is not None:
            followers[view.endpoint] = master.endpoint
        elif view.endpoint not in masters:
            free.append(view.endpoint)
    places = place_replicas(masters, followers, free, wanted.replicas)
    return tuple(Replicate(node, master) for node, master in places.items())


def _with_own(view: NodeView, own: Member) -> NodeView:
    return replace(view, members=tuple(own if member.node_id == own.node_id else member for member in view.members))


def _heard(state: State) -> State:
    """Every node believes of the others it knows what they say of themselves."""
    own = {view.node_id: view.own for view in state.views}
    return State(
        tuple(
            replace(view, members=tuple(own.get(member.node_id, member) for member in view.members))
            for view in state.views
        )
    )


def _acquainted(view: NodeView, met: NodeView) -> NodeView:
    if met.node_id in view.known:
        return view
    return replace(view, members=(*view.members, Member(met.node_id, frozenset({"master"}))))
