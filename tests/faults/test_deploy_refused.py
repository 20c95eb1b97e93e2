"""What a deploy must refuse before anything is changed, with the variable and the form expected in the message."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from tests.support.deploy import (
    LONG,
    artifact,
    assert_on,
    deploy,
    drained,
    ledger,
    members,
    module,
    new_release,
    one_of,
    rollback,
)
from tests.support.shop import shop_with


@pytest.fixture
def refused(demo, origin):
    """Asserts that a run was refused with these words, and that nothing came of it."""
    entries, states = ledger(demo), members(demo)

    def check(run, started, *words):
        assert run.status != 0, run.output
        assert set(run.changed.values()) <= {0}, run.output
        for word in words:
            assert word in started.message, f"{word!r} is not in:\n{run.output}"
        assert ledger(demo) == entries
        assert members(demo) == states
        assert_on(demo, origin)

    return check


@pytest.mark.parametrize("release", one_of(["../../etc", "a;rm -rf /", "", "-x", "a" * 65, ".hidden"]))
def test_a_release_that_is_no_name(demo, refused, release):
    refused(*deploy(demo, release), "deploy_release", "1 to 64 letters, digits, dots")


def test_an_artefact_that_is_not_there(demo, refused):
    run, started = deploy(demo, new_release("none"), artifact="/nowhere/shop.tar.gz")
    refused(run, started, "/nowhere/shop.tar.gz")


@pytest.mark.parametrize("sha256", ["0" * 64, "abc"])
def test_an_artefact_with_another_checksum(demo, refused, sha256):
    run, started = deploy(demo, new_release("sum"), artifact_sha256=sha256)
    refused(run, started, sha256, *(() if sha256 == "abc" else (artifact().sha256,)))


def test_a_rollback_without_an_earlier_good_release(demo, origin):
    # Nobody deploys it in these tests.
    run, started = rollback(demo, deploy_application="mailer")
    assert run.status != 0, run.output
    assert set(run.changed.values()) == {0}, run.output
    assert "no earlier good release" in started.message


@pytest.mark.parametrize("batch", one_of([2, 3, "100%", "51%"]))
def test_a_batch_as_large_as_the_pool(demo, refused, batch):
    refused(*deploy(demo, new_release("batch"), batch=batch), "deploy_batch", str(batch), "choose at most 1")


@pytest.mark.parametrize("batch", one_of([0, -1, "two", "0%", "200%", 1.5]))
def test_a_batch_that_is_none(demo, refused, batch):
    refused(*deploy(demo, new_release("batch"), batch=batch), "deploy_batch", str(batch), "whole number of hosts")


@pytest.mark.parametrize("seconds", one_of(["30 secs", 0, -5, 1.5, True]))
def test_a_drain_that_takes_no_time(demo, refused, seconds):
    run, started = deploy(demo, new_release("drain"), drain_seconds=seconds)
    refused(run, started, "deploy_drain_seconds", str(seconds), "whole number of seconds")


@pytest.mark.parametrize(
    "option", one_of([("rollback", "all"), ("strategy", "fast"), ("window", "maybe"), ("soak_seconds", -1)])
)
def test_an_option_that_is_none(demo, refused, option):
    name, value = option
    refused(*deploy(demo, new_release("option"), **{name: value}), f"deploy_{name}", str(value))


def test_a_near_miss_of_a_variable(demo, refused):
    run, started = deploy(demo, new_release("miss"), "-e", "deploy_drain_second=9")
    refused(run, started, "deploy_drain_second", "deploy_drain_seconds")


def test_an_application_that_is_not_there(demo, refused):
    run, started = deploy(demo, new_release("app"), "-e", "deploy_application=shopp")
    refused(run, started, "deploy_application", "shopp", "one of", "mailer")


def test_two_applications_at_one_port(demo, refused):
    (flag, text) = shop_with()
    entry = json.loads(text)
    entry["slipway_apps"]["other"] = {**entry["slipway_apps"]["shop"], "port": 3001, "server_names": ["other.test"]}
    run, started = deploy(demo, new_release("port"), flag, json.dumps(entry))
    refused(run, started, "3001", "app1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--limit", "app1,app2"), "--limit"),
        (("--limit", "edge1"), "--limit"),
        (("--limit", "data1"), "--limit"),
        (("--tags", "app"), "--tags"),
        (("--skip-tags", "always"), "--skip-tags"),
        (("--start-at-task", "Batch by batch"), "--start-at-task"),
        (("--start-at-task", "Plan"), "--start-at-task"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_call_that_leaves_a_part_of_the_protocol_out(demo, refused, arguments, told):
    refused(*deploy(demo, new_release("call"), *arguments), told)


def test_a_pool_that_others_have_drained_but_for_the_batch(demo, origin):
    options = {"application": "shop", "owner": "ana", "members": ["app2:*"]}
    try:
        module(demo, "edge1", "pool_member", state="draining", **options)
        entries, states = ledger(demo), drained(demo)
        run, started = deploy(demo, new_release("pool"))
        assert run.status != 0, run.output
        assert set(run.changed.values()) == {0}, run.output
        assert "ana" in started.message
        assert "app2:3000" in started.message
        assert (ledger(demo), drained(demo)) == (entries, states)
    finally:
        module(demo, "edge1", "pool_member", state="active", **options)


def window(begins: datetime, minutes: int, zone: str = "UTC", **more: object) -> dict[str, object]:
    return {"timezone": zone, "starts": f"{begins:%H:%M}", "duration_minutes": minutes, **more}


def in_window(demo, *windows, freezes=(), **variables):
    """Arguments and variables of a deploy that keeps to these windows."""
    arguments = shop_with(deploy={"windows": list(windows)})
    return deploy(
        demo, new_release("window"), *arguments, "-e", json.dumps({"slipway_freezes": list(freezes)}), **variables
    )


def now() -> datetime:
    return datetime.now(timezone.utc)


def test_outside_its_windows_the_next_one_is_named(demo, refused):
    begins = now() + timedelta(hours=6)
    run, started = in_window(demo, window(begins, 60), window="enforce")
    refused(run, started, f"{begins:%Y-%m-%d}", f"{begins:%H:%M}", "UTC")


def test_what_would_not_end_in_time_waits_for_the_next_window(demo, refused):
    begins = now() - timedelta(minutes=10)
    following = begins + timedelta(days=1)
    run, started = in_window(demo, window(begins, 11), window="enforce")
    refused(run, started, f"{following:%Y-%m-%d}", "remain")


def test_a_freeze_holds_inside_a_window_and_without_any(demo, refused):
    freeze = {
        "from": f"{now() - timedelta(days=1):%Y-%m-%dT%H:%M}",
        "until": f"{now() + timedelta(days=1):%Y-%m-%dT%H:%M}",
        "timezone": "UTC",
        "reason": "the sale of the year",
    }
    inside = window(now() - timedelta(hours=1), 600)
    refused(*in_window(demo, inside, freezes=[freeze], window="enforce"), "the sale of the year")
    refused(*in_window(demo, freezes=[freeze], window="enforce"), "the sale of the year")


@pytest.mark.parametrize(
    "wrong",
    one_of(
        [
            {"timezone": "Europe/Nowhere"},
            {"starts": "25:00"},
            {"duration_minutes": 0},
            {"rrule": "FREQ=SOMETIMES"},
        ]
    ),
    ids=lambda value: next(iter(value)),
)
def test_a_window_that_is_none(demo, refused, wrong):
    (name, value) = next(iter(wrong.items()))
    refused(*in_window(demo, window(now(), 600) | wrong, window="enforce"), name, str(value))


@LONG
def test_a_window_across_midnight_admits_a_deploy(demo, origin):
    # Where it is past midnight now, by less than an hour.
    hour = now().hour
    zone = f"Etc/GMT{f'+{hour}' if hour <= 12 else f'-{24 - hour}'}"
    run, _started = in_window(demo, window(datetime(2026, 1, 1, 23, 0), 180, zone), window="enforce", soak_seconds=0)
    assert run.status == 0, run.output
