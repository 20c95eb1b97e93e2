# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file, or the newest of several: its age, size, mode and owner. For backups, certificates, heartbeats, secrets."""

from __future__ import annotations

import glob
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import ClassVar

from ...accounts import group_name, user_name
from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, judged, level
from ..options import option
from ..tools import Deadline, Tools
from ..units import human_bytes, human_seconds

FUTURE_SECONDS = 60
"""How far a file's time may lie ahead; more, and its age means nothing."""


@dataclass(frozen=True)
class Seen:
    """One file: the time of its last change in seconds since 1970, its bytes, its mode (0 to 0o7777), whose it is."""

    path: str
    changed: float
    size: int
    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class FileCheck(Check):
    """Of several files that match, the newest counts for age and size, and each for mode, owner and group."""

    TYPE: ClassVar[str] = "file"
    WEIGHT: ClassVar[float] = 2

    path: str = option("str", required=True, about="Absolute path; C(*), C(?) and C([...]) match as in a shell.")
    exists: bool = option("bool", True, about="false: there has to be none.")
    age_warn_seconds: float = option("number", 0, minimum=0, about="Warning when it was changed so long ago; 0: none.")
    age_crit_seconds: float = option("number", 0, minimum=0, about="Critical when it was changed so long ago; 0: none.")
    min_bytes: float = option("number", 0, minimum=0, about="Critical when it is smaller.")
    max_bytes: float = option("number", 0, minimum=0, about="Critical when it is larger; 0 for none.")
    mode: object = option("raw", "", about="Permissions that it may have at most, such as C(0640), in quotes.")
    owner: str = option("str", "", about="User that it has to belong to.")
    group: str = option("str", "", about="Group that it has to belong to.")
    count_min: int = option("int", 1, minimum=1, about="How many files have to match.")

    def problems(self) -> list[str]:
        problems = []
        if not self.path.startswith("/"):
            problems.append(f"path: expected an absolute path, got {self.path!r}")
        if "**" in self.path:
            problems.append("path: ** would look through whole trees; name the folders, each with * if need be")
        # A number is what YAML made of 0640: 416.
        if self.mode and not (isinstance(self.mode, str) and re.match(r"[0-7]{3,4}\Z", self.mode)):
            problems.append(f'mode: expected octal digits in quotes, such as "0640", got {self.mode!r}')
        if self.age_warn_seconds > self.age_crit_seconds > 0:
            problems.append(
                f"age_warn_seconds ({self.age_warn_seconds:g}) is above age_crit_seconds ({self.age_crit_seconds:g})"
            )
        if self.min_bytes > self.max_bytes > 0:
            problems.append(f"min_bytes ({self.min_bytes:g}) is above max_bytes ({self.max_bytes:g})")
        given = [name for name in _OF_A_FILE if getattr(self, name)] + (["count_min"] if self.count_min > 1 else [])
        if not self.exists and given:
            problems.append(f"exists: false goes without {', '.join(given)}: there is to be no file")
        return problems

    def target(self) -> str:
        return self.path

    @property
    def _mode(self) -> int:
        """The permissions allowed; all where nothing is said."""
        return int(str(self.mode), 8) if self.mode else 0o7777

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.look(), tools.now())

    def look(self) -> list[Seen]:
        """The files that match, the newest first. Raises CouldNotRun."""
        found = []
        has_pattern = glob.has_magic(self.path)
        for path in glob.iglob(self.path) if has_pattern else [self.path]:  # noqa: PTH207 (a shell's patterns)
            try:
                status = Path(path).stat()
            except (FileNotFoundError, NotADirectoryError):
                # Removed meanwhile, a link that leads nowhere, or not there in the first place.
                continue
            except OSError as error:
                raise CouldNotRun(
                    f"{path} cannot be looked at: {error.strerror}", "run the check as root, or correct path"
                ) from None
            found.append(
                Seen(
                    path,
                    status.st_mtime,
                    status.st_size,
                    stat.S_IMODE(status.st_mode),
                    user_name(status.st_uid),
                    group_name(status.st_gid),
                )
            )
        return sorted(found, key=lambda seen: -seen.changed)

    def judge(self, found: Sequence[Seen], now: float) -> Outcome:
        """Hold the files, the newest first, against what is wanted of them."""
        wanted = self._wanted()
        if not self.exists:
            findings = (
                [Finding(Status.CRITICAL, f"{found[0].path} is there", f"`rm {quote(found[0].path)}`")] if found else []
            )
            return judged(findings, seen=f"{len(found)} files", wanted="no file", fine="there is no such file")
        if not found:
            text = f"no file matches {self.path}" if glob.has_magic(self.path) else f"{self.path} is not there"
            step = f"look why it was not written (`ls -l {PurePosixPath(self.path).parent}`), or correct path"
            return Outcome(Status.CRITICAL, "no file", wanted, text, step, {"files": 0})
        newest, age = found[0], now - found[0].changed
        findings = [self._age_finding(newest, age), *self._size_findings(newest)]
        if len(found) < self.count_min:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"{len(found)} of {self.count_min} files are there",
                    f"look why they were not written, or were removed: `ls -l {self.path}`",
                )
            )
        for seen in found:
            findings += self._access_findings(seen)
        state = (
            f"{newest.path}: {human_seconds(max(0.0, age))} old, {human_bytes(newest.size)},"
            f" mode {newest.mode:04o}, {newest.owner}:{newest.group}"
        )
        return judged(
            findings,
            seen=state + (f", the newest of {len(found)}" if len(found) > 1 else ""),
            wanted=wanted,
            fine=f"{newest.path} is {human_seconds(max(0.0, age))} old and has {human_bytes(newest.size)}",
            measures={"age_seconds": round(age), "size_bytes": newest.size, "files": len(found)},
        )

    def _age_finding(self, newest: Seen, age: float) -> Finding:
        if age < -FUTURE_SECONDS and (self.age_warn_seconds or self.age_crit_seconds):
            return Finding(
                Status.WARNING,
                f"{newest.path} was changed {human_seconds(-age)} in the future, so its age is unknown",
                "look at the clock of this host (`timedatectl`), and of the one that wrote it",
            )
        return level(
            age,
            self.age_warn_seconds,
            self.age_crit_seconds,
            f"{newest.path} was last written {human_seconds(max(0.0, age))} ago",
            "look why no newer one was written: `systemctl list-timers --all` tells when its timer ran; then its log",
        )

    def _size_findings(self, newest: Seen) -> list[Finding]:
        findings = []
        if newest.size < self.min_bytes:
            text = f"{newest.path} has {human_bytes(newest.size)}, less than {human_bytes(self.min_bytes)}"
            findings.append(
                Finding(
                    Status.CRITICAL,
                    text,
                    "look whether what writes it failed halfway: `systemctl list-timers --all`, then its log",
                )
            )
        if newest.size > self.max_bytes > 0:
            text = f"{newest.path} has {human_bytes(newest.size)}, more than {human_bytes(self.max_bytes)}"
            findings.append(
                Finding(
                    Status.CRITICAL,
                    text,
                    "look what makes it grow, and whether it is rotated: `journalctl -u logrotate -n 20`",
                )
            )
        return findings

    def _access_findings(self, seen: Seen) -> list[Finding]:
        findings = []
        if seen.mode & ~self._mode:
            text = f"{seen.path} has mode {seen.mode:04o}, more than {self._mode:04o}"
            findings.append(Finding(Status.CRITICAL, text, f"`chmod {seen.mode & self._mode:04o} {quote(seen.path)}`"))
        if self.owner and seen.owner != self.owner:
            text = f"{seen.path} belongs to {seen.owner}, not to {self.owner}"
            findings.append(Finding(Status.CRITICAL, text, f"`chown {quote(self.owner)} {quote(seen.path)}`"))
        if self.group and seen.group != self.group:
            text = f"{seen.path} is of group {seen.group}, not of {self.group}"
            findings.append(Finding(Status.CRITICAL, text, f"`chgrp {quote(self.group)} {quote(seen.path)}`"))
        return findings

    def _wanted(self) -> str:
        newest = self.age_warn_seconds or self.age_crit_seconds
        parts = [f"{self.count_min} files" if self.count_min > 1 else "a file"]
        parts += [f"newer than {human_seconds(newest)}"] if newest else []
        parts += [f"at least {human_bytes(self.min_bytes)}"] if self.min_bytes else []
        parts += [f"at most {human_bytes(self.max_bytes)}"] if self.max_bytes else []
        parts += [f"mode at most {self._mode:04o}"] if self.mode else []
        parts += [f"owner {self.owner}"] if self.owner else []
        parts += [f"group {self.group}"] if self.group else []
        return ", ".join(parts)


_OF_A_FILE = ("age_warn_seconds", "age_crit_seconds", "min_bytes", "max_bytes", "mode", "owner", "group")
