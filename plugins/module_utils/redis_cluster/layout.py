# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who becomes a master and who follows whom, so that no host's death takes a whole shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .model import BUS_OFFSET, MINIMUM_MASTERS, SLOTS, Endpoint, Ranges, RedisClusterError, Wanted

_HIGHEST_PORT = 65535 - BUS_OFFSET


def check_wanted(wanted: Wanted) -> None:
    """Refuse a wish that no Redis Cluster can fulfil.

    Raises RedisClusterError for fewer than three masters, negative replicas, an endpoint named twice and a port whose
    bus port (port + 10000) does not exist.
    """
    if wanted.replicas < 0:
        raise RedisClusterError(f"replicas: received {wanted.replicas}, expected 0 or more replicas for each master")
    seen: dict[tuple[str, int], Endpoint] = {}
    for node in wanted.nodes:
        if not 1 <= node.port <= _HIGHEST_PORT:
            raise RedisClusterError(
                f"nodes: {node.label} has port {node.port}, expected 1 to {_HIGHEST_PORT}, "
                f"because the cluster bus listens on the port plus {BUS_OFFSET}"
            )
        twin = seen.setdefault((node.address, node.port), node)
        if twin is not node:
            raise RedisClusterError(f"nodes: {node.label} and {twin.label} are one endpoint: name each instance once")
    if wanted.masters < MINIMUM_MASTERS:
        needed = MINIMUM_MASTERS * (wanted.replicas + 1)
        raise RedisClusterError(
            f"nodes: {len(wanted.nodes)} nodes with replicas={wanted.replicas} make {wanted.masters} masters, but a "
            f"Redis Cluster needs at least {MINIMUM_MASTERS} to survive the loss of one: give at least {needed} nodes, "
            f"or fewer replicas"
        )


def choose_masters(wanted: Wanted) -> tuple[Endpoint, ...]:
    """The nodes that start as masters: host after host in the given order, so that they spread evenly."""
    by_host: dict[str, list[Endpoint]] = {}
    for node in wanted.nodes:
        by_host.setdefault(node.host, []).append(node)
    rounds = max(len(nodes) for nodes in by_host.values())
    spread = [nodes[turn] for turn in range(rounds) for nodes in by_host.values() if turn < len(nodes)]
    return tuple(spread[: wanted.masters])


def share_slots(masters: Sequence[Endpoint]) -> dict[Endpoint, Ranges]:
    """All slots in equal, consecutive shares (they differ by one slot at most)."""
    count = len(masters)
    return {
        master: ((index * SLOTS // count, (index + 1) * SLOTS // count - 1),) for index, master in enumerate(masters)
    }


def place_replicas(
    masters: Sequence[Endpoint], followers: Mapping[Endpoint, Endpoint], free: Sequence[Endpoint], replicas: int
) -> dict[Endpoint, Endpoint]:
    """A master on another host for each node in ``free``.

    ``followers`` are the replicas that are already there (replica -> master). Each master ends with at least
    ``replicas`` of them; nodes left over go where the fewest are. Among equals the order of ``masters`` decides, and
    hosts that hold no replica of that master yet come first. A maximum bipartite matching (augmenting paths) finds a
    placement whenever one exists.

    Raises RedisClusterError when a replica could only be placed on its master's host.
    """
    counts = Counter(followers.values())
    seats = [(master, seat) for seat in range(replicas) for master in masters if seat >= counts[master]]
    taken: dict[Endpoint, tuple[Endpoint, int]] = {}
    for master, seat in seats:
        if len(taken) == len(free):
            break
        if not _seat(master, seat, masters, free, taken, set()):
            raise RedisClusterError(_unplaceable(master, free, taken))
    placed = {node: master for node, (master, _count) in taken.items()}
    for node in free:
        if node not in placed:
            placed[node] = _least_followed(node, masters, counts + Counter(placed.values()))
    return {node: placed[node] for node in free}


def _seat(
    master: Endpoint,
    seat: int,
    masters: Sequence[Endpoint],
    free: Sequence[Endpoint],
    taken: dict[Endpoint, tuple[Endpoint, int]],
    tried: set[Endpoint],
) -> bool:
    """Give one seat of ``master`` a replica, moving those seated before where that makes room."""
    for node in _preferred(master, seat, masters, free, taken):
        if node in tried:
            continue
        tried.add(node)
        holder = taken.get(node)
        if holder is None or _seat(holder[0], holder[1], masters, free, taken, tried):
            taken[node] = (master, seat)
            return True
    return False


def _preferred(
    master: Endpoint,
    seat: int,
    masters: Sequence[Endpoint],
    free: Sequence[Endpoint],
    taken: Mapping[Endpoint, tuple[Endpoint, int]],
) -> list[Endpoint]:
    """Nodes on other hosts, free ones first, those of the next host in the circle before those farther on."""
    hosts = list(dict.fromkeys(node.host for node in (*masters, *free)))
    start = hosts.index(master.host)
    used = {node.host for node, (other, _count) in taken.items() if other == master}

    def rank(node: Endpoint) -> tuple[bool, bool, int]:
        distance = (hosts.index(node.host) - start) % len(hosts)
        return node in taken, node.host in used, (distance - 1 + seat) % len(hosts) if distance else 0

    return sorted((node for node in free if node.host != master.host), key=rank)


def _least_followed(node: Endpoint, masters: Sequence[Endpoint], counts: Mapping[Endpoint, int]) -> Endpoint:
    elsewhere = [master for master in masters if master.host != node.host]
    if not elsewhere:
        raise RedisClusterError(
            f"nodes: {node.label} could only be a replica of a master on its own host: "
            f"spread the nodes over more hosts, so that a host's death never takes a whole shard"
        )
    return min(elsewhere, key=lambda master: counts.get(master, 0))


def _unplaceable(master: Endpoint, free: Sequence[Endpoint], taken: Mapping[Endpoint, object]) -> str:
    left: Endpoint | None = next((node for node in free if node not in taken), None)
    rest = f"; {left.label} is left and has no place" if left else ""
    return (
        f"nodes: no instance on another host is left to be a replica of {master.label}{rest}: "
        f"spread the nodes over more hosts (no host may hold more than its share), or lower replicas"
    )
