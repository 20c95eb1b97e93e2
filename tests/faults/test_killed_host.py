"""An application host vanishes without a goodbye under load: no GET fails, and it comes back into the pool."""

from __future__ import annotations

import time

import docker

from tests.faults.conftest import say
from tests.support.load import Load


def test_a_killed_host_costs_no_get(demo, whole):
    host = docker.from_env().containers.get("slipway-demo-app2")
    with Load(demo) as load:
        time.sleep(2)
        say(f"did: SIGKILL of the whole host app2 under {load.rate:.0f} GET/s, started again after 15 s")
        host.kill()
        try:
            time.sleep(15)
        finally:
            host.start()
        time.sleep(15)
    say(f"saw: {load.summary()}")
    assert load.failures == []
    assert load.sent > 1000
