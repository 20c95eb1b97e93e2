"""An instance is killed under load: no GET fails, and systemd has it back after its delay."""

from __future__ import annotations

import time

from tests.faults.conftest import say, wait_for
from tests.support.load import Load

UNIT = "slipway-shop@3000.service"


def test_a_killed_instance_costs_no_get(demo, whole):
    with Load(demo) as load:
        time.sleep(2)
        say(f"did: SIGKILL of {UNIT} on app1, three times, under {load.rate:.0f} GET/s")
        for _number in range(3):
            demo.shell("app1", f"systemctl kill --signal=KILL {UNIT}")
            back = wait_for(
                "the unit is active",
                lambda: demo.shell("app1", f"systemctl is-active {UNIT}", check=False).strip() == "active",
                30,
            )
            time.sleep(3)
        time.sleep(2)
    say(f"saw: {load.summary()}; back after {back:.1f} s")
    assert load.failures == []
    assert load.sent > 500
