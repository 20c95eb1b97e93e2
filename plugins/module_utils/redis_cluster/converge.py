# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read a settled state, and carry a plan out with the waits that Redis needs between its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Protocol, cast

from .client import Loading, Unreachable
from .model import SLOTS, Action, Endpoint, NodeView, Pulse, RedisClusterError, Replicate, State, Wanted
from .plan import obstacles, unacquainted, unsettled
from .wait import wait_until


@dataclass(frozen=True)
class Timing:
    """How long each wait may last (seconds), by which monotonic clock, and how to pause."""

    timeout_seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


class Nodes(Protocol):
    """What this module needs of a client."""

    def state(self, wanted: Wanted, absent: Callable[[Endpoint], NodeView] | None = None) -> State: ...

    def apply(self, action: Action, state: State) -> None: ...


class Instance(Protocol):
    """What waiting for one instance needs of a client."""

    def pulse(self, node: Endpoint) -> Pulse: ...


def read(nodes: Nodes, wanted: Wanted, timing: Timing, absent: Callable[[Endpoint], NodeView] | None = None) -> State:
    """The state, once no handshake, failover or loading is under way."""
    return _observe(nodes, wanted, timing, unsettled, absent)


def serving(nodes: Nodes, wanted: Wanted, timing: Timing) -> State:
    """The state, once every node knows all others, serves, and every replica is in sync."""
    return _observe(nodes, wanted, timing, obstacles)


def apply(nodes: Nodes, wanted: Wanted, state: State, actions: Sequence[Action], timing: Timing) -> State:
    """Carry out ``actions`` and wait until the cluster serves.

    Replicas come after a wait of their own: a node can only follow a master that it knows.
    """
    first = [action for action in actions if not isinstance(action, Replicate)]
    last = [action for action in actions if isinstance(action, Replicate)]
    for action in first:
        nodes.apply(action, state)
    if last:
        _observe(nodes, wanted, timing, unacquainted)
    for replicate in last:
        nodes.apply(replicate, state)
    return _observe(nodes, wanted, timing, lambda seen: (*_not_following(seen, last), *obstacles(seen)))


def was_serving(instance: Instance, node: Endpoint) -> bool:
    """Whether an instance served before its restart, so that it has to again.

    One that refuses the password serves: it has an older one. One that does not answer, or whose cluster is down, may
    need the restart, and those of other hosts, to serve again.
    """
    try:
        return instance.pulse(node).state_ok
    except (Loading, Unreachable):
        return False
    except RedisClusterError:
        return True


def back_in_service(instance: Instance, node: Endpoint, timing: Timing, *, whole: bool) -> Pulse:
    """Wait until a started instance answers and, with ``whole``, its cluster (where it was formed) serves."""

    def look() -> Pulse | Loading | Unreachable:
        try:
            return instance.pulse(node)
        except (Loading, Unreachable) as error:
            return error

    def judge(seen: Pulse | Loading | Unreachable) -> Sequence[str]:
        if not isinstance(seen, Pulse):
            return (str(seen),)
        if whole and seen.slots_assigned == SLOTS and not seen.state_ok:
            return (f"{node.label} reports cluster_state:fail",)
        return ()

    seen = wait_until(look, judge, timeout_seconds=timing.timeout_seconds, clock=timing.clock, sleep=timing.sleep)
    return cast(Pulse, seen)


def _not_following(state: State, actions: Sequence[Replicate]) -> tuple[str, ...]:
    return tuple(
        f"{action.node.label} does not follow {action.master.label} yet"
        for action in actions
        if state.view(action.node).master_id != state.view(action.master).node_id
    )


def _observe(
    nodes: Nodes,
    wanted: Wanted,
    timing: Timing,
    left: Callable[[State], Sequence[str]],
    absent: Callable[[Endpoint], NodeView] | None = None,
) -> State:
    def look() -> State | Loading:
        try:
            return nodes.state(wanted, absent)
        except Loading as error:
            return error

    def judge(seen: State | Loading) -> Sequence[str]:
        return left(seen) if isinstance(seen, State) else (str(seen),)

    seen = wait_until(look, judge, timeout_seconds=timing.timeout_seconds, clock=timing.clock, sleep=timing.sleep)
    return cast(State, seen)
