# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running all checks side by side, each within its own time, whatever the others do."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import suppress
from dataclasses import dataclass, field

from .check import Check
from .model import CouldNotRun, Outcome, Result, Status, Unreachable
from .tools import Deadline, Tools
from .waiter import Patience, wait

GRACE_SECONDS = 0.5
"""How long after its time a check is still waited for before it is left behind."""


@dataclass(frozen=True)
class Policy:
    """What applies to checks that say nothing else; ``warning_is_good`` ends retries on a warning."""

    patience: Patience = field(default_factory=Patience)
    parallelism: int = 256
    warning_is_good: bool = True


def patience_of(check: Check, policy: Policy) -> Patience:
    """The check's own patience where it states one."""
    base = policy.patience
    return Patience(
        base.retries if check.retries is None else check.retries,
        base.delay_seconds if check.delay_seconds is None else check.delay_seconds,
        base.successes if check.successes is None else check.successes,
    )


def attempt(check: Check, tools: Tools) -> Outcome:
    """Look once, and turn every way of not getting an answer into an outcome."""
    deadline = Deadline.after(tools.clock, check.timeout_seconds)
    try:
        return check.run(tools, deadline)
    except CouldNotRun as error:
        return Outcome(
            Status.UNKNOWN, "could not run", "", f"could not run: {error.message}", error.next_step, final=True
        )
    except Unreachable as error:
        return Outcome(Status.CRITICAL, "no answer", "an answer", error.message, error.next_step)
    except (TimeoutError, socket.timeout):
        return _overdue(check.timeout_seconds)
    except OSError as error:
        reason = error.strerror or str(error)
        return Outcome(
            Status.CRITICAL, "no answer", "an answer", f"broken off: {reason}", "look into the log of what is checked"
        )
    except Exception as error:
        # A fault of ours must not take the other checks' results with it, nor pass for health.
        return Outcome(
            Status.UNKNOWN,
            "could not run",
            "",
            f"could not run: {type(error).__name__}: {error}",
            "report this as a defect of the check",
            final=True,
        )


def _overdue(seconds: float) -> Outcome:
    return Outcome(
        Status.CRITICAL,
        f"no answer within {seconds:g} s",
        f"an answer within {seconds:g} s",
        f"no answer within {seconds:g} s",
        "look whether the program behind it hangs; raise timeout_seconds if it is merely slow",
    )


def run_check(check: Check, tools: Tools, policy: Policy) -> Result:
    """Try one check until it is decided."""
    started = tools.clock()
    good = (Status.OK, Status.WARNING) if policy.warning_is_good else (Status.OK,)
    waited = wait(
        lambda: attempt(check, tools),
        lambda outcome: outcome.status in good,
        lambda outcome: outcome.final,
        patience_of(check, policy),
        tools.sleep,
    )
    return _result(check, waited.value, tools.clock() - started, waited.attempts)


def _result(check: Check, outcome: Outcome, seconds: float, attempts: int) -> Result:
    return Result(
        name=check.name,
        type=check.TYPE,
        part=check.part or check.application or check.TYPE,
        target=check.target(),
        weight=check.WEIGHT if check.weight is None else check.weight,
        outcome=outcome,
        duration_ms=round(seconds * 1000),
        attempts=attempts,
        application=check.application,
        proves=tuple(check.proves),
        warn_ms=getattr(check, "warn_ms", 0),
    )


@dataclass
class _Job:
    check: Check
    future: Future[Result]
    started: float | None = None


def run_checks(checks: Sequence[Check], tools: Tools, policy: Policy) -> list[Result]:
    """Run all checks; results in the order of the checks.

    At most ``parallelism`` run at a time. One that outstays its time is left behind and reported,
    and its place is given to the next: no probe, however stuck, holds up the verdict. The threads
    are daemons, so that a stuck one does not keep the process alive either.
    """
    for library in sorted({name for check in checks for name in check.LIBRARIES}):
        # On a busy host an import takes a second, which is not the server's.
        with suppress(ImportError):
            tools.load(library)
    jobs = [_Job(check, Future()) for check in checks]
    waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)

    def work() -> None:
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            job.started = tools.clock()
            try:
                result = run_check(job.check, tools, policy)
            except BaseException as error:  # pragma: no cover - attempt() lets nothing through
                job.future.set_exception(error)
                return
            # Left behind already: nobody waits for it, and its place is taken.
            if not job.future.set_running_or_notify_cancel():
                return
            job.future.set_result(result)

    def start_worker() -> None:
        threading.Thread(target=work, daemon=True, name="health-check").start()

    for _dummy in range(min(policy.parallelism, len(jobs))):
        start_worker()

    abandoned: dict[int, Result] = {}
    open_jobs = set(range(len(jobs)))
    while open_jobs:
        now = tools.clock()
        for number in sorted(open_jobs):
            job = jobs[number]
            budget = patience_of(job.check, policy).budget(job.check.timeout_seconds)
            overdue = job.started is not None and now - job.started > budget + GRACE_SECONDS
            if overdue and job.future.cancel():
                abandoned[number] = _result(job.check, _overdue(budget), now - (job.started or now), 1)
                start_worker()
        open_jobs = {n for n in open_jobs if n not in abandoned and not jobs[n].future.done()}
        if open_jobs:
            wait_for_futures([jobs[n].future for n in open_jobs], timeout=0.05)
    return [abandoned[n] if n in abandoned else job.future.result() for n, job in enumerate(jobs)]
