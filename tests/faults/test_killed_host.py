"""An application host vanishes without a goodbye under load: no GET fails, and it comes back into the pool."""

from __future__ import annotations

import time

import docker

from tests.support.load import Load
from tests.support.say import say
from tests.support.shop import instances


def test_a_killed_host_costs_no_get(demo, whole):
    host = docker.from_env().containers.get("slipway-demo-app2")
    with Load(demo) as load:
        time.sleep(2)
        load.await_answers(instances(demo), 10)
        say(f"did: SIGKILL of the whole host app2 under {load.rate:.0f} GET/s, started again after 15 s")
        host.kill()
        try:
            time.sleep(15)
        finally:
            host.start()
        back = load.await_answers(instances(demo), 90)
        time.sleep(5)
    say(f"saw: {load.summary()}; all instances answered again {back:.1f} s after the start")
    assert load.failures == []
    assert load.sent > 1000
