# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Migrations against a systemd that is played: what it was told, and how its units end."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy import migration_host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import fenced as fence_of
from ansible_collections.slipway.stack.plugins.module_utils.deploy.migration import Migration, MigrationError
from ansible_collections.slipway.stack.plugins.module_utils.deploy.migration_host import Host, MigrationFailed

LOCK = "ERROR: canceling statement due to lock timeout"


class Systemd:
    """Each start takes the next of the given ends: an empty text ends well, any other is what a failure wrote.

    A unit is at work for ``seconds`` of the played clock.
    """

    def __init__(self, *ends: str, seconds: float = 1.0) -> None:
        self.ends = list(ends)
        self.seconds = seconds
        self.now = 0.0
        self.starts = 0
        self.slept: list[float] = []
        self.over = 0.0
        self.state = "inactive"
        self.rename = ("", "")
        self.output = ""

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def work(self, end: str, started: str, done: str) -> None:
        self.state, self.over, self.output, self.rename = "activating", self.now + self.seconds, end, (started, done)

    def __call__(self, argv: Sequence[str]) -> tuple[int, str, str]:
        if argv[0] == "systemd-run":
            self.starts += 1
            post = next(part for part in argv if part.startswith("--property=ExecStartPost="))
            started, done = post.split()[-2:]
            self.work(self.ends.pop(0), started, done)
        elif argv[:2] == ["systemctl", "show"]:
            if self.state == "activating" and self.now >= self.over:
                self.state = "failed" if self.output else "inactive"
                if not self.output:
                    Path(self.rename[0]).rename(self.rename[1])
            return 0, f"ActiveState={self.state}\nResult=exit-code\nExecMainStatus=1\n", ""
        elif argv[0] == "journalctl" and "--sync" not in argv:
            return 0, f"{self.output or 'applied'}\n", ""
        return 0, "", ""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migration:
    (tmp_path / "shop/releases/1.4.0").mkdir(parents=True)
    (tmp_path / "shop.env").write_text('PASSWORD="Tr0ub4dor"\n')
    monkeypatch.setattr(
        migration_host, "fenced", lambda number: fence_of(number, wait_seconds=0, path=f"{tmp_path}/state/fence")
    )
    return Migration(
        application="shop",
        root=str(tmp_path / "shop"),
        release="1.4.0",
        user=getpass.getuser(),
        command=("bin/migrate",),
        kind="expand",
        environment_file=str(tmp_path / "shop.env"),
    )


def host(systemd: Systemd, migration: Migration) -> Host:
    return Host(systemd, systemd.clock, systemd.sleep, f"{Path(migration.root).parent}/state/migrations")


def test_once(shop: Migration) -> None:
    systemd = Systemd("")
    done = host(systemd, shop).migrate(shop, fence=3)
    assert (done.changed, done.attempts, done.output) == (True, 1, "applied")
    again = host(systemd, shop).migrate(shop, fence=3)
    assert (again.changed, again.attempts, again.at) == (False, 0, done.at)
    assert systemd.starts == 1
    assert host(systemd, shop).record(shop)["fence"] == 3


def test_another_release_is_migrated_again_but_its_database_is_not_seeded_again(shop: Migration) -> None:
    (Path(shop.root) / "releases/1.5.0").mkdir()
    systemd = Systemd("", "", "")
    for release in ("1.4.0", "1.5.0"):
        host(systemd, shop).migrate(replace(shop, release=release), fence=None)
        host(systemd, shop).migrate(replace(shop, release=release, kind="seed", database="shop"), fence=None)
    assert systemd.starts == 3


def test_a_lock_is_tried_again_after_longer_and_longer_pauses(shop: Migration) -> None:
    systemd = Systemd(LOCK, LOCK, "")
    done = host(systemd, shop).migrate(shop, fence=None)
    assert done.attempts == 3
    assert [pause for pause in systemd.slept if pause >= 1] == [1, 2]


def test_locks_are_given_up_in_the_end(shop: Migration) -> None:
    systemd = Systemd(*[LOCK] * 9)
    with pytest.raises(MigrationFailed, match=r"failed in 3 attempts after .* exit code 1.*\n.*lock timeout") as failed:
        host(systemd, replace(shop, lock_retries=2)).migrate(replace(shop, lock_retries=2), fence=None)
    assert (failed.value.attempts, systemd.starts) == (3, 3)


def test_no_attempt_begins_after_the_time_is_up(shop: Migration) -> None:
    systemd = Systemd(*[LOCK] * 9)
    with pytest.raises(MigrationFailed):
        host(systemd, shop).migrate(replace(shop, timeout_seconds=5), fence=None)
    assert systemd.now <= 5


def test_another_failure_is_final_and_secrets_stay_out_of_it(shop: Migration) -> None:
    systemd = Systemd("login with Tr0ub4dor refused")
    with pytest.raises(MigrationFailed) as failed:
        host(systemd, shop).migrate(shop, fence=None)
    assert systemd.starts == 1
    assert str(failed.value).endswith("See: journalctl -u slipway-migration-shop.service\nlogin with ******** refused")
    assert host(systemd, shop).record(shop) == {}


def test_a_failed_migration_runs_again_with_the_same_command(shop: Migration) -> None:
    systemd = Systemd("broken", "")
    with pytest.raises(MigrationFailed):
        host(systemd, shop).migrate(shop, fence=None)
    assert host(systemd, shop).migrate(shop, fence=None).changed


def test_one_that_is_at_work_is_waited_for(shop: Migration) -> None:
    systemd = Systemd(seconds=7)
    played = host(systemd, shop)
    folder = Path(played.directory) / "shop"
    folder.mkdir(parents=True)
    (folder / "expand-1.4.0.started").write_text('{"at": "2026-11-24T21:00:00Z", "token": "abc"}')
    systemd.work("", str(folder / "expand-1.4.0.started"), str(folder / "expand-1.4.0.json"))
    done = played.migrate(shop, fence=None)
    assert (done.changed, done.attempts, done.at, systemd.starts) == (True, 0, "2026-11-24T21:00:00Z", 0)
    assert done.seconds >= 7


def test_what_cannot_run_here_is_refused_before_anything_is_started(shop: Migration) -> None:
    systemd = Systemd("")
    for changes, message in (
        ({"release": "9.9.9"}, "release: 9.9.9 is not stored in"),
        ({"user": "nobody-here"}, "user: 'nobody-here' is not a user of this host"),
        ({"environment_file": "/no/such.env"}, "environment_file: /no/such.env cannot be read"),
    ):
        with pytest.raises(MigrationError, match=message):
            host(systemd, shop).migrate(replace(shop, **changes), fence=None)
    assert systemd.starts == 0


def test_a_run_that_lost_the_lease_starts_nothing(shop: Migration) -> None:
    systemd = Systemd("", "")
    host(systemd, shop).migrate(shop, fence=5)
    with pytest.raises(Exception, match="4 is lower than 5"):
        host(systemd, shop).migrate(replace(shop, kind="contract"), fence=4)
    assert systemd.starts == 1
