# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One Redis server: judged from states, and what its client says put in plain words."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.redis import RedisCheck, ServerState
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools
from hypothesis import given
from hypothesis import strategies as st

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
NOW = 1_700_000_000.0
INFO: dict[str, Any] = {
    "role": "master",
    "redis_version": "8.0.2",
    "used_memory": 10_000_000,
    "maxmemory": 100_000_000,
    "connected_clients": 10,
    "maxclients": 100,
    "aof_enabled": 1,
    "rdb_last_save_time": int(NOW) - 5000,
    "rdb_changes_since_last_save": 0,
}
SAVES = {"save": "900 1", "stop-writes-on-bgsave-error": "yes"}
REPLICA = {"role": "slave", "master_host": "10.0.0.1", "master_port": 6379, "master_link_status": "up"}


def state(config: dict[str, str] | None = None, **info: Any) -> ServerState:
    return ServerState({**INFO, **info}, 3.0, NOW, SAVES if config is None else config, 4)


def replica_of(**info: Any) -> ServerState:
    return state(None, **{**REPLICA, **info})


def with_replica(**fields: Any) -> ServerState:
    return state(None, slave0={"ip": "10.0.0.2", "port": 6379, "state": "online", "lag": 0, **fields})


@pytest.mark.parametrize(
    ("options", "seen", "status", "words"),
    [
        ({}, state(), OK, "10 % of 100.0 MB, 10 of 100 clients"),
        ({"role": "replica"}, state(), CRITICAL, "is a master"),
        ({"role": "replica"}, replica_of(), OK, "replica of 10.0.0.1:6379"),
        # Memory
        ({}, state(used_memory=80_000_000), WARNING, "80 % of maxmemory"),
        ({}, state(used_memory=96_000_000), CRITICAL, "96 % of maxmemory"),
        ({}, state(used_memory=99_000_000, maxmemory_policy="allkeys-lru"), OK, "99 % of 100.0 MB"),
        ({}, state(maxmemory=0), OK, ""),
        ({}, state(evicted_keys=3), WARNING, "3 keys were evicted"),
        ({}, state(evicted_keys=3, maxmemory_policy="allkeys-lru"), OK, ""),
        ({}, state(errorstat_OOM="count=7"), WARNING, "7 writes were refused"),
        ({}, state(errorstat_OOM={"count": 7}), WARNING, "7 writes were refused"),
        # Clients
        ({}, state(connected_clients=80), WARNING, "80 of 100 clients are connected (80 %)"),
        ({}, state(connected_clients=95), CRITICAL, "95 of 100 clients"),
        ({"clients_warn_percent": 5}, state(), WARNING, "10 of 100"),
        ({}, state(maxclients=None), OK, ""),
        ({}, state(rejected_connections=2), WARNING, "2 connections were refused"),
        # Disk
        ({}, state(rdb_last_bgsave_status="err"), CRITICAL, "snapshot failed, and writes are refused"),
        ({}, state({"save": ""}, rdb_last_bgsave_status="err"), WARNING, "snapshot failed"),
        (
            {},
            state({**SAVES, "stop-writes-on-bgsave-error": "no"}, rdb_last_bgsave_status="err"),
            WARNING,
            "snapshot failed",
        ),
        ({}, state({}, rdb_last_bgsave_status="err"), WARNING, "snapshot failed"),
        ({}, state(aof_last_write_status="err"), CRITICAL, "append-only file failed, and writes are refused"),
        ({}, state(aof_last_bgrewrite_status="err"), WARNING, "rewrite of the append-only file failed"),
        # Persistence
        ({"persistence": "both"}, state(), OK, "AOF and snapshots"),
        ({"persistence": "aof"}, state(aof_enabled=0), WARNING, "the append-only file is off"),
        ({"persistence": "rdb"}, state({"save": ""}), WARNING, "no snapshots are taken"),
        ({"persistence": "both"}, state({"save": ""}), WARNING, "no snapshots are taken"),
        ({"persistence": "any"}, state({"save": ""}), OK, "AOF"),
        ({"persistence": "any"}, state({"save": ""}, aof_enabled=0), WARNING, "a restart loses everything"),
        ({"persistence": "none"}, state({"save": ""}, aof_enabled=0), OK, "no persistence"),
        ({"persistence": "none"}, state(), WARNING, "which is not wanted"),
        ({"persistence": "rdb"}, state({}), OK, "save points not seen"),
        ({"save_warn_seconds": 3600}, state(rdb_changes_since_last_save=9), WARNING, "9 changes are in no snapshot"),
        ({"save_warn_seconds": 3600}, state(), OK, ""),
        ({"save_warn_seconds": 6000}, state(rdb_changes_since_last_save=9), OK, ""),
        # Replication
        ({}, replica_of(master_last_io_seconds_ago=11), OK, ""),
        ({}, replica_of(master_last_io_seconds_ago=20), WARNING, "its master 10.0.0.1:6379 was last heard of 20 s ago"),
        ({}, replica_of(master_last_io_seconds_ago=61), CRITICAL, "61 s ago"),
        (
            {},
            replica_of(master_link_status="down", master_link_down_since_seconds=2),
            WARNING,
            "the link to its master 10.0.0.1:6379 is down since 2 s",
        ),
        ({}, replica_of(master_link_status="down", master_link_down_since_seconds=-1), WARNING, "is down"),
        ({}, replica_of(master_link_status="down", master_link_down_since_seconds=60), CRITICAL, "down since 60 s"),
        ({}, replica_of(master_link_status="down", master_sync_in_progress=1), WARNING, "transfer"),
        ({}, with_replica(), OK, "replica 10.0.0.2:6379 online"),
        ({}, with_replica(state="wait_bgsave"), WARNING, "in state wait_bgsave"),
        ({}, with_replica(lag=25), WARNING, "replica 10.0.0.2:6379 last answered 25 s ago"),
        ({}, with_replica(lag=90), CRITICAL, "90 s ago"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], seen: ServerState, status: Status, words: str
) -> None:
    outcome = make_check(type="redis", **options).judge(seen)
    assert outcome.status is status, outcome.message
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


@given(
    used=st.integers(0, 10**12),
    limit=st.integers(1, 10**12),
    policy=st.sampled_from(["noeviction", "allkeys-lru", "volatile-ttl"]),
)
def test_memory_is_judged_by_its_share_of_a_store(used: int, limit: int, policy: str) -> None:
    outcome = RedisCheck().judge(state(used_memory=used, maxmemory=limit, maxmemory_policy=policy))
    share = 100 * used / limit
    full = CRITICAL if share >= 95 else WARNING if share >= 80 else OK
    assert outcome.status is (full if policy == "noeviction" else OK)
    assert outcome.measures["memory_percent"] == pytest.approx(share, abs=0.1)


def test_measures(make_check: Callable[..., Any]) -> None:
    measures = make_check(type="redis").judge(state(evicted_keys=0, mem_fragmentation_ratio=1.4)).measures
    assert measures["fragmentation_ratio"] == 1.4
    assert measures["slow_commands"] == 4
    assert measures["clients_percent"] == 10


class FakeError(Exception):
    """Stands for redis.exceptions.RedisError."""


class FakeRefusal(FakeError):
    """Stands for redis.exceptions.ResponseError."""


def with_client(client: Any) -> Tools:
    exceptions = SimpleNamespace(RedisError=FakeError, ResponseError=FakeRefusal)
    module = SimpleNamespace(Redis=lambda **options: client, exceptions=exceptions)
    return Tools(load=lambda name: module, now=lambda: NOW)


class Client:
    """A client that answers, fails with a text, or is refused all but INFO."""

    def __init__(self, error: str = "", refused: bool = False) -> None:
        self.error = error
        self.refused = refused
        self.closed = False

    def ping(self) -> None:
        if self.error:
            raise FakeRefusal(self.error)

    def info(self) -> dict[str, Any]:
        return {**INFO, "rdb_last_bgsave_status": "err"} if "MISCONF" in self.error else INFO

    def slowlog_len(self) -> int:
        return self._allowed(4)

    def config_get(self, name: str) -> dict[str, str]:
        return self._allowed({name: SAVES[name]})

    def _allowed(self, value: Any) -> Any:
        if self.refused:
            raise FakeRefusal("NOPERM this user has no permissions")
        return value

    def close(self) -> None:
        self.closed = True


def test_asks(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    client = Client()
    outcome = look(make_check(type="redis", persistence="both"), with_client(client))
    assert outcome.status is OK
    assert outcome.measures["slow_commands"] == 4
    assert client.closed


def test_tells_why_a_ping_is_refused(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    outcome = look(make_check(type="redis"), with_client(Client("MISCONF Redis is configured to save RDB snapshots")))
    assert outcome.status is CRITICAL
    assert outcome.message == "the last snapshot failed, and writes are refused until one succeeds"


def test_says_what_a_user_may_not_see(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    outcome = look(make_check(type="redis", persistence="rdb"), with_client(Client(refused=True)))
    assert outcome.status is OK
    assert "save points not seen: the user may not run CONFIG GET" in outcome.seen
    assert "slow_commands" not in outcome.measures


@pytest.mark.parametrize(
    ("said", "words", "step"),
    [
        ("Error 111 connecting to 10.0.0.1:6379. Connection refused.", "refused: nothing listens", "start Redis"),
        ("Timeout reading from socket", "no answer", "firewall"),
        ("WRONGPASS invalid username-password pair", "refuses the password", "correct the password"),
        ("NOAUTH Authentication required.", "refuses the password", "correct the password"),
        ("NOPERM this user has no permissions to run 'info'", "refuses a command", "ACL"),
        ("LOADING Redis is loading the dataset in memory", "loading its data", "wait"),
        ("max number of clients reached", "takes no more clients", "maxclients"),
        ("something new", "something new", "log"),
    ],
)
def test_explains(make_check: Callable[..., Any], look: Callable[..., Any], said: str, words: str, step: str) -> None:
    client = Client(said)
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="redis"), with_client(client))
    assert words in caught.value.message
    assert step in caught.value.next_step
    assert client.closed


@pytest.mark.parametrize("kind", ["redis", "redis_cluster"])
def test_a_missing_library_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any], kind: str) -> None:
    def load(name: str) -> Any:
        raise ImportError(name)

    with pytest.raises(CouldNotRun) as caught:
        look(make_check(type=kind), Tools(load=load))
    assert caught.value.next_step == "install it on this host: `apt-get install python3-redis`"
