# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger: whole lines only, nothing twice, and what follows of it."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.ledger import (
    Entry,
    Ledger,
    LedgerError,
    as_dict,
    facts,
    history,
    parse,
    render,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.ledger_host import append, read
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 24, 19, 30, tzinfo=timezone.utc)


def entry(event: str, run: str = "run-a", release: str | None = "1", application: str | None = "shop") -> Entry:
    return Entry(NOW, event, run, application, release)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "deploy" / "ledger.jsonl")


def test_entries_are_lines_of_json_in_their_order(path: str) -> None:
    first = Entry(NOW, "started", "run-a", "shop", "1.4.0", 7, {"batches": [["app1"], ["app2"]], "who": "Zoë"})
    assert append(first, path)
    assert append(entry("succeeded"), path)
    assert Path(path).read_text().splitlines()[0] == (
        '{"at": "2026-11-24T19:30:00Z", "application": "shop", "event": "started", "run": "run-a", "release": "1.4.0",'
        ' "fence": 7, "data": {"batches": [["app1"], ["app2"]], "who": "Zoë"}}'
    )
    assert read(path).entries == (first, entry("succeeded"))
    assert Path(path).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("check_only", [False, True])
def test_the_same_is_not_appended_twice_but_notes_are(path: str, check_only: bool) -> None:
    for one in (entry("started"), entry("note")):
        append(one, path)
    assert not append(entry("started"), path, check_only=check_only)
    for other in (entry("note"), entry("failed"), entry("started", "run-b"), entry("started", release=None)):
        assert append(other, path, check_only=check_only)
    assert len(read(path).entries) == (2 if check_only else 6)


def test_check_mode_writes_nothing(path: str) -> None:
    assert append(entry("started"), path, check_only=True)
    assert not Path(path).parent.exists()


@pytest.mark.parametrize("torn", ['{"at": "2026-', "\0\0\0", render(entry("failed")).rstrip("\n")])
def test_a_line_that_was_cut_off_does_not_count_and_is_removed(path: str, torn: str) -> None:
    append(entry("started"), path)
    with Path(path).open("a") as stream:
        stream.write(torn)
    assert read(path) == Ledger((entry("started"),))
    append(entry("succeeded"), path)
    assert read(path) == Ledger((entry("started"), entry("succeeded")))


@given(st.integers(min_value=0))
def test_a_ledger_cut_off_anywhere_loses_at_most_its_last_entry(at: int) -> None:
    entries = (entry("started"), entry("note"), entry("succeeded"))
    text = "".join(map(render, entries))
    whole = text[: at % (len(text) + 1)].count("\n")
    assert parse(text[: at % (len(text) + 1)]) == Ledger(entries[:whole])


def test_lines_that_are_no_entries_are_counted(path: str) -> None:
    append(entry("started"), path)
    with Path(path).open("a") as stream:
        stream.write('\0\0\n{"at": "yesterday", "event": "failed", "run": "x"}\n[]\n')
    append(entry("succeeded"), path)
    assert read(path) == Ledger((entry("started"), entry("succeeded")), damaged=(2, 3, 4))


def limited(path: str) -> None:
    """Append where the disk ends in the middle of the line."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = Path(path).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, size + 20))
    try:
        append(entry("succeeded"), path)
    except LedgerError as error:
        raise SystemExit(7 if "ledger.jsonl: cannot be written" in str(error) else 8) from error


def test_a_full_disk_leaves_no_part_of_a_line(path: str) -> None:
    append(entry("started"), path)
    before = Path(path).read_bytes()
    child = multiprocessing.get_context("fork").Process(target=limited, args=(path,))
    child.start()
    child.join()
    assert child.exitcode == 7
    assert Path(path).read_bytes() == before


def many(path: str, run: int) -> None:
    for number in range(5):
        append(entry("note", f"run-{run}", str(number)), path)


def test_many_at_once_lose_nothing(path: str) -> None:
    children = [multiprocessing.get_context("fork").Process(target=many, args=(path, run)) for run in range(8)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    found = read(path)
    assert found.damaged == ()
    assert sorted((one.run, one.release) for one in found.entries) == sorted(
        (f"run-{run}", str(number)) for run in range(8) for number in range(5)
    )


def test_data_that_is_no_json_is_refused(path: str) -> None:
    with pytest.raises(LedgerError, match=r"data: .*expected values that JSON has"):
        append(Entry(NOW, "note", "run-a", data={"at": NOW}), path)


def test_history_is_of_one_application_and_the_fleet() -> None:
    entries = tuple(
        Entry(NOW + timedelta(minutes=minute), "note", "run-a", application)
        for minute, application in enumerate(["shop", "blog", None, "shop"])
    )
    told = history(Ledger(entries), "shop", 2)
    assert told == [as_dict(entries[3]), as_dict(entries[2])]
    assert [line["application"] for line in history(Ledger(entries), None, 50)] == ["shop", None, "blog", "shop"]


@pytest.mark.parametrize(
    ("events", "unfinished"),
    [
        ([], None),
        ([("started", "run-a")], "run-a"),
        ([("started", "run-a"), ("migrated", "run-a"), ("note", "run-a")], "run-a"),
        ([("started", "run-a"), ("succeeded", "run-a")], None),
        ([("started", "run-a"), ("failed", "run-a")], None),
        # A controller died; another run went on and finished.
        ([("started", "run-a"), ("started", "run-b"), ("succeeded", "run-b")], None),
        ([("started", "run-a"), ("failed", "run-a"), ("started", "run-b")], "run-b"),
    ],
)
def test_what_was_started_last_is_unfinished_until_it_ends(
    events: list[tuple[str, str]], unfinished: str | None
) -> None:
    other = entry("started", "run-x", application="blog")
    found: Any = facts(Ledger((*(entry(*event) for event in events), other)), "shop")["unfinished"]
    assert (found and found["run"]) == unfinished


def test_releases_are_told_newest_first_and_once() -> None:
    entries = [entry("succeeded", "run-1", "1"), entry("succeeded", "run-2", "2"), entry("succeeded", "run-3", "1")]
    entries += [entry("migrated", "run-1", "1"), entry("migrated", "run-2", "2"), entry("contracted", "run-2", "2")]
    entries += [entry("seeded", application="blog"), entry("failed", "run-4", "4")]
    told = facts(Ledger(tuple(entries)), "shop")
    assert told["succeeded"] == ["1", "2"]
    assert told["migrated"] == ["2", "1"]
    assert told["contracted"] == ["2"]
    assert not told["seeded"]
    assert facts(Ledger(tuple(entries)), "blog")["seeded"]
