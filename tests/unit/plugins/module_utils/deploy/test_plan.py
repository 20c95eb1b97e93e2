# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the state of a fleet to the steps of a deploy: what every plan keeps, and what is refused in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy import plan as planning
from ansible_collections.slipway.stack.plugins.module_utils.deploy.impact import describe, needed_seconds
from ansible_collections.slipway.stack.plugins.module_utils.deploy.plan import (
    AppHost,
    Edge,
    History,
    Member,
    Plan,
    contracts,
    members_of,
    migrates,
    plan,
    restore,
    seeds,
    shows_page,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.request import BACK
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.deploy.fleets import (
    NEW,
    OLD,
    OURS,
    app_host,
    applied,
    asked,
    edges,
    fleet,
    steps,
)
from hypothesis import given
from hypothesis import strategies as st

BOTH = (3000, 3001)
NONE = History()


def made(*hosts: AppHost, taken_out: dict[str, str] | None = None, history: History = NONE, **said: Any) -> Plan:
    """The plan for a whole fleet, of three hosts where none are given."""
    own = list(hosts) or fleet()
    return plan(asked(hosts=len(own), **said), own, edges(own, taken_out), history)


def wrong(result: Plan) -> list[tuple[str, str, str, str, str]]:
    return [(one.host, one.variable, one.received, one.expected, one.fix) for one in result.findings]


@pytest.mark.parametrize(
    ("hosts", "said", "expected"),
    [
        (1, {}, [("canary", {"app1": (3000,)}), ("batch 2 of 2", {"app1": (3001,)})]),
        (2, {}, [("canary", {"app1": BOTH}), ("batch 2 of 2", {"app2": BOTH})]),
        (4, {"batch": 2}, [("canary", ["app1"]), ("batch 2 of 3", ["app2", "app3"]), ("batch 3 of 3", ["app4"])]),
        (4, {"batch": "50%"}, [("canary", ["app1"]), ("batch 2 of 3", ["app2", "app3"]), ("batch 3 of 3", ["app4"])]),
        # A share is rounded up: one host of three.
        (3, {"batch": "1%"}, [("canary", ["app1"]), ("batch 2 of 3", ["app2"]), ("batch 3 of 3", ["app3"])]),
        (4, {"batch": "60%"}, [("canary", ["app1"]), ("batch 2 of 2", ["app2", "app3", "app4"])]),
        (3, {"strategy": "maintenance"}, [("batch 1 of 1", ["app1", "app2", "app3"])]),
        (1, {"strategy": "maintenance"}, [("batch 1 of 1", {"app1": BOTH})]),
    ],
)
def test_batches(hosts: int, said: dict[str, Any], expected: Any) -> None:
    result = made(*fleet(hosts), **said)
    assert result.findings == ()
    assert steps(result) == [
        (phase, what if isinstance(what, dict) else dict.fromkeys(what, BOTH)) for phase, what in expected
    ]


def test_a_batch_tells_what_it_is_about() -> None:
    first, second, _third = made().batches
    assert (first.title, second.title) == ("canary | app1", "batch 2 of 3 | app2")
    assert members_of(second) == ["app2:3000", "app2:3001"]


def test_the_release_that_all_run_is_no_deploy_and_is_told_so() -> None:
    result = made(*fleet(current=NEW))
    assert (result.findings, result.batches, result.is_needed) == ((), (), False)
    assert describe(result, History()) == ["shop: 1.4.0 is what every host runs; nothing to do"]


@pytest.mark.parametrize(
    "behind",
    [
        app_host("app1"),
        app_host("app1", None, running={}),
        app_host("app1", NEW, running={3000: NEW, 3001: OLD}),
        app_host("app1", NEW, running={3000: NEW}),
        app_host("app1", NEW, running={3000: NEW, 3001: None}),
    ],
    ids=["old", "empty", "an instance not started anew", "an instance stopped", "a release that was removed"],
)
def test_what_a_host_lacks_is_found_on_the_host(behind: AppHost) -> None:
    assert steps(made(behind, app_host("app2", NEW))) == [("batch 1 of 1", {"app1": BOTH})]


def test_what_was_taken_out_of_the_pool_is_let_back_first() -> None:
    hosts = [*fleet(2), app_host("app3", NEW)]
    result = made(*hosts, taken_out={"app3:3000": OURS})
    assert [list(batch.hosts) for batch in result.batches] == [["app3"], ["app1"], ["app2"]]


def test_only_those_behind_are_asked_and_fetch() -> None:
    hosts = [app_host("app1", NEW), app_host("app2"), app_host("app3", stored=frozenset({OLD}))]
    result = made(*hosts)
    assert [list(batch.hosts) for batch in result.batches] == [["app2"], ["app3"]]
    assert result.lacking == ("app3",)
    assert result.release == NEW


@pytest.mark.parametrize(
    ("hosts", "entry", "said", "received", "fix"),
    [
        (1, {"instances": 1}, {}, "1, of 1 instances", "run more instances, or accept a maintenance page: "),
        (1, {}, {"batch": 2}, "2, of 2 instances", "choose at most 1"),
        (3, {}, {"batch": 3}, "3, of 3 hosts", "choose at most 2"),
        (3, {}, {"batch": 7}, "7, of 3 hosts", "choose at most 2"),
        (3, {}, {"batch": "100%"}, "100%, of 3 hosts", "choose at most 2"),
        (2, {}, {"batch": "51%"}, "51%, of 2 hosts", "choose at most 1"),
    ],
)
def test_a_batch_as_large_as_the_pool_is_refused(
    hosts: int, entry: dict[str, Any], said: dict[str, Any], received: str, fix: str
) -> None:
    numbers = range(3000, 3000 + entry.get("instances", 2))
    ((host, variable, told, expected, hint),) = wrong(
        made(*fleet(hosts, instances=tuple(numbers)), entry=entry, **said)
    )
    assert (host, variable, told) == ("", "deploy_batch", received)
    assert expected == "a batch smaller than the pool: somebody has to serve meanwhile"
    assert hint.startswith(fix)


def test_those_that_a_limit_leaves_out_serve_meanwhile() -> None:
    hosts = fleet(3)
    result = plan(asked(batch=2), hosts[:2], edges(hosts), NONE, left_out=["app3"])
    assert result.findings == ()
    assert "left out (--limit): app3" in describe(result, History())
    alone = plan(asked(), hosts[:1], edges(hosts), NONE, left_out=["app2", "app3"])
    assert steps(alone) == [("batch 1 of 1", {"app1": BOTH})]


def test_others_drains_leave_somebody_to_serve() -> None:
    ana = {"app2:3000": "ana", "app2:3001": "ana"}
    found = wrong(made(*fleet(2), taken_out=ana))
    assert [(host, variable) for host, variable, *_rest in found] == [
        ("edge1", "the pool of shop"),
        ("edge2", "the pool of shop"),
    ]
    assert found[0][2] == "app2:3000 (draining, ana), app2:3001 (draining, ana)"
    assert found[0][3] == "a member that serves while app1 gets the release"
    assert "state: active" in found[0][4]
    # One of the two instances is enough, and with a maintenance page none.
    assert made(*fleet(2), taken_out={"app2:3000": "ana"}).findings == ()
    assert made(*fleet(2), taken_out=ana, strategy="maintenance").findings == ()


def test_a_run_that_lets_hosts_back_is_not_kept_from_it() -> None:
    out = {**{f"app1:{number}": OURS for number in BOTH}, **{f"app2:{number}": "ana" for number in BOTH}}
    assert made(*fleet(2), taken_out={**out, "app2:3000": OURS}).findings == ()
    result = made(app_host("app1"), app_host("app2", NEW), taken_out=out)
    assert (result.findings, steps(result)) == ((), [("batch 1 of 1", {"app1": BOTH})])


def test_what_a_run_before_took_out_serves_only_if_this_one_lets_it_back() -> None:
    hosts = fleet(2)
    pool = edges(hosts, {f"app2:{number}": OURS for number in BOTH})
    limited = plan(asked(hosts=2), hosts[:1], pool, NONE, left_out=["app2"])
    assert {one.received for one in limited.findings} == {
        "app2:3000 (draining, deploy shop), app2:3001 (draining, deploy shop)"
    }
    assert plan(asked(hosts=2), hosts, pool, NONE).findings == ()


def test_nothing_is_known_of_a_release_that_nobody_named() -> None:
    ((_host, variable, received, expected, fix),) = wrong(made(release=None))
    assert (variable, received) == ("deploy_release", "nothing")
    assert expected.startswith("the release to deploy: 1 to 64 letters")
    assert fix == "say it: -e deploy_release=ID; or set slipway_apps.shop.release"


def test_a_release_that_is_neither_stored_nor_given() -> None:
    hosts = [app_host("app1"), app_host("app2", stored=frozenset({OLD}))]
    ((host, variable, received, expected, fix),) = wrong(made(*hosts, artifact=None))
    assert (host, variable) == ("app2", "deploy_artifact")
    assert received == "nothing, and 1.4.0 is not stored on app2"
    assert "with its checksum" in expected
    assert fix == "give -e deploy_artifact=PATH -e deploy_artifact_sha256=SUM"
    # Stored everywhere, it needs no archive.
    assert made(*fleet(2), artifact=None).findings == ()


@pytest.mark.parametrize(
    ("said", "variable"),
    [({}, "deploy_release"), ({"direction": BACK, "rollback_release": NEW}, "rollback_release")],
)
def test_a_bad_release_is_refused_with_its_reason(said: dict[str, Any], variable: str) -> None:
    hosts = [app_host("app1", bad={NEW: "answers 500 (2026-11-24T19:00:00Z)"}), app_host("app2")]
    ((host, name, received, expected, fix),) = wrong(made(*hosts, **said))
    assert (host, name, received) == ("app1", variable, NEW)
    assert expected.endswith("this one is: answers 500 (2026-11-24T19:00:00Z)")
    assert "state: good, release: 1.4.0, root: /srv/slipway/shop" in fix


def back(*hosts: AppHost, **more: Any) -> Plan:
    return made(*hosts, direction=BACK, **more)


def test_a_rollback_goes_to_what_was_current_before() -> None:
    result = back(*fleet(current=NEW))
    assert result.findings == ()
    assert steps(result) == [
        ("batch 1 of 3", {"app1": BOTH}),
        ("batch 2 of 3", {"app2": BOTH}),
        ("batch 3 of 3", {"app3": BOTH}),
    ]
    assert set(result.targets.values()) == {OLD}


def test_a_rollback_passes_over_what_is_bad_or_not_everywhere() -> None:
    kept = {"stored": frozenset({"1.1.0", "1.2.0", OLD, NEW}), "history": ("1.1.0", "1.2.0", OLD, NEW)}
    hosts = [
        app_host("app1", NEW, bad={OLD: "crashes"}, **kept),
        app_host("app2", NEW, **{**kept, "stored": frozenset({"1.1.0", OLD, NEW})}),
    ]
    assert back(*hosts).release == "1.1.0"


def test_a_rollback_with_nowhere_to_go() -> None:
    first = fleet(2, stored=frozenset({OLD}))
    ((_host, variable, received, expected, fix),) = wrong(back(*first))
    assert variable == "rollback_release"
    assert received == "nothing, and there is no earlier good release (app1 has 1.3.0; app2 has 1.3.0)"
    assert "not marked bad, on every host" in expected
    assert fix == "deploy one: deploy -e deploy_release=ID"
    bad = [app_host("app1", NEW, bad={OLD: "crashes"}), app_host("app2", NEW)]
    assert "app1 has 1.3.0, 1.4.0, bad: 1.3.0; app2 has 1.3.0, 1.4.0" in wrong(back(*bad))[0][2]


def test_a_rollback_to_what_a_host_has_not_got() -> None:
    hosts = [app_host("app1", NEW), app_host("app2", NEW, stored=frozenset({NEW}))]
    ((host, variable, received, expected, fix),) = wrong(back(*hosts, rollback_release=OLD))
    assert (host, variable, received) == ("app2", "rollback_release", OLD)
    assert expected == "a release that is stored on every host; app2 has not got it"
    assert fix == "deploy it instead: deploy -e deploy_release=1.3.0"


# A run that did not end ---------------------------------------------------------------------------------------------

BEFORE = History(origins={"app1": OLD, "app2": OLD, "app3": OLD})
HALF = [app_host("app1", NEW), app_host("app2", NEW, running={3000: NEW}), app_host("app3")]


def test_a_run_that_did_not_end_is_gone_on_with() -> None:
    result = made(*HALF, taken_out={"app2:3000": OURS, "app2:3001": OURS}, history=BEFORE)
    assert steps(result) == [("batch 1 of 2", {"app2": BOTH}), ("batch 2 of 2", {"app3": BOTH})]
    assert result.origins == {"app1": OLD, "app2": OLD, "app3": OLD}
    assert "takes up a run that did not end" in describe(result, History())


def test_a_run_that_did_not_end_is_gone_back_from() -> None:
    result = back(*HALF, taken_out={"app2:3000": OURS}, history=BEFORE)
    assert result.release == OLD
    assert [list(batch.hosts) for batch in result.batches] == [["app2"], ["app1"]]


def test_a_rollback_that_did_not_end_is_gone_on_with() -> None:
    hosts = [app_host("app1"), app_host("app2", NEW)]
    history = History(origins={"app1": NEW, "app2": NEW}, back_to=OLD)
    result = back(*hosts, history=history)
    assert (result.release, steps(result)) == (OLD, [("batch 1 of 1", {"app2": BOTH})])


def test_of_hosts_that_differ_the_rollback_goes_to_what_last_succeeded() -> None:
    known = {"history": ("1.2.0", OLD, NEW), "stored": frozenset({"1.2.0", OLD, NEW})}
    hosts = [app_host("app1", NEW, **known), app_host("app2", OLD, **known)]
    assert back(*hosts, history=History(succeeded=(OLD, "1.2.0"))).release == OLD
    # Without a ledger, to the newest that is not bad.
    bad = [app_host("app1", NEW, **known), app_host("app2", OLD, bad={NEW: "crashes"}, **known)]
    assert back(*bad).release == OLD


def test_all_that_is_left_of_a_run_may_be_its_end() -> None:
    result = made(*fleet(current=NEW), history=BEFORE)
    assert (result.batches, result.is_needed) == ((), True)
    assert made(*fleet(current=NEW)).is_needed is False


def test_what_hosts_ran_before_is_what_the_first_of_the_runs_says() -> None:
    own = History(origins={"app1": "1.2.0"})
    assert made(*fleet(2, current=NEW), history=own).origins == {"app1": "1.2.0", "app2": NEW}
    assert made(app_host("app1", None), app_host("app2")).origins == {"app2": OLD}


# The way back after a failure ---------------------------------------------------------------------------------------

ORIGINS = {"app1": OLD, "app2": OLD, "app3": OLD}


def gone_back(hosts: list[AppHost], failed: list[str], origins: dict[str, str] = ORIGINS, **said: Any) -> Plan:
    taken_out = {f"{name}:{number}": OURS for name in failed for number in BOTH}
    return restore(asked(**said), hosts, edges(hosts, taken_out), NONE, origins, failed)


def test_the_batch_that_failed_goes_back_first_then_those_before() -> None:
    hosts = [app_host("app1", NEW), app_host("app2", NEW), app_host("app3")]
    assert steps(gone_back(hosts, ["app2"])) == [("back 1 of 2", {"app2": BOTH}), ("back 2 of 2", {"app1": BOTH})]
    assert steps(gone_back(hosts, ["app2"], rollback="batch")) == [("back 1 of 1", {"app2": BOTH})]


def test_a_failure_before_any_batch_takes_nothing_back() -> None:
    result = gone_back(fleet(), [])
    assert (result.batches, result.findings) == ((), ())


def test_what_cannot_go_back_is_left_and_named() -> None:
    hosts = [app_host("app1", NEW), app_host("app2", NEW, stored=frozenset({NEW})), app_host("app3", NEW)]
    result = gone_back(hosts, ["app1"], {"app1": OLD, "app2": OLD})
    assert steps(result) == [("back 1 of 1", {"app1": BOTH})]
    assert result.left_out == ("app2", "app3")


def test_hosts_go_back_each_to_its_own() -> None:
    hosts = [app_host("app1", NEW, stored=frozenset({"1.2.0", NEW})), app_host("app2", NEW), app_host("app3")]
    result = gone_back(hosts, ["app1"], {"app1": "1.2.0", "app2": OLD, "app3": OLD})
    assert result.targets == {"app1": "1.2.0", "app2": OLD}
    assert result.release is None


def test_a_host_that_was_lost_serves_nobody_while_others_go_back() -> None:
    hosts = fleet(3, current=NEW)
    taken_out = {f"{name}:{number}": OURS for name in ("app2", "app3") for number in BOTH}
    result = restore(asked(batch=2), hosts[:2], edges(hosts, taken_out), NONE, ORIGINS, ["app2", "app3"])
    assert steps(result) == [("back 1 of 2", {"app2": BOTH}), ("back 2 of 2", {"app1": BOTH})]


def test_who_would_leave_an_edge_with_nobody_stays() -> None:
    hosts = fleet(2, current=NEW)
    taken_out = {f"app2:{number}": OURS for number in BOTH}
    result = restore(asked(hosts=2), hosts[:1], edges(hosts, taken_out), NONE, ORIGINS, ["app2"])
    assert (result.batches, result.left_out) == ((), ("app1",))


def test_who_serves_nobody_goes_back_in_any_case() -> None:
    hosts = [app_host("app1", NEW), app_host("app2")]
    taken_out = {**{f"app1:{number}": OURS for number in BOTH}, **{f"app2:{number}": "ana" for number in BOTH}}
    result = restore(asked(hosts=2), hosts, edges(hosts, taken_out), NONE, ORIGINS, ["app1"])
    assert steps(result) == [("back 1 of 1", {"app1": BOTH})]


def test_nobody_goes_back_behind_a_contraction() -> None:
    hosts = fleet(current=NEW)
    history = History(succeeded=(OLD,), contracted=(NEW,))
    result = restore(asked(), hosts, edges(hosts), history, ORIGINS, [])
    assert (result.batches, result.left_out) == ((), ("app1", "app2", "app3"))


def test_with_a_maintenance_page_all_go_back_at_once() -> None:
    hosts = fleet(current=NEW)
    assert steps(gone_back(hosts, ["app1", "app2", "app3"], strategy="maintenance")) == [
        ("back 1 of 1", dict.fromkeys(ORIGINS, BOTH))
    ]


# One host alone -----------------------------------------------------------------------------------------------------


def test_one_host_goes_on_with_the_instances_that_are_left() -> None:
    half = app_host("app1", NEW, running={3000: NEW, 3001: OLD})
    assert steps(made(half, history=History(origins={"app1": OLD}))) == [("batch 1 of 1", {"app1": (3001,)})]


def test_one_host_lets_back_first_what_was_taken_out_and_already_runs_the_release() -> None:
    half = app_host("app1", NEW, running={3000: OLD, 3001: NEW})
    result = made(half, taken_out={"app1:3001": OURS}, history=History(origins={"app1": OLD}))
    assert [batch.hosts for batch in result.batches] == [{"app1": (3001,)}, {"app1": (3000,)}]


def test_one_host_goes_back_with_the_instance_that_failed_first() -> None:
    half = app_host("app1", NEW)
    result = restore(asked(hosts=1), [half], edges([half], {"app1:3001": OURS}), NONE, {"app1": OLD}, ["app1"])
    assert [batch.hosts for batch in result.batches] == [{"app1": (3001,)}, {"app1": (3000,)}]


def test_one_host_that_only_lacks_the_switch_takes_all_its_instances_through() -> None:
    unlinked = app_host("app1", OLD, running={3000: NEW, 3001: NEW})
    assert [batch.hosts for batch in made(unlinked).batches] == [{"app1": (3000,)}, {"app1": (3001,)}]


# Workers ------------------------------------------------------------------------------------------------------------


def mailers(hosts: int, **more: Any) -> list[AppHost]:
    return fleet(hosts, instances=(1,), **more)


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1, 1, 1]), (2, [1, 2]), (3, [1, 2]), ("100%", [1, 2])])
def test_workers_may_be_stopped_all_at_once_after_the_canary(batch: Any, sizes: list[int]) -> None:
    result = plan(asked(application="mailer", batch=batch), mailers(3), [], NONE)
    assert result.findings == ()
    assert [len(one.hosts) for one in result.batches] == sizes
    assert result.request.owner == "deploy mailer"


def test_a_worker_on_one_host_is_stopped_and_started() -> None:
    result = plan(asked(application="mailer", hosts=1), mailers(1), [], NONE)
    assert steps(result) == [("batch 1 of 1", {"app1": (1,)})]
    assert describe(result, History())[1:] == [
        "batch 1 of 1: restarts app1:1, each when its work is done, at the latest after 30 s",
        "nginx is not reloaded; other applications are not touched",
        "takes about 45 s at most",
    ]


# The database -------------------------------------------------------------------------------------------------------

COMMANDS = {"command": ["node", "up.js"], "contract_command": ["node", "down.js"], "seed_command": ["node", "seed.js"]}
WITH = {"entry": {"deploy": {"migrations": COMMANDS}}}


@pytest.mark.parametrize(
    ("said", "history", "expected"),
    [
        ({}, NONE, (False, False, False)),
        (WITH, NONE, (True, True, True)),
        (WITH, History(migrated=(OLD,), contracted=(OLD,), seeded=True), (True, False, True)),
        (WITH, History(migrated=(NEW,), contracted=(NEW,), seeded=True), (False, False, False)),
        ({**WITH, "direction": BACK, "rollback_release": NEW}, NONE, (False, False, False)),
    ],
)
def test_each_migration_runs_once_for_a_release_and_forward(
    said: dict[str, Any], history: History, expected: tuple[bool, ...]
) -> None:
    result = made(history=history, **said)
    assert (migrates(result, history), seeds(result, history), contracts(result, history)) == expected


def test_nothing_is_contracted_while_a_host_is_left_out() -> None:
    hosts = fleet(3)
    result = plan(asked(**WITH), hosts[:2], edges(hosts), NONE, left_out=["app3"])
    assert (migrates(result, NONE), contracts(result, NONE)) == (True, False)


def test_no_rollback_behind_a_contracted_database() -> None:
    history = History(succeeded=(NEW, OLD), contracted=(NEW,))
    ((host, variable, received, expected, fix),) = wrong(back(*fleet(current=NEW), history=history))
    assert (host, variable, received) == ("", "rollback_release", OLD)
    assert "1.4.0 has contracted it, and 1.3.0 is older" in expected
    assert fix == (
        "go on with 1.4.0 or a newer one; or restore the database to a time before 1.4.0, and say so:"
        " -e deploy_database_restored=true"
    )


def test_a_database_that_was_restored_is_behind_no_contraction() -> None:
    history = History(succeeded=(NEW, OLD), contracted=(NEW,))
    made = back(*fleet(current=NEW), history=history, database_restored="true")
    assert made.findings == ()
    assert set(made.targets.values()) == {OLD}
    # What an older release contracted keeps nobody from going back to it.
    assert back(*fleet(current=NEW), history=replace(history, contracted=(OLD,))).findings == ()


@pytest.mark.parametrize(
    ("target", "remembered", "succeeded", "refused"),
    [
        # A release that was never here is newer than what is.
        ("1.5.0", (OLD, NEW), (NEW, OLD), False),
        # One that was tried after the contraction is newer, too.
        ("1.5.0", (OLD, NEW, "1.5.0", NEW), (NEW, OLD), False),
        # Gone back from the newer one, and forward again.
        ("1.5.0", (OLD, NEW, "1.5.0", NEW), (NEW, "1.5.0", OLD), False),
        (NEW, (OLD, NEW, "1.5.0"), ("1.5.0", NEW, OLD), False),
        (OLD, (OLD, NEW, "1.5.0"), ("1.5.0", NEW, OLD), True),
        # The first release of a fleet is not in its ledger.
        (OLD, (OLD, NEW), (NEW,), True),
        # What hosts have forgotten, the ledger knows.
        ("1.0.0", (OLD, NEW), (NEW, OLD, "1.0.0"), True),
        ("1.0.0", (), ("1.0.0",), True),
    ],
)
@pytest.mark.parametrize("direction", ["forward", BACK])
def test_who_is_behind_a_contraction(
    target: str, remembered: tuple[str, ...], succeeded: tuple[str, ...], refused: bool, direction: str
) -> None:
    hosts = fleet(2, current=NEW, history=remembered, stored=frozenset({OLD, NEW, target}))
    history = History(succeeded=succeeded, contracted=(NEW,))
    said = {"release": target} if direction == "forward" else {"rollback_release": target}
    assert bool(made(*hosts, history=history, direction=direction, **said).findings) is refused


# The page, the time, and what is told -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "history", "expected"),
    [
        ({}, NONE, False),
        ({"strategy": "maintenance"}, NONE, True),
        # A page that a run left on is taken off.
        ({}, History(origins=ORIGINS, had_page=True), True),
        ({"application": "mailer", "strategy": "maintenance"}, History(had_page=True), False),
    ],
)
def test_who_sees_a_page(said: dict[str, Any], history: History, expected: bool) -> None:
    assert shows_page(made(history=history, **said), history) is expected


def test_no_page_where_nothing_is_done() -> None:
    assert shows_page(made(*fleet(current=NEW), strategy="maintenance"), NONE) is False


def test_the_time_that_it_needs() -> None:
    rolling = made(drain_seconds=60, soak_seconds=100)
    assert needed_seconds(rolling, History()) == 3 * (60 + 15) + 30 + 100
    assert (
        needed_seconds(made(drain_seconds=60, soak_seconds=100, **WITH), History())
        == needed_seconds(rolling, History()) + 30
    )
    page = made(strategy="maintenance", drain_seconds=60, announce_seconds=300)
    assert needed_seconds(page, History()) == 60 + 15 + 30 + 300
    entry = {"stop_timeout_seconds": 10, "start_timeout_seconds": 20}
    assert planning.batch_term_seconds(asked(drain_seconds=5, entry=entry)) == 5 + 2 * (10 + 20) + 60


def test_the_impact() -> None:
    hosts = [app_host("app1"), app_host("app2", stored=frozenset({OLD})), app_host("app3", None)]
    told = describe(
        plan(asked(drain_seconds=30, soak_seconds=10, **WITH), hosts, edges(hosts, {"app3:3000": "ana"}, 4), NONE),
        History(),
    )
    assert told == [
        "shop: 1.3.0 and nothing -> 1.4.0, 3 batches, rolling",
        "fetch: app2",
        "migrate: once, before the first batch, over a direct connection",
        "canary: restarts app1:3000, app1:3001, drained for at most 30 s; of 16 websockets those still open then are"
        " dropped; watched for 10 s",
        "batch 2 of 3: restarts app2:3000, app2:3001, drained for at most 30 s; of 16 websockets those still open then"
        " are dropped",
        "batch 3 of 3: restarts app3:3000, app3:3001, drained for at most 30 s; of 16 websockets those still open then"
        " are dropped",
        "stays as it is on edge1: app3:3000 (draining, ana)",
        "stays as it is on edge2: app3:3000 (draining, ana)",
        "nginx is not reloaded; other applications are not touched",
        f"takes about {3 * 45 + 30 + 10 + 30} s at most",
    ]
    page = describe(made(strategy="maintenance"), History())
    assert "maintenance page: everybody gets 503 from it until the release is proven" in page


def test_a_migration_that_ran_is_not_announced() -> None:
    done = History(migrated=(NEW,))
    assert not any(line.startswith("migrate:") for line in describe(made(**WITH), done))
    assert needed_seconds(made(**WITH), done) == needed_seconds(made(), done)


# From what the modules say ------------------------------------------------------------------------------------------


def test_a_host_as_release_info_tells_of_it() -> None:
    info = {
        "current": NEW,
        "releases": [{"id": NEW}, {"id": OLD}],
        "bad": {"1.2.0": {"reason": "crashes", "at": "2026-11-24T19:00:00Z"}},
        "history": [{"release": OLD, "at": "x"}, {"release": NEW, "at": "y"}],
        "running": {"3000": NEW, "3001": None},
    }
    host = planning.app_host("app1", [3000, 3001], info)
    assert host == AppHost(
        "app1",
        BOTH,
        frozenset({OLD, NEW}),
        {"1.2.0": "crashes (2026-11-24T19:00:00Z)"},
        NEW,
        (OLD, NEW),
        {3000: NEW, 3001: None},
    )
    assert not host.runs(NEW)


def test_an_edge_as_pool_member_info_tells_of_it() -> None:
    entry = {"name": "app1:3000", "state": "out", "owner": "ana", "websockets": None}
    assert planning.edge("edge1", "shop", {"pools": {"shop": {"members": [entry]}}}) == Edge(
        "edge1", (Member("app1", "app1:3000", "out", "ana", None),)
    )


@pytest.mark.parametrize(
    ("unfinished", "origins", "had_page", "back_to"),
    [
        (None, None, False, None),
        ({"data": {"origins": {"app1": OLD}, "strategy": "rolling"}}, {"app1": OLD}, False, None),
        ({"data": {"strategy": "maintenance", "direction": "forward"}}, {}, True, None),
        ({"data": {"direction": "back"}}, {}, False, NEW),
    ],
)
def test_the_history_as_the_ledger_tells_it(unfinished: Any, origins: Any, had_page: bool, back_to: Any) -> None:
    info = {
        "unfinished": None if unfinished is None else {"release": NEW, **unfinished},
        "succeeded": [NEW, OLD],
        "contracted": [],
        "migrated": [NEW],
        "seeded": True,
    }
    found = planning.history(info)
    assert (found.origins, found.had_page, found.back_to) == (origins, had_page, back_to)
    assert (found.succeeded, found.migrated, found.seeded) == ((NEW, OLD), (NEW,), True)


# What every plan keeps ----------------------------------------------------------------------------------------------


@st.composite
def fleets(draw: st.DrawFn, lowest: int = 1) -> tuple[list[AppHost], dict[str, str], int | str]:
    """Hosts in whatever state runs before left them, who drained which members, and the size of a batch."""
    instances = tuple(range(3000, 3000 + draw(st.integers(1, 3))))
    hosts = [
        app_host(
            f"app{number}",
            draw(st.sampled_from([OLD, NEW, None])),
            instances,
            running={one: draw(st.sampled_from([OLD, NEW, None])) for one in instances},
        )
        for number in range(1, draw(st.integers(lowest, 6)) + 1)
    ]
    members = [f"{host.name}:{number}" for host in hosts for number in host.instances]
    owners = draw(st.dictionaries(st.sampled_from(members), st.sampled_from([OURS, "ana", "deploy blog"])))
    batch = draw(st.one_of(st.integers(1, 7), st.integers(1, 100).map("{}%".format)))
    return hosts, owners, batch


def of(hosts: list[AppHost], owners: dict[str, str], batch: int | str, **said: Any) -> Plan:
    entry = {"instances": len(hosts[0].instances)}
    return plan(asked(hosts=len(hosts), batch=batch, entry=entry, **said), hosts, edges(hosts, owners), NONE)


def drained(host: AppHost, owners: dict[str, str]) -> bool:
    return any(owners.get(f"{host.name}:{number}") == OURS for number in host.instances)


@given(fleets(lowest=2), st.sampled_from(["rolling", "maintenance"]))
def test_each_host_that_is_behind_has_its_turn_once(given_fleet: Any, strategy: str) -> None:
    hosts, owners, batch = given_fleet
    result = of(hosts, owners, batch, strategy=strategy)
    covered = [name for one in result.batches for name in one.hosts]
    assert sorted(covered) == sorted(host.name for host in hosts if not host.runs(NEW) or drained(host, owners))
    assert all(one.hosts[name] == hosts[0].instances for one in result.batches for name in one.hosts)
    # Those that a run before left out of the pool come first.
    ours = [name for name in covered if drained(next(host for host in hosts if host.name == name), owners)]
    assert covered[: len(ours)] == ours


@given(fleets(), st.sampled_from(["rolling", "maintenance"]))
def test_nothing_is_left_to_do_after_a_plan(given_fleet: Any, strategy: str) -> None:
    hosts, owners, batch = given_fleet
    result = of(hosts, owners, batch, strategy=strategy)
    after, pool = applied(result)
    again = plan(result.request, after, pool, NONE)
    assert (again.batches, again.is_needed) == ((), False)
    # What others took out of the pool is still theirs.
    left = {member.name: member.owner for member in pool[0].members if member.owner}
    assert left == {name: owner for name, owner in owners.items() if owner != OURS}


@given(fleets())
def test_somebody_serves_while_a_batch_does_not(given_fleet: Any) -> None:
    hosts, owners, batch = given_fleet
    result = of(hosts, owners, batch)
    if result.findings:
        return
    pool = {f"{host.name}:{number}" for host in hosts for number in host.instances}
    out = {name for name, owner in owners.items() if owner == OURS}
    others = {name for name, owner in owners.items() if owner != OURS}
    for one in result.batches:
        assert set(members_of(one)) < pool
        # What is drained by nobody else, before this batch and in it, is not all there is; unless that was so before.
        assert pool - others - set(members_of(one)) or not pool - others - out
        out -= set(members_of(one))


@given(fleets())
def test_a_canary_is_alone_and_first(given_fleet: Any) -> None:
    hosts, owners, batch = given_fleet
    result = of(hosts, owners, batch)
    kinds = [one.kind for one in result.batches]
    assert "canary" not in kinds[1:]
    if kinds[:1] == ["canary"]:
        assert len(result.batches[0].hosts) == 1
        assert not any(host.runs(NEW) for host in hosts)
    assert [(one.number, one.of) for one in result.batches] == [
        (number, len(kinds)) for number in range(1, len(kinds) + 1)
    ]


@given(fleets(), st.data())
def test_the_way_back_covers_what_failed_first(given_fleet: Any, data: st.DataObject) -> None:
    hosts, _owners, batch = given_fleet
    names = [host.name for host in hosts]
    failed = data.draw(st.lists(st.sampled_from(names), unique=True))
    origins = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from([OLD, "1.2.0"])))
    rollback = data.draw(st.sampled_from(["fleet", "batch"]))
    entry = {"instances": len(hosts[0].instances)}
    request = asked(hosts=len(hosts), batch=batch, entry=entry, rollback=rollback)
    # A failed batch is out of the pool as a whole; what others took out is left aside.
    owners = {f"{name}:{number}": OURS for name in failed for number in hosts[0].instances}
    result = restore(request, hosts, edges(hosts, owners), NONE, origins, failed)
    covered = [name for one in result.batches for name in one.hosts]
    able = {name for name, release in origins.items() if release == OLD}
    assert set(covered) <= (able & set(failed) if rollback == "batch" else able)
    assert [name in failed for name in covered] == sorted((name in failed for name in covered), reverse=True)
    if able == set(names):
        # Otherwise the rest may have to serve.
        assert {host.name for host in hosts if host.name in failed and not host.runs(OLD)} <= set(covered)
    after, pool = applied(result)
    assert restore(request, after, pool, NONE, origins, failed).batches == ()
