# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certbot and its files on a host. Programs are run by whoever is handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import sleep

from .acme import PREFIX, Lineage, parse_renewal
from .certificate import TIME

BUSY = "Another instance of Certbot is already running"
TRIES, PAUSE_SECONDS = 25, 5.0

Run = Callable[[Sequence[str], Mapping[str, str]], "tuple[int, str]"]
"""Runs a program with variables added to its environment; returns its exit status and all that it printed."""


class CertbotError(Exception):
    """Certbot, or a program that reads what it wrote, failed; the message is what it printed."""


class Certbot:
    """The certificates that certbot keeps below ``directory`` under names of ours."""

    def __init__(
        self, run: Run, directory: str = "/etc/letsencrypt", authority: str = "", pause: Callable[[float], None] = sleep
    ) -> None:
        """``authority`` is a file of authorities that certbot is to trust when it talks to the ACME server."""
        self._run = run
        self._pause = pause
        self._directory = Path(directory)
        self._environment = {"REQUESTS_CA_BUNDLE": authority} if authority else {}

    def lineages(self) -> dict[str, Lineage]:
        """Return them by name."""
        found = {}
        for path in sorted(self._directory.glob(f"renewal/{PREFIX}*.conf")):
            name = path.stem
            names, not_before, not_after = self._certificate(self.live(name) / "cert.pem")
            found[name] = Lineage(name, parse_renewal(path.read_text(encoding="utf-8")), names, not_before, not_after)
        return found

    def live(self, lineage: str) -> Path:
        """Return the directory of its current files."""
        return self._directory / "live" / lineage

    def call(self, arguments: Sequence[str]) -> None:
        """Run it. While another one runs, such as the timer's, it is waited for, two minutes at most.

        Raises:
            CertbotError: when its exit status is not 0.
        """
        words = ["certbot", "--config-dir", str(self._directory), *arguments]
        status, output = self._run(words, self._environment)
        for _unused in range(TRIES - 1):
            if not status or BUSY not in output:
                break
            self._pause(PAUSE_SECONDS)
            status, output = self._run(words, self._environment)
        if status:
            raise CertbotError(output)

    def _certificate(self, path: Path) -> tuple[tuple[str, ...], str, str]:
        status, output = self._run(
            ["openssl", "x509", "-in", str(path), "-noout", "-startdate", "-enddate", "-ext", "subjectAltName"], {}
        )
        if status:
            return (), "", ""
        dates = {}
        names: list[str] = []
        for line in output.splitlines():
            key, equals, value = line.partition("=")
            if equals and key in ("notBefore", "notAfter"):
                moment = datetime.strptime(value.strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=timezone.utc)
                dates[key] = moment.strftime(TIME)
            elif "DNS:" in line:
                names += [part.strip()[4:] for part in line.split(",") if part.strip().startswith("DNS:")]
        return tuple(names), dates.get("notBefore", ""), dates.get("notAfter", "")
