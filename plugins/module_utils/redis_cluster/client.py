# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Speak to Redis instances through redis-py: typed views in, actions out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, Callable

from .model import (
    Action,
    AddSlots,
    Endpoint,
    Meet,
    NodeView,
    Pulse,
    RedisClusterError,
    Replicate,
    SetEpoch,
    State,
    Wanted,
)
from .parse import parse_info, parse_nodes

try:
    import redis
except ImportError:
    redis = None  # type: ignore[assignment, unused-ignore]
    REDIS_IMPORT_ERROR = traceback.format_exc()
else:
    REDIS_IMPORT_ERROR = ""

SOCKET_TIMEOUT_SECONDS = 3.0
"""How long one connection attempt or one answer may take."""


class Unreachable(RedisClusterError):
    """Nobody answers at an endpoint."""


class Loading(RedisClusterError):
    """The instance is up but still reads its data set from disk."""


class Client:
    """The instances of one cluster, all with the same password."""

    def __init__(self, password: str | None, connect: Callable[[Endpoint], Any] | None = None) -> None:
        self._password = password
        self._connect = connect or self._redis
        self._connections: dict[Endpoint, Any] = {}

    def state(self, wanted: Wanted, absent: Callable[[Endpoint], NodeView] | None = None) -> State:
        """The views of all nodes. ``absent`` gives the view to take for a node that nobody answers for.

        Raises Unreachable (without ``absent``), Loading, and RedisClusterError for an instance that refuses the
        password or has the cluster mode switched off.
        """
        views = []
        for node in wanted.nodes:
            try:
                views.append(self.view(node))
            except Unreachable:
                if absent is None:
                    raise
                views.append(absent(node))
        return State(tuple(views))

    def view(self, node: Endpoint) -> NodeView:
        """What one instance says."""
        members = parse_nodes(self._call(node, "CLUSTER", "NODES"))
        info = parse_info(self._call(node, "CLUSTER", "INFO"))
        own_id = next((member.node_id for member in members if "myself" in member.flags), "")
        replication = _pairs(self._call(node, "INFO", "replication"))
        return NodeView(
            endpoint=node,
            node_id=own_id,
            members=members,
            state_ok=info.get("cluster_state") == "ok",
            config_epoch=int(info.get("cluster_my_epoch", 0)),
            keys=int(self._call(node, "DBSIZE")),
            link_up=replication.get("role") != "slave" or replication.get("master_link_status") == "up",
        )

    def pulse(self, node: Endpoint) -> Pulse:
        """Whether one instance, member of a cluster or not, serves. Raises as :meth:`state` does."""
        server = _pairs(self._call(node, "INFO", "cluster"))
        if str(server.get("cluster_enabled")) != "1":
            return Pulse(0, True)
        info = parse_info(self._call(node, "CLUSTER", "INFO"))
        return Pulse(int(info.get("cluster_slots_assigned", 0)), info.get("cluster_state") == "ok")

    def apply(self, action: Action, state: State) -> None:
        """Carry out one action; ``state`` tells the ids of the nodes."""
        if isinstance(action, SetEpoch):
            self._call(action.node, "CLUSTER", "SET-CONFIG-EPOCH", action.epoch)
        elif isinstance(action, AddSlots):
            slots = [slot for first, last in action.slots for slot in range(first, last + 1)]
            self._call(action.node, "CLUSTER", "ADDSLOTS", *slots)
        elif isinstance(action, Meet):
            self._call(action.node, "CLUSTER", "MEET", action.other.address, action.other.port)
        elif isinstance(action, Replicate):
            self._call(action.node, "CLUSTER", "REPLICATE", state.view(action.master).node_id)

    def _call(self, node: Endpoint, *words: Any) -> Any:
        if node not in self._connections:
            self._connections[node] = self._connect(node)
        try:
            return self._connections[node].execute_command(*words)
        except redis.exceptions.AuthenticationError as error:
            raise RedisClusterError(_refused(node, error)) from error
        except redis.exceptions.BusyLoadingError as error:
            raise Loading(f"{node.label} is still loading its data from disk") from error
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
            raise Unreachable(
                f"nodes: {node.label} does not answer ({error}): start that instance, or correct its address and port"
            ) from error
        except redis.exceptions.ResponseError as error:
            raise RedisClusterError(_response(node, words[0:2], error)) from error

    def _redis(self, node: Endpoint) -> Any:
        return redis.Redis(
            host=node.address,
            port=node.port,
            password=self._password,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            decode_responses=True,
        )


def _pairs(answer: Any) -> Mapping[str, Any]:
    """An answer to INFO, which redis-py has read already."""
    return answer if isinstance(answer, Mapping) else parse_info(str(answer))


def _refused(node: Endpoint, error: Exception) -> str:
    reason = str(error).rstrip(".")
    return f"password: {node.label} refused the one that was given (masked): {reason}. Give the one it was set up with"


def _response(node: Endpoint, command: tuple[Any, ...], error: Exception) -> str:
    text = str(error)
    if "NOAUTH" in text or "WRONGPASS" in text or "Authentication required" in text:
        return _refused(node, error)
    if "cluster support disabled" in text:
        return f"nodes: {node.label} has its cluster mode switched off: set cluster-enabled yes and restart it"
    return f"{node.label} refused {' '.join(str(word) for word in command)}: {text}"
