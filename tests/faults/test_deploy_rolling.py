"""A release comes to two hosts with two instances each while users are there: none of their requests fails."""

from __future__ import annotations

import time

from tests.support.deploy import (
    APPLICATION,
    LONG,
    PORTS,
    Deploy,
    artifact,
    assert_on,
    deploy,
    drained,
    events,
    hosts,
    lease,
    ledger,
    new_release,
    rollback,
    start_deploy,
)
from tests.support.say import say
from tests.support.stack import Stack
from tests.support.traffic import Life, Traffic, traffic

SOCKETS = 50
STEADY_SECONDS = 15
DRAIN_SECONDS = 12
P99_SECONDS = 0.25
# A client that is cut off asks again at once; what it waits for is a handshake and a welcome.
BACK_SECONDS = 2


def nginx(stack: Stack) -> dict[str, str]:
    """nginx's processes on each edge: a reload or restart changes them."""
    look = "cat /run/nginx.pid; pgrep -P $(cat /run/nginx.pid)"
    return {edge: stack.shell(edge, look) for edge in stack.groups["edge"]}


def programs(stack: Stack) -> dict[str, str]:
    """The processes of the instances on each host."""
    units = " ".join(f"slipway-{APPLICATION}@{port}" for port in PORTS)
    return {
        host: stack.shell(host, f"systemctl show --property MainPID --value {units}")
        for host in stack.groups[APPLICATION]
    }


def snapshot(stack: Stack) -> tuple[object, ...]:
    return programs(stack), hosts(stack), drained(stack), lease(stack), ledger(stack), nginx(stack)


def host_of(stack: Stack, instance: str) -> str:
    """The host of an instance by the name that it gives itself."""
    address = instance.rpartition(":")[0]
    return next(host for host in stack.groups[APPLICATION] if stack.address(host) == address)


def test_a_rolling_deploy_under_load_fails_no_request(demo, origin):
    artifact()
    before = nginx(demo)
    release = new_release("rolling")
    with traffic(demo, sockets=SOCKETS) as users:
        steady = time.time()
        time.sleep(STEADY_SECONDS)
        begun = time.time()
        started = start_deploy(demo, release, drain_seconds=DRAIN_SECONDS)
        run = started.wait()
        ended = time.time()
        time.sleep(2)
    say(f"did: {release} in {ended - begun:.0f} s, {SOCKETS} websockets, drains of at most {DRAIN_SECONDS} s")
    say(f"saw: {', '.join(f'{name} {seconds:.0f} s' for name, seconds in started.durations(ended))}")
    say(f"saw: before {users.summary(steady, begun)}")
    say(f"saw: during {users.summary(begun, ended)}; the clients took {users.cpu_share:.0%} of a core")
    assert run.status == 0, run.output
    assert_on(demo, release)
    assert events(demo, release)[-1] == "succeeded"
    assert users.failures == {}
    during = [one for one in users.requests if begun <= one.due < ended]
    assert len(during) / (ended - begun) > 195
    assert users.p(99, begun, ended) <= P99_SECONDS
    assert nginx(demo) == before
    explained = [check_drops(demo, users, started, name) for name in ("canary", "batch 2")]
    assert sum(explained) == len(users.drops)
    assert users.socket_failures == []


def check_drops(stack: Stack, users: Traffic, started: Deploy, name: str) -> int:
    """Websockets end on the batch's host alone, after its drain's deadline, and their clients go elsewhere at once.

    Returns how many ended.
    """
    phases = started.progress
    number = next(index for index, one in enumerate(phases) if one.phase.startswith(name))
    batch, following = phases[number], phases[number + 1]
    drops = [drop for drop in users.drops if batch.at <= (drop.ended or 0) < following.at]
    took = [since(drop, batch.at) for drop in drops]
    back = [waited(users, drop) for drop in drops]
    say(
        f"saw: {batch.phase}: {len(drops)} websockets ended {min(took):.1f} to {max(took):.1f} s after it began,"
        f" and were back within {max(back):.2f} s"
    )
    assert {host_of(stack, drop.instance) for drop in drops} == {batch.hosts}
    assert min(took) >= DRAIN_SECONDS
    assert max(back) <= BACK_SECONDS
    assert batch.hosts not in {host_of(stack, again.instance) for drop in drops if (again := users.after(drop))}
    return len(drops)


def since(drop: Life, moment: float) -> float:
    return (drop.ended or 0) - moment


def waited(users: Traffic, drop: Life) -> float:
    """Seconds until the client of a websocket that ended had another one."""
    again = users.after(drop)
    return again.begun - (drop.ended or 0) if again else float("inf")


def test_the_same_deploy_again_is_a_no_op_that_says_so(demo, origin):
    before = snapshot(demo)
    begun = time.time()
    run, started = deploy(demo, origin)
    say(f"did: {origin}, which runs already, in {time.time() - begun:.1f} s")
    assert run.status == 0, run.output
    assert set(run.changed.values()) == {0}
    assert f"{origin} is what every host runs; nothing to do" in started.message
    assert snapshot(demo) == before


def test_check_mode_prints_the_plan_and_changes_nothing(demo, origin):
    before = snapshot(demo)
    release = new_release("checked")
    run, started = deploy(demo, release, "--check", "--diff")
    assert run.status == 0, run.output
    assert set(run.changed.values()) == {0}, run.output
    for told in (
        f"{APPLICATION}: {origin} -> {release}",
        "canary: restarts app1:3000, app1:3001",
        "batch 2 of 2: restarts app2:3000, app2:3001",
    ):
        assert told in started.message
    assert snapshot(demo) == before


@LONG
def test_a_deploy_and_its_rollback_return_to_where_they_began(demo, origin):
    release = new_release("forth")
    with traffic(demo) as users:
        run, _started = deploy(demo, release, soak_seconds=0)
        assert run.status == 0, run.output
        assert_on(demo, release)
        run, _started = rollback(demo)
    assert run.status == 0, run.output
    assert_on(demo, origin)
    assert users.failures == {}
    assert not any(release in state.bad for state in hosts(demo).values())
