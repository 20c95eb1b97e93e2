# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to be done so that certbot has, and keeps renewing, the certificates that are declared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from .certificate import TIME, alternative_names

PREFIX = "slipway-"
"""Of the names under which certbot keeps our certificates, so that those of others are left alone."""

OVERDUE = 0.25
"""Part of a certificate's life that may be left before a renewal is taken to have failed. Certbot renews earlier."""


@dataclass(frozen=True)
class Settings:
    """How all certificates of a host are asked for."""

    directory_url: str
    email: str
    key_type: str
    webroot: str
    hook: str


@dataclass(frozen=True)
class Wanted:
    """A declared certificate."""

    name: str
    names: tuple[str, ...]

    @property
    def lineage(self) -> str:
        """The name that certbot knows it by."""
        return PREFIX + self.name


@dataclass(frozen=True)
class Lineage:
    """A certificate that certbot keeps."""

    name: str
    parameters: Mapping[str, str]
    """What its renewals are done with."""
    names: tuple[str, ...] = ()
    """Host names in the certificate."""
    not_before: str = ""
    not_after: str = ""
    """UTC in the form YYYYMMDDHHMMSSZ; empty when the certificate cannot be read."""


@dataclass(frozen=True)
class Issue:
    """Ask the authority for a certificate."""

    wanted: Wanted
    reasons: tuple[str, ...]
    again: bool
    """Whether it replaces one."""


@dataclass(frozen=True)
class Delete:
    """Let certbot forget a certificate that is no longer declared."""

    lineage: str


def ascii_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return host names in the form in which they are sent, each once.

    Raises:
        ValueError: when one is none.
    """
    return tuple(name.partition(":")[2] for name in alternative_names(names))


def parse_renewal(text: str) -> dict[str, str]:
    """Return the parameters of a file of certbot's ``renewal`` directory, those of its sections included."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*([^#\[\s][^=]*?)\s*=\s*(.*?)\s*\Z", line)
        if match:
            found[match.group(1)] = match.group(2).strip("'\"")
    return found


def plan(
    wanted: Sequence[Wanted], present: Mapping[str, Lineage], settings: Settings, now: str
) -> tuple[Issue | Delete, ...]:
    """Return what is to be done; empty when certbot has what is declared and renews it as declared."""
    actions: list[Issue | Delete] = []
    for one in wanted:
        lineage = present.get(one.lineage)
        reasons = tuple(_reasons(one, lineage, settings, now))
        if reasons:
            actions.append(Issue(one, reasons, again=lineage is not None))
    declared = {one.lineage for one in wanted}
    actions += [Delete(name) for name in sorted(present) if name.startswith(PREFIX) and name not in declared]
    return tuple(actions)


def _reasons(wanted: Wanted, lineage: Lineage | None, settings: Settings, now: str) -> Iterator[str]:
    if lineage is None:
        yield "there is none"
        return
    if set(lineage.names) != set(wanted.names):
        yield "the names changed"
    parameters = lineage.parameters
    if parameters.get("server") != settings.directory_url:
        yield "another authority is to issue it"
    if parameters.get("key_type", "rsa") != settings.key_type:
        yield f"its key is to be {settings.key_type}"
    if (parameters.get("authenticator"), parameters.get("webroot_path", "").rstrip(",")) != (
        "webroot",
        settings.webroot,
    ) or parameters.get("renew_hook") != settings.hook:
        yield "its renewals are to be done otherwise"
    if lineage.not_after and now >= _overdue(lineage):
        yield f"it ends at {lineage.not_after} and was not renewed in time"


def _overdue(lineage: Lineage) -> str:
    begin, end = (
        datetime.strptime(time, TIME).replace(tzinfo=timezone.utc) for time in (lineage.not_before, lineage.not_after)
    )
    left: timedelta = (end - begin) * OVERDUE
    return (end - left).strftime(TIME)


def issue_arguments(action: Issue, settings: Settings) -> list[str]:
    """Return the words after ``certbot`` that ask for a certificate."""
    words = ["certonly", "--non-interactive", "--agree-tos", "--server", settings.directory_url]
    words += ["--email", settings.email] if settings.email else ["--register-unsafely-without-email"]
    words += ["--webroot", "--webroot-path", settings.webroot, "--key-type", settings.key_type]
    words += ["--cert-name", action.wanted.lineage, "--deploy-hook", settings.hook]
    if action.again:
        words += ["--force-renewal", "--renew-with-new-domains"]
    for name in action.wanted.names:
        words += ["--domain", name]
    return words


def delete_arguments(action: Delete) -> list[str]:
    """Return the words after ``certbot`` that let it forget a certificate."""
    return ["delete", "--non-interactive", "--cert-name", action.lineage]


def explain(output: str) -> str:
    """Return what certbot says went wrong, without its advice on where to ask.

    ``output`` is its standard output and error together.
    """
    noise = (
        "Saving debug log",
        "Ask for help",
        "Requesting a certificate",
        "Account registered",
        "Renewing an existing",
        "See the logfile",
        "- - -",
    )
    lines: list[str] = []
    for line in (line.strip() for line in output.splitlines()):
        if line.startswith("Hint:") or (lines and line.startswith("Ask for help")):
            break
        if line and not line.startswith(noise):
            lines.append(line)
    return " ".join(lines)[:1500] or "certbot did not say why"
