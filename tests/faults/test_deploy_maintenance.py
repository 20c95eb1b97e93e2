"""A program that has to stand still for its deploy: announced, behind a page, and back once the release is proven."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.support.deploy import LONG, artifact, assert_on, deploy, new_release
from tests.support.http import Client
from tests.support.say import say
from tests.support.stack import Stack
from tests.support.traffic import Stream, traffic

USERS = (Stream("GET", "/api/health", 40), Stream("POST", "/api/session", 10, {"user": "traffic"}))
SOCKETS = 10
DRAIN_SECONDS = 6
ANNOUNCE_SECONDS = 3
GOING_AWAY = 1001
WELL = {"200", "201"}


def announcement(stack: Stack) -> str | None:
    return Client(stack).get("/api/health").headers.get("maintenance-announcement")


def test_users_get_a_page_while_it_stands_still_and_nothing_else(demo, origin):
    artifact()
    release = new_release("standing")
    with traffic(demo, USERS, sockets=SOCKETS) as users:
        time.sleep(2)
        run, started = deploy(
            demo, release, strategy="maintenance", drain_seconds=DRAIN_SECONDS, announce_seconds=ANNOUNCE_SECONDS
        )
        ended = time.time()
        time.sleep(5)
    assert run.status == 0, run.output
    assert_on(demo, release)
    on, off = started.phase("page on"), started.phase("page off")
    assert on is not None
    assert off is not None
    outcomes = Counter(one.outcome for one in users.requests if on.at <= one.due < off.at)
    say(f"did: {release} with the page on, in {ended - started.progress[0].at:.0f} s; saw meanwhile: {dict(outcomes)}")
    assert set(outcomes) == {*WELL, "503"}
    assert {one.outcome for one in users.requests if one.due < on.at or one.due > ended} == WELL
    # Announced first, so that whoever was in the middle of something could end it.
    paged = [one.due for one in users.requests if one.outcome == "503"]
    assert min(paged) - on.at >= ANNOUNCE_SECONDS
    # The program said good-bye to each websocket, after the time that it had to end by itself.
    codes = Counter(drop.code for drop in users.drops)
    say(f"saw: {len(users.drops)} websockets closed with {dict(codes)}")
    assert codes == {GOING_AWAY: SOCKETS}
    batch = started.phase("batch 1")
    assert batch is not None
    assert min(drop.ended or 0 for drop in users.drops) - batch.at >= DRAIN_SECONDS
    assert {users.after(drop) is not None for drop in users.drops} == {True}
    assert announcement(demo) is None


@LONG
@pytest.mark.parametrize("fault", ["exits", "answers_500"])
def test_the_page_goes_when_the_release_is_broken(demo, origin, fault):
    release = new_release("broken")
    run, _started = deploy(demo, release, of=artifact(fault), strategy="maintenance", drain_seconds=DRAIN_SECONDS)
    assert run.status != 0
    assert_on(demo, origin)
    assert Client(demo).get("/api/health").status == 200
