# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lease as a file: many who want it at once, check mode, take-overs in the ledger, damage."""

from __future__ import annotations

import json
import multiprocessing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy import fence, ledger_host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.lease import LeaseError, Request
from ansible_collections.slipway.stack.plugins.module_utils.deploy.lease_host import change, read
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError

NOW = datetime(2026, 11, 24, 19, 30, tzinfo=timezone.utc)
RACERS = 32


def take(run: str, **more: Any) -> Request:
    return Request("taken", run, owner="ana", term_seconds=60, **more)


def race(directory: str, number: int, start: Any, results: Any) -> None:
    """Want the lease at the same moment as the others do."""
    start.wait()
    try:
        outcome = change(take(f"run-{number}"), lambda: NOW, directory)
        results.put(("won", number, outcome.after.fence))
    except LeaseError as error:
        results.put(("lost", number, error.holder.run if error.holder else None))


@pytest.mark.parametrize("expired", [False, True], ids=["free", "expired"])
def test_of_many_at_once_exactly_one_wins(tmp_path: Path, expired: bool) -> None:
    if expired:
        change(take("run-before"), lambda: NOW - timedelta(hours=1), str(tmp_path))
    processes = multiprocessing.get_context("fork")
    start, results = processes.Barrier(RACERS), processes.Queue()
    racers = [processes.Process(target=race, args=(str(tmp_path), n, start, results)) for n in range(RACERS)]
    for racer in racers:
        racer.start()
    told = [results.get(timeout=60) for _racer in racers]
    for racer in racers:
        racer.join()
    winners = [(number, given) for outcome, number, given in told if outcome == "won"]
    assert len(winners) == 1
    assert winners[0][1] == (2 if expired else 1)
    assert {given for outcome, _number, given in told if outcome == "lost"} == {f"run-{winners[0][0]}"}
    events = [entry.event for entry in ledger_host.read(f"{tmp_path}/ledger.jsonl").entries]
    assert events == (["taken_over"] if expired else [])


def test_a_take_over_is_told_to_the_ledger(tmp_path: Path) -> None:
    change(take("run-a"), lambda: NOW, str(tmp_path))
    change(take("run-b", take_over=True), lambda: NOW, str(tmp_path))
    (entry,) = ledger_host.read(f"{tmp_path}/ledger.jsonl").entries
    assert (entry.event, entry.run, entry.application, entry.fence) == ("taken_over", "run-b", None, 2)
    assert entry.data["reason"] == "asked"
    assert entry.data["previous"]["run"] == "run-a"


def test_check_mode_foresees_and_writes_nothing(tmp_path: Path) -> None:
    directory = str(tmp_path / "deploy")
    assert change(take("run-a"), lambda: NOW, directory, check_only=True).after.fence == 1
    assert not Path(directory).exists()
    change(take("run-a"), lambda: NOW, directory)
    before = sorted((path.name, path.read_bytes()) for path in Path(directory).iterdir())
    assert change(take("run-b", take_over=True), lambda: NOW, directory, check_only=True).taken_over == "asked"
    with pytest.raises(LeaseError, match="The lease is held"):
        change(take("run-b"), lambda: NOW, directory, check_only=True)
    assert sorted((path.name, path.read_bytes()) for path in Path(directory).iterdir()) == before


def test_a_new_coordination_host_goes_on_from_the_number_that_it_was_told(tmp_path: Path) -> None:
    with fence.fenced(9, path=f"{tmp_path}/fence"):
        pass
    assert read(str(tmp_path)).fence == 9
    assert change(take("run-a"), lambda: NOW, str(tmp_path)).after.fence == 10


def test_a_take_over_that_cannot_be_recorded_does_not_happen(tmp_path: Path) -> None:
    change(take("run-a"), lambda: NOW, str(tmp_path))
    Path(tmp_path, "ledger.jsonl").mkdir()
    with pytest.raises(Exception, match=r"ledger\.jsonl: cannot be"):
        change(take("run-b", take_over=True), lambda: NOW, str(tmp_path))
    lease = read(str(tmp_path)).lease
    assert lease is not None
    assert lease.run == "run-a"


@pytest.mark.parametrize("text", ["{", json.dumps({"fence": 3, "lease": {"run": "x"}})])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    Path(tmp_path, "lease.json").write_text(text)
    with pytest.raises((LeaseError, StateFileError), match=r"/lease\.json: .*remove it to start anew"):
        change(take("run-a"), lambda: NOW, str(tmp_path))
