# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One migration of an application's database: what is asked for, the transient unit that runs it, and how it went.

The unit outlives whoever started it. When its command succeeds, systemd itself turns the note that it was started into
the record that it is done, so the record is there even when nobody waited for the end.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..health.secrets import secrets_of
from .release import RELEASE_ID, ReleaseError, check_root

KINDS = ("expand", "contract", "seed")
ENDED_WELL, FAILED, GOING = "ended well", "failed", "going"
OUTPUT_LINES = 40
TOKEN_FIELD = "SLIPWAY_MIGRATION"
"""Journal field that tells the lines of one attempt from those of others."""

_APPLICATION = re.compile(r"[a-z][a-z0-9_]{0,22}\Z")
_DATABASE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,62})?\Z")
_PATH = re.compile(r"(?:/\S+)?\Z")
# PostgreSQL's message, its setting, its condition and its code (errcodes.txt, class 55).
_LOCK_TIMEOUT = re.compile(r"lock timeout|lock_timeout|lock_not_available|\b55P03\b", re.IGNORECASE)
_LONGEST_PAUSE_SECONDS = 16.0
# What an error message needs: plain words, paths, and addresses of hosts.
_HARMLESS_VALUE = re.compile(r"[a-z_-]+\Z|/\S*\Z|[0-9.:,\[\]]+\Z")
_MASKED_LENGTH = 8


class MigrationError(ValueError):
    """What is asked for cannot be done, or failed; the message says why and what to do."""


@dataclass(frozen=True)
class Migration:
    """What to run: ``command`` in the stored release, as ``user``, with the variables of ``environment_file``.

    ``timeout_seconds`` is for all attempts together; ``lock_timeout_ms`` 0 leaves PostgreSQL's own, which is to wait
    for ever.
    """

    application: str
    root: str
    release: str
    user: str
    command: tuple[str, ...]
    kind: str
    environment_file: str = ""
    database: str = ""
    timeout_seconds: int = 600
    lock_timeout_ms: int = 1000
    lock_retries: int = 5

    @property
    def unit(self) -> str:
        """One for each application, so that two of its migrations never run at once on a host."""
        return f"slipway-migration-{self.application}.service"

    @property
    def record(self) -> str:
        """Name of the record: a seed is done once for a database, others once for a release."""
        return f"{self.kind}-{self.database if self.kind == 'seed' and self.database else self.release}"

    @property
    def folder(self) -> str:
        return posixpath.join(self.root, "releases", self.release)

    @property
    def title(self) -> str:
        return f"{self.application}: the {self.kind} migration of {self.release}"


@dataclass(frozen=True)
class Outcome:
    """How a unit stands: GOING, ENDED_WELL or FAILED, and for a failure what systemd says."""

    state: str
    reason: str = ""


def check(migration: Migration) -> Migration:
    """Return the migration if it can be asked for.

    Raises:
        MigrationError: naming the option, what was given, and what is expected.
    """
    text_forms = (
        ("application", _APPLICATION, "1 to 23 lower-case letters, digits and _, the first a letter"),
        ("release", RELEASE_ID, "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit"),
        ("environment_file", _PATH, "an absolute path without spaces"),
        ("database", _DATABASE, "the name of a database: letters, digits, dots, dashes and underscores"),
    )
    for option, form, words in text_forms:
        value = getattr(migration, option)
        if not form.match(value):
            raise MigrationError(f"{option}: {value!r}; expected {words}")
    for option, least in (("timeout_seconds", 1), ("lock_timeout_ms", 0), ("lock_retries", 0)):
        number = getattr(migration, option)
        if number < least:
            raise MigrationError(f"{option}: {number}; expected a number from {least}")
    if not migration.command or not migration.command[0]:
        raise MigrationError(f"command: {list(migration.command)!r}; expected a program and its arguments, as a list")
    try:
        check_root(migration.root)
    except ReleaseError as error:
        raise MigrationError(str(error)) from error
    return migration


def unit_command(
    migration: Migration, token: str, seconds: float, started: str, done: str, options: str = ""
) -> list[str]:
    """The ``systemd-run`` that starts one attempt in the background.

    Args:
        migration: What to run.
        token: Stands in TOKEN_FIELD of each line that the attempt writes to the journal.
        seconds: What is left of the time; systemd ends the attempt then, whoever is still there to see it.
        started: Path of the note that it was started.
        done: Path that the note gets when the command succeeds.
        options: PGOPTIONS of the environment file, which ``lock_timeout`` is added to.
    """
    properties = [
        f"TimeoutStartSec={max(1, round(seconds))}",
        # Root renames the note, outside the sandbox, and only when the command ended with 0.
        f"ExecStartPost=+/usr/bin/mv -T {started} {done}",
        f"LogExtraFields={TOKEN_FIELD}={token}",
        f"SyslogIdentifier={migration.unit[: -len('.service')]}",
        f"Environment=SLIPWAY_APP={migration.application}",
        "KillMode=mixed",
        "TimeoutStopSec=10",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=full",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "RestrictSUIDSGID=yes",
    ]
    if migration.environment_file:
        properties.append(f"EnvironmentFile={migration.environment_file}")
    command = list(migration.command)
    if migration.lock_timeout_ms:
        # Not as a property: a variable of the environment file would win over it.
        added = f"{options} -c lock_timeout={migration.lock_timeout_ms}ms".strip()
        command = ["/usr/bin/env", f"PGOPTIONS={added}", *command]
    return [
        "systemd-run",
        "--quiet",
        "--no-block",
        f"--unit={migration.unit}",
        f"--description={migration.title}",
        "--service-type=oneshot",
        f"--uid={migration.user}",
        f"--working-directory={migration.folder}",
        *(f"--property={line}" for line in properties),
        "--",
        # systemd would put variables in.
        *(part.replace("$", "$$") for part in command),
    ]


def outcome(properties: Mapping[str, str], recorded: bool) -> Outcome:
    """How the unit stands, by its properties. One that ended well is forgotten at once by systemd, hence the record."""
    active, job = properties.get("ActiveState", ""), properties.get("Job", "")
    if active in ("activating", "deactivating", "reloading") or job not in ("", "0"):
        return Outcome(GOING)
    if recorded:
        return Outcome(ENDED_WELL)
    result = properties.get("Result", "")
    if active == "failed" and result == "exit-code":
        return Outcome(FAILED, f"exit code {properties.get('ExecMainStatus', '?')}")
    if active == "failed" and result == "timeout":
        return Outcome(FAILED, "its time was up")
    if active == "failed":
        return Outcome(FAILED, f"{result} {properties.get('ExecMainStatus', '')}".strip())
    return Outcome(FAILED, "it was stopped, or the host was restarted, before it ended")


def is_lock_timeout(output: str) -> bool:
    """Whether a command failed for a lock that another session held, so that trying again can help."""
    return bool(_LOCK_TIMEOUT.search(output))


def pause_seconds(attempt: int) -> float:
    """How long to wait after the failed attempt of this number, from 1: 1, 2, 4, 8, then 16 seconds."""
    return min(_LONGEST_PAUSE_SECONDS, 2.0 ** (attempt - 1))


def masked_values(variables: Mapping[str, str]) -> Collection[str]:
    """The values of an environment file that no output may show.

    An environment file does not say which of its variables are secrets, so this takes what is named or looks like one:
    all that is 8 characters or longer but for plain words, paths and addresses.
    """
    long = (value for value in variables.values() if len(value) >= _MASKED_LENGTH and not _HARMLESS_VALUE.match(value))
    return secrets_of(dict(variables)) | frozenset(long)


def note(migration: Migration, token: str, at: str, fence: int | None) -> dict[str, Any]:
    """What is written down when an attempt starts, and stays as the record when it ends well."""
    return {
        "application": migration.application,
        "kind": migration.kind,
        "release": migration.release,
        "database": migration.database or None,
        "command": list(migration.command),
        "at": at,
        "fence": fence,
        "token": token,
    }


def last_lines(text: str, count: int = OUTPUT_LINES) -> str:
    """The last lines of an output that may be long."""
    lines = text.strip().splitlines()
    return "\n".join(lines[-count:])
