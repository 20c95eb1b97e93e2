"""An instance outgrows its memory limit: it alone is killed, is back within its delay, and no GET fails."""

from __future__ import annotations

import time

from tests.support.load import Load
from tests.support.say import say
from tests.support.units import unit_of
from tests.support.wait import wait_for

UNIT = "slipway-shop@3001.service"
OTHERS = ("slipway-shop@3000.service", "slipway-mailer@1.service")
# To grow to the limit, to be killed, and to start.
REST_SECONDS = 8


def test_a_memory_hog_is_killed_at_its_limit_and_comes_back(demo, whole):
    before = unit_of(demo, "app1", UNIT)
    others = {name: unit_of(demo, "app1", name) for name in OTHERS}
    assert all(other.active for other in others.values())
    limit = int(demo.shell("app1", f"systemctl show {UNIT} -p MemoryMax --value")) >> 20

    def is_back() -> bool:
        now = unit_of(demo, "app1", UNIT)
        return now.restarts > before.restarts and now.active and now.main_pid not in (0, before.main_pid)

    with Load(demo) as load:
        time.sleep(2)
        url = f"http://{demo.address('app1')}:3001/fault/hog"
        say(f"did: POST /fault/hog to {UNIT} on app1 (limit {limit} MB) under {load.rate:.0f} GET/s")
        begun = time.monotonic()
        demo.shell("app1", f"curl -s -X POST {url}", check=False)
        wait_for("systemd restarted it", is_back, 40)
        back = time.monotonic() - begun
        time.sleep(5)
    journal = demo.shell("app1", f"journalctl -q --no-pager -u {UNIT} --since=-2min _PID=1")
    say(f"saw: {load.summary()}; killed and back after {back:.1f} s")
    # With cgroup v2 systemd knows that memory was the reason; with v1 it sees the kernel's SIGKILL.
    assert "oom-kill" in journal or "status=9/KILL" in journal, journal
    assert unit_of(demo, "app1", UNIT).restarts == before.restarts + 1
    assert {name: unit_of(demo, "app1", name) for name in OTHERS} == others
    assert back <= before.restart_delay_seconds + REST_SECONDS
    assert load.failures == []
