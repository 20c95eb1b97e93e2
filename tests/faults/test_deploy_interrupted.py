"""A deploy is cut off, or meets another one: the next run brings what is there to its end, and users notice nothing."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import docker
import pytest

from tests.support.deploy import (
    APPLICATION,
    ARTIFACTS,
    LONG,
    PORTS,
    ROOT_ON_HOSTS,
    STATE,
    Artifact,
    artifact,
    assert_on,
    coordination_host,
    deploy,
    drained,
    events,
    hosts,
    lease,
    ledger,
    members,
    migration_runs,
    module,
    new_release,
    rollback,
    sha256_of,
    start_deploy,
)
from tests.support.say import say
from tests.support.shop import await_instances
from tests.support.stack import Stack
from tests.support.traffic import Stream, traffic

USERS = (Stream("GET", "/api/health", 40), Stream("POST", "/api/session", 20, {"user": "traffic"}))
# What the run prints where a phase, or a step in the middle of one, begins; but for SHORT they are LONG.
MOMENTS = {
    "preflight": "TASK [Look, and plan]",
    "lease": "TASK [Take the lease",
    "opened": "TASK [Into the ledger: started]",
    "fetch": "| fetch |",
    "storing": "TASK [Store the release]",
    "migrate": "| migrate |",
    "migrating": "TASK [Run the migration: expand]",
    "migrated": "TASK [Into the ledger: migrated]",
    "canary": "| canary |",
    "draining": "TASK [Drain canary",
    "stopping": "TASK [Stop canary",
    "switching": "TASK [Switch canary",
    "starting": "TASK [Start canary",
    "letting back": "TASK [Let back canary",
    "soak": "| soak |",
    "batch 2": "| batch 2 of 2 |",
    "switching 2": "TASK [Switch batch 2",
    "verify": "| verify |",
    "ledger": "TASK [Into the ledger: succeeded]",
    "lease back": "TASK [Give the lease back]",
}
SHORT = {"switching"}


def moments(short: set[str]) -> list[object]:
    return [pytest.param(name, marks=() if name in short else LONG) for name in MOMENTS]


@pytest.mark.parametrize("moment", moments(SHORT))
def test_after_the_controllers_death_the_same_command_goes_on(demo, origin, moment):
    release = new_release("killed")
    with traffic(demo, USERS) as users:
        first = start_deploy(demo, release)
        first.await_text(MOMENTS[moment])
        first.kill()
        left = (drained(demo), lease(demo) and lease(demo)["phase"])
        begun = time.time()
        run, second = deploy(demo, release)
        took = time.time() - begun
    say(f"did: SIGKILL at {moment}; saw: drained {sorted(left[0])}, lease at {left[1]}; {took:.0f} s to go on")
    say(f"saw: {users.summary()}")
    assert run.status == 0, first.output + run.output
    # Where all was done but giving the lease back, it ends by itself, or with the next run that needs it.
    is_done = "nothing to do" in second.message
    assert_on(demo, release, is_free=not is_done)
    assert users.failures == {}
    assert migration_runs(demo, release) == 1
    assert events(demo, release).count("migrated") == 1
    if left[1] is not None and not is_done:
        assert "taken_over" in [entry["event"] for entry in ledger(demo)]


@pytest.mark.parametrize("moment", moments(set()))
def test_after_the_controllers_death_a_rollback_goes_back(demo, origin, moment):
    if moment in ("preflight", "lease", "lease back"):
        pytest.skip("there is nothing to go back from, or all of it is done")
    release = new_release("killed")
    with traffic(demo, USERS) as users:
        first = start_deploy(demo, release)
        first.await_text(MOMENTS[moment])
        first.kill()
        run, _second = rollback(demo)
    say(f"did: SIGKILL at {moment}, then a rollback; saw: {users.summary()}")
    assert run.status == 0, first.output + run.output
    assert_on(demo, origin)
    assert users.failures == {}


@contextmanager
def without_ssh(host: str) -> Iterator[None]:
    """Packets to the host's port 22 vanish, those of open connections, too. What it serves goes on."""
    container = docker.from_env().containers.get(f"slipway-demo-{host}")

    def nft(command: str) -> None:
        done = container.exec_run(["nft", *command.split()])
        assert done.exit_code == 0, done.output.decode()

    nft("add table inet slipway_test")
    try:
        nft("add chain inet slipway_test in { type filter hook input priority -200 ; }")
        nft("add rule inet slipway_test in tcp dport 22 drop")
        yield
    finally:
        nft("delete table inet slipway_test")


@pytest.mark.parametrize("moment", [pytest.param("canary", marks=LONG), "batch 2"])
def test_a_host_that_is_cut_off_halts_the_deploy_and_the_next_one_reconciles(demo, origin, moment):
    host = {"canary": "app1", "batch 2": "app2"}[moment]
    release = new_release("cut")
    with traffic(demo, USERS) as users:
        first = start_deploy(demo, release)
        first.await_text(MOMENTS[moment])
        with without_ssh(host):
            cut = first.wait()
            held, out = lease(demo), drained(demo)
        say(f"did: SSH to {host} cut at {moment}, status {cut.status}; saw: drained then {sorted(out)}")
        assert cut.status != 0, cut.output
        assert host in first.message
        assert held is None
        # Nobody knows what it runs, so it may stay out; the others are back.
        assert {name.split("/")[1].split(":")[0] for name in out} <= {host}
        assert not any(release in state.bad for state in hosts(demo).values()), "which was not the release's fault"
        second, _again = deploy(demo, release)
    assert second.status == 0, second.output
    assert_on(demo, release)
    assert users.failures == {}
    assert migration_runs(demo, release) == 1


@LONG
def test_of_two_deploys_at_once_one_wins_and_the_other_tells_who_has_the_lease(demo, origin):
    releases = [new_release("first"), new_release("second")]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda release: deploy(demo, release), releases))
    outcomes = [run.status == 0 for run, _started in done]
    assert sorted(outcomes) == [False, True], "".join(run.output for run, _started in done)
    winner, loser = outcomes.index(True), outcomes.index(False)
    assert_on(demo, releases[winner])
    run, started = done[loser]
    assert set(run.changed.values()) == {0}, run.output
    held = next(entry for entry in ledger(demo, releases[winner]) if entry["event"] == "started")["run"]
    for told in (held, f"deploy {APPLICATION} {releases[winner]}", "expires"):
        assert told in started.message, run.output
    assert ledger(demo, releases[loser]) == []


@LONG
def test_a_deploy_meets_one_that_runs(demo, origin):
    first = start_deploy(demo, new_release("first"))
    first.await_text(MOMENTS["canary"])
    held = lease(demo)
    assert held is not None
    run, second = deploy(demo, new_release("second"))
    assert run.status != 0
    for told in (held["owner"], held["run"], held["purpose"], "canary"):
        assert told in second.message, run.output
    run, third = rollback(demo)
    assert run.status != 0
    assert held["run"] in third.message
    assert first.wait().status == 0, first.output


def test_a_site_run_during_a_deploy_is_refused_and_the_deploy_goes_on(demo, origin):
    release = new_release("sited")
    first = start_deploy(demo, release)
    first.await_text(MOMENTS["canary"])
    held = lease(demo)
    assert held is not None
    run = demo.playbook("site")
    assert first.wait().status == 0, first.output
    assert run.status != 0, run.output
    assert set(run.changed.values()) == {0}, run.output
    assert held["run"] in " ".join(run.output.split())
    assert_on(demo, release)


@contextmanager
def held_by_another(stack: Stack, term_seconds: int) -> Iterator[dict[str, object]]:
    """The lease belongs to a run on a machine that this one knows nothing of."""
    host = coordination_host(stack)
    path = f"{STATE}/lease.json"
    options = {"owner": "ana@laptop", "run": "test-another-1", "purpose": "deploy shop 9.9.9", "phase": "batch 2 of 3"}
    module(stack, host, "deploy_lease", state="taken", term_seconds=term_seconds, **options)
    change = (
        f"import json, pathlib; path = pathlib.Path('{path}'); said = json.loads(path.read_text());"
        " said['lease']['process'].update(machine='another', host='another', boot='another');"
        " path.write_text(json.dumps(said))"
    )
    stack.shell(host, f'python3 -c "{change}"')
    yield options
    held = lease(stack)
    if held and held["run"] == options["run"]:
        module(stack, host, "deploy_lease", state="released", run=options["run"])


@LONG
def test_a_lease_that_lives_is_respected_and_taken_when_asked_for(demo, origin):
    with held_by_another(demo, 600) as other:
        run, started = deploy(demo, new_release("asked"))
        assert run.status != 0, run.output
        assert set(run.changed.values()) == {0}, run.output
        for told in (*other.values(), "deploy_take_over"):
            assert told in started.message, run.output
        release = new_release("asked")
        run, _started = deploy(demo, release, take_over=True)
    assert run.status == 0, run.output
    assert_on(demo, release)
    assert taken_over(demo)["data"]["reason"] == "asked"


@LONG
def test_a_dead_holders_lease_expires_and_the_take_over_is_recorded(demo, origin):
    with held_by_another(demo, 2):
        time.sleep(3)
        release = new_release("expired")
        run, _started = deploy(demo, release)
    assert run.status == 0, run.output
    assert_on(demo, release)
    entry = taken_over(demo)
    assert entry["data"]["reason"] == "expired"
    assert entry["data"]["previous"]["owner"] == "ana@laptop"


def taken_over(stack: Stack) -> dict[str, object]:
    return [entry for entry in ledger(stack) if entry["event"] == "taken_over"][-1]


@LONG
def test_what_an_operator_drained_stays_drained(demo, origin):
    release = new_release("drained")
    options = {"application": APPLICATION, "owner": "ana", "members": ["app1:3000"]}
    try:
        for edge in demo.groups["edge"]:
            module(demo, edge, "pool_member", state="draining", **options)
        with traffic(demo, USERS) as users:
            run, started = deploy(demo, release)
        assert run.status == 0, run.output
        assert drained(demo) == {f"{edge}/app1:3000": ("draining", "ana") for edge in demo.groups["edge"]}
        assert all(state.runs(release) for state in hosts(demo).values())
        assert "app1:3000 (draining, ana)" in started.message
        assert users.failures == {}
        assert f"{demo.address('app1')}:3000" not in {one.instance for one in users.requests}
    finally:
        for edge in demo.groups["edge"]:
            module(demo, edge, "pool_member", state="active", **options)
    assert {state for state, _owner in members(demo).values()} == {"active"}


def large(mebibytes: int) -> Artifact:
    """The sound release with a file that no other one has."""
    folder = ARTIFACTS / "large"
    path = ARTIFACTS / "sample_app-large.tar.gz"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(artifact().path) as archive:
        archive.extractall(folder, filter="data")
    (folder / "large.bin").write_bytes(os.urandom(mebibytes << 20))
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for part in sorted(folder.iterdir()):
            archive.add(part, part.name)
    shutil.rmtree(folder)
    return Artifact(path, sha256_of(path))


@contextmanager
def little_room(stack: Stack, host: str, mebibytes: int) -> Iterator[None]:
    """The application's releases are on a file system of their own, with this much room left."""
    units = " ".join(f"slipway-{APPLICATION}@{port}" for port in PORTS)
    copy = (
        f"set -e; used=$(du -sm {ROOT_ON_HOSTS} | cut -f 1); mkdir -p /run/slipway-test-room;"
        f" mount -t tmpfs -o mode=755,size=$((used + {mebibytes}))m none /run/slipway-test-room;"
        f" cp -a {ROOT_ON_HOSTS}/. /run/slipway-test-room; mount --bind /run/slipway-test-room {ROOT_ON_HOSTS};"
        f" systemctl restart {units}"
    )
    stack.shell(host, copy)
    try:
        await_instances(stack)
        yield
    finally:
        # The programs have it as their folder until they start anew.
        undo = f"umount --lazy {ROOT_ON_HOSTS}; umount --lazy /run/slipway-test-room; systemctl restart {units}"
        stack.shell(host, undo)
        await_instances(stack)


@LONG
def test_a_disk_that_gets_full_while_fetching_fails_before_anybody_is_drained(demo, origin):
    release = new_release("full")
    of = large(20)
    with little_room(demo, "app2", 10):
        run, started = deploy(demo, release, of=of)
        assert run.status != 0, run.output
        assert "app2" in started.message
        assert "no space left on its file system" in started.message
        assert started.phase("canary") is None
        assert_on(demo, origin)
        assert events(demo, release)[-1] == "failed"
        assert not any(release in state.bad for state in hosts(demo).values()), "which was not the release's fault"
        assert release not in hosts(demo)["app2"].stored


def test_the_ledger_is_whole(demo, origin):
    run, _started = deploy(demo, release := new_release("told"), soak_seconds=0)
    assert run.status == 0, run.output
    text = demo.shell(coordination_host(demo), f"cat {STATE}/ledger.jsonl")
    assert text.endswith("\n")
    assert all(json.loads(line)["event"] for line in text.splitlines())
    assert events(demo, release) == ["started", "migrated", "succeeded"]
    history = demo.playbook("history")
    assert history.status == 0, history.output
    assert release in history.output
