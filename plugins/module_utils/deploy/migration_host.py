# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a migration on this host: looks at its record, starts its unit or finds it at work, and waits for the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from secrets import token_hex
from typing import Any

from .. import state_file
from ..accounts import user_id
from ..app.environment import parse_environment
from ..app.instances import parse_show
from ..health.secrets import mask
from ..moments import render_time
from .fence import DIRECTORY, fenced, make_directory
from .migration import (
    ENDED_WELL,
    GOING,
    OUTPUT_LINES,
    TOKEN_FIELD,
    Migration,
    MigrationError,
    Outcome,
    is_lock_timeout,
    last_lines,
    masked_values,
    note,
    outcome,
    pause_seconds,
    unit_command,
)

POLL_SECONDS = 0.2
_PROPERTIES = "ActiveState,Job,Result,ExecMainStatus"

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]
"""Runs a command; returns its exit code, output and errors."""


@dataclass(frozen=True)
class Done:
    """A migration that is done. ``attempts`` are those of this run: 0 when it was done already, or by another run.

    ``seconds`` are those that this run took; ``at`` is when the attempt that ended well was started.
    """

    changed: bool
    at: str
    attempts: int = 0
    seconds: float = 0.0
    output: str = ""


class MigrationFailed(MigrationError):
    """The command failed; what it wrote is in ``output``."""

    def __init__(self, message: str, attempts: int, seconds: float, output: str) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.seconds = seconds
        self.output = output


@dataclass(frozen=True)
class _Attempt:
    outcome: Outcome
    output: str


class Host:
    """The migrations of one application on this host. Commands, clock and sleep are passed in."""

    def __init__(
        self,
        run: Run,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        directory: str = f"{DIRECTORY}/migrations",
    ) -> None:
        self.run = run
        self.clock = clock
        self.sleep = sleep
        self.directory = directory

    def _path(self, migration: Migration, name: str) -> str:
        return f"{self.directory}/{migration.application}/{name}"

    def record(self, migration: Migration) -> dict[str, Any]:
        """What was noted when this migration was started that ended well; nothing when it is not done."""
        return state_file.read(self._path(migration, f"{migration.record}.json"))

    def environment(self, migration: Migration) -> Mapping[str, str]:
        """The variables of the environment file. Raises MigrationError when it cannot be read."""
        if not migration.environment_file:
            return {}
        try:
            return parse_environment(Path(migration.environment_file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise MigrationError(f"environment_file: {migration.environment_file} cannot be read: {error}") from error

    def require(self, migration: Migration) -> None:
        """Refuse what could not run here. Raises MigrationError, which names the option and the fix."""
        try:
            user_id(migration.user)
        except KeyError as error:
            raise MigrationError(f"user: {migration.user!r} is not a user of this host; create it first") from error
        if not Path(migration.folder).is_dir():
            raise MigrationError(
                f"release: {migration.release} is not stored in {migration.root} on this host; store it first"
                " (module release)"
            )

    def migrate(self, migration: Migration, fence: int | None) -> Done:
        """Run the migration unless it is done; wait for it where another run started it.

        Raises:
            MigrationFailed: when the command failed.
            MigrationError, StateFileError: when it cannot be started.
            FenceError: when another run has taken the lease.
        """
        secrets = masked_values(self.environment(migration))
        make_directory(self._path(migration, "lock"))
        began = self.clock()
        # Whoever has the lock waits for the unit; the lock ends with its holder, the unit does not.
        with state_file.locked(self._path(migration, "migrations"), timeout_seconds=migration.timeout_seconds):
            record = self.record(migration)
            if record:
                return Done(False, str(record.get("at")))
            self._wait(migration, began + migration.timeout_seconds)
            record = self.record(migration)
            if record:
                output = mask(self._output(str(record.get("token"))), secrets)
                return Done(True, str(record.get("at")), 0, self.clock() - began, output)
            self.require(migration)
            return self._attempts(migration, fence, secrets, began)

    def _attempts(self, migration: Migration, fence: int | None, secrets: Collection[str], began: float) -> Done:
        deadline = began + migration.timeout_seconds
        attempt = 0
        while True:
            attempt += 1
            tried = self._attempt(migration, fence, deadline)
            output = mask(tried.output, secrets)
            if tried.outcome.state == ENDED_WELL:
                at = str(self.record(migration).get("at", ""))
                return Done(True, at, attempt, self.clock() - began, last_lines(output))
            pause = pause_seconds(attempt)
            again = is_lock_timeout(tried.output) and attempt <= migration.lock_retries
            if not again or self.clock() + pause >= deadline:
                raise self._failed(migration, tried.outcome, attempt, self.clock() - began, last_lines(output))
            self.sleep(pause)

    def _attempt(self, migration: Migration, fence: int | None, deadline: float) -> _Attempt:
        """Start the unit and wait for its end."""
        token = token_hex(8)
        started = self._path(migration, f"{migration.record}.started")
        done = self._path(migration, f"{migration.record}.json")
        left = max(1.0, deadline - self.clock())
        options = self.environment(migration).get("PGOPTIONS", "")
        # Only the start: the unit may take longer than others would wait, and nothing that it started with can change.
        with fenced(fence):
            state_file.write(started, note(migration, token, render_time(datetime.now(timezone.utc)), fence))
            # A unit that failed before is still known by its name.
            self.run(["systemctl", "reset-failed", "--quiet", migration.unit])
            code, out, err = self.run(unit_command(migration, token, left, started, done, options))
            if code != 0:
                raise MigrationError(f"{migration.title} cannot be started: {err.strip() or out.strip()}")
        # systemd ends it at its deadline; the margin is for the kill.
        self._wait(migration, self.clock() + left + 30)
        return _Attempt(self._outcome(migration), self._output(token))

    def _outcome(self, migration: Migration) -> Outcome:
        code, out, err = self.run(["systemctl", "show", f"--property={_PROPERTIES}", migration.unit])
        if code != 0:
            raise MigrationError(f"systemctl show {migration.unit} failed: {err.strip() or out.strip()}")
        blocks = parse_show(out)
        return outcome(blocks[0] if blocks else {}, bool(self.record(migration)))

    def _wait(self, migration: Migration, deadline: float) -> None:
        """Wait until the unit is not at work. Raises MigrationError at the deadline."""
        while self._outcome(migration).state == GOING:
            if self.clock() >= deadline:
                raise MigrationError(
                    f"{migration.title}: {migration.unit} is still at work; see: systemctl status {migration.unit}"
                )
            self.sleep(POLL_SECONDS)

    def _output(self, token: str) -> str:
        """What an attempt wrote."""
        self.run(["journalctl", "--quiet", "--sync"])
        lines = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={OUTPUT_LINES}"]
        # systemd writes lines of its own with the same field.
        return self.run([*lines, f"{TOKEN_FIELD}={token}", "_TRANSPORT=stdout"])[1].strip()

    def _failed(
        self, migration: Migration, ended: Outcome, attempts: int, seconds: float, output: str
    ) -> MigrationFailed:
        times = f" in {attempts} attempts" if attempts > 1 else ""
        return MigrationFailed(
            f"{migration.title} failed{times} after {seconds:.1f} s: {ended.reason}. The database is as the program"
            f" left it; correct the cause and run again. See: journalctl -u {migration.unit}\n{output}".rstrip(),
            attempts,
            seconds,
            output,
        )
