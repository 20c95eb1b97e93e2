"""An instance is killed under load: no GET fails, and systemd has it back after its delay."""

from __future__ import annotations

import time

from tests.support.load import Load
from tests.support.say import say
from tests.support.shop import instances
from tests.support.units import unit_of
from tests.support.wait import wait_for

UNIT = "slipway-shop@3000.service"
STARTUP_SECONDS = 5


def test_a_killed_instance_costs_no_get(demo, whole):
    took = []
    with Load(demo) as load:
        time.sleep(2)
        load.await_answers(instances(demo), 10)
        say(f"did: SIGKILL of {UNIT} on app1, three times, under {load.rate:.0f} GET/s")
        for _number in range(3):
            before = unit_of(demo, "app1", UNIT)
            assert before.active

            def is_back(before=before) -> bool:
                now = unit_of(demo, "app1", UNIT)
                return now.restarts == before.restarts + 1 and now.active and now.main_pid not in (0, before.main_pid)

            begun = time.monotonic()
            demo.shell("app1", f"systemctl kill --signal=KILL {UNIT}")
            wait_for("systemd started it once again", is_back, 30)
            took.append(time.monotonic() - begun)
            assert took[-1] <= before.restart_delay_seconds + STARTUP_SECONDS
            time.sleep(3)
        load.await_answers(instances(demo), 60)
        time.sleep(2)
    say(f"saw: {load.summary()}; back after {', '.join(f'{seconds:.1f}' for seconds in took)} s")
    assert load.failures == []
    assert load.sent > 500
