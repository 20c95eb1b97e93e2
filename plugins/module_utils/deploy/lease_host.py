# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lease on the coordination host: read it, and change it one run at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from .. import state_file
from . import fence, ledger_host
from .lease import LeaseError, Outcome, Record, Request, as_dict, parse, plan, render
from .ledger import TAKEN_OVER, Entry


def read(directory: str = fence.DIRECTORY) -> Record:
    """Return the lease and the highest number given, which is at least the one that this host was told (``fence``).

    Raises:
        LeaseError: when a file holds something else.
        StateFileError: when a file cannot be read.
    """
    path = f"{directory}/lease.json"
    try:
        record = parse(state_file.read(path))
    except LeaseError as error:
        raise LeaseError(f"{path}: {error}") from error
    # Where the file was lost, or another host keeps the lease now, the numbers must not begin anew.
    return replace(record, fence=max(record.fence, fence.read(f"{directory}/fence")))


def change(
    request: Request, clock: Callable[[], datetime], directory: str = fence.DIRECTORY, *, check_only: bool = False
) -> Outcome:
    """Do what is asked for; with ``check_only`` only foresee it. A take-over is told to the ledger first.

    Raises:
        LeaseError: as ``plan`` and ``read``.
        FenceError, LedgerError, StateFileError: when something cannot be read or written; the lease is as it was.
    """
    if check_only:
        return plan(read(directory), request, clock())
    path = f"{directory}/lease.json"
    fence.make_directory(path)
    with state_file.locked(path):
        now = clock()
        outcome = plan(read(directory), request, now)
        if outcome.taken_over is not None:
            data = {"reason": outcome.taken_over, "previous": as_dict(outcome.previous)}
            entry = Entry(now, TAKEN_OVER, request.run, fence=outcome.after.fence, data=data)
            ledger_host.append(entry, f"{directory}/ledger.jsonl")
        if outcome.changed:
            state_file.write(path, render(outcome.after))
    return outcome
