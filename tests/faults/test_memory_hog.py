"""An instance outgrows its memory limit: it alone is killed, is back within its delay, and no GET fails."""

from __future__ import annotations

import time

from tests.faults.conftest import say, wait_for
from tests.support.load import Load

UNIT = "slipway-shop@3001.service"


def test_a_memory_hog_is_killed_at_its_limit_and_comes_back(demo, whole):
    def show(field: str) -> str:
        return demo.shell("app1", f"systemctl show {UNIT} -p {field} --value").strip()

    restarts = int(show("NRestarts"))
    with Load(demo) as load:
        time.sleep(2)
        begun = time.monotonic()
        url = f"http://{demo.address('app1')}:3001/fault/hog"
        limit = int(show("MemoryMax")) >> 20
        say(f"did: POST /fault/hog to {UNIT} on app1 (limit {limit} MB) under {load.rate:.0f} GET/s")
        demo.shell("app1", f"curl -s -X POST {url}", check=False)
        wait_for(
            "systemd restarted it", lambda: int(show("NRestarts")) > restarts and show("ActiveState") == "active", 40
        )
        back = time.monotonic() - begun
        time.sleep(5)
    journal = demo.shell("app1", f"journalctl -q --no-pager -u {UNIT} --since=-2min _PID=1")
    say(f"saw: {load.summary()}; killed and back after {back:.1f} s")
    # With cgroup v2 systemd knows that memory was the reason; with v1 it sees the kernel's SIGKILL.
    assert "oom-kill" in journal or "status=9/KILL" in journal, journal
    assert int(show("NRestarts")) == restarts + 1
    assert load.failures == []
