# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger of a fleet: what was done to which application, one JSON object on each line, the oldest first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..moments import parse_time, render_time

STARTED, SUCCEEDED, FAILED, TAKEN_OVER, NOTE = "started", "succeeded", "failed", "taken_over", "note"
MIGRATED, CONTRACTED, SEEDED, RESTORE_POINT = "migrated", "contracted", "seeded", "restore_point"
EVENTS = (STARTED, MIGRATED, CONTRACTED, SEEDED, RESTORE_POINT, SUCCEEDED, FAILED, TAKEN_OVER, NOTE)


class LedgerError(Exception):
    """The ledger could not be read or written, or an entry cannot be; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One line. ``application`` is None for what concerns the whole fleet; ``at`` is aware."""

    at: datetime
    event: str
    run: str
    application: str | None = None
    release: str | None = None
    fence: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def same(self, other: Entry) -> bool:
        """Return whether both tell of one thing. Two notes never do."""
        return self.event != NOTE and self._key() == other._key()

    def _key(self) -> tuple[str | None, ...]:
        return self.run, self.application, self.event, self.release


@dataclass(frozen=True)
class Ledger:
    """What the file holds. ``damaged`` are the numbers, from 1, of whole lines that are no entries."""

    entries: tuple[Entry, ...] = ()
    damaged: tuple[int, ...] = ()


def parse(text: str) -> Ledger:
    """Return what the file's text holds. A last line without its end was cut off by a power loss and does not count."""
    entries, damaged = [], []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            entries.append(_entry(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            damaged.append(number)
    return Ledger(tuple(entries), tuple(damaged))


def _entry(raw: Mapping[str, Any]) -> Entry:
    return Entry(
        at=parse_time(raw["at"]),
        event=str(raw["event"]),
        run=str(raw["run"]),
        application=raw.get("application"),
        release=raw.get("release"),
        fence=raw.get("fence"),
        data=dict(raw.get("data") or {}),
    )


def as_dict(entry: Entry) -> dict[str, Any]:
    """Return the entry as a line of the file holds it and as modules return it."""
    return {
        "at": render_time(entry.at),
        "application": entry.application,
        "event": entry.event,
        "run": entry.run,
        "release": entry.release,
        "fence": entry.fence,
        "data": dict(entry.data),
    }


def render(entry: Entry) -> str:
    """Return the entry as one line, with its end.

    Raises:
        LedgerError: when its data is not JSON.
    """
    try:
        return json.dumps(as_dict(entry), ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise LedgerError(f"data: {error}; expected values that JSON has") from error


def history(ledger: Ledger, application: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest ``limit`` entries, the newest first; of one application and the whole fleet, or all."""
    found = [entry for entry in ledger.entries if application is None or entry.application in (application, None)]
    return [as_dict(entry) for entry in reversed(found[-limit:])]


def facts(ledger: Ledger, application: str) -> dict[str, Any]:
    """Return what follows of the entries of one application.

    unfinished is the entry of the run that was started last, unless that succeeded or failed. succeeded, migrated and
    contracted are releases, the newest first, each once. seeded tells whether its database was filled.
    """
    entries = [entry for entry in ledger.entries if entry.application == application]
    unfinished = None
    for entry in entries:
        if entry.event == STARTED:
            unfinished = entry
        elif entry.event in (SUCCEEDED, FAILED):
            unfinished = None
    return {
        "unfinished": as_dict(unfinished) if unfinished else None,
        "succeeded": _releases(entries, SUCCEEDED),
        "migrated": _releases(entries, MIGRATED),
        "contracted": _releases(entries, CONTRACTED),
        "seeded": any(entry.event == SEEDED for entry in entries),
    }


def _releases(entries: Iterable[Entry], event: str) -> list[str]:
    found = [entry.release for entry in entries if entry.event == event and entry.release]
    return list(dict.fromkeys(reversed(found)))
