# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A TLS endpoint: its certificate's chain, name and age, and the oldest protocol it still speaks."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from ..check import Check
from ..model import Finding, Outcome, Status, Unreachable, judged, level
from ..net import connect, secure, tls_context, where
from ..options import option
from ..steps import RENEW, site
from ..tools import Deadline, Tools

PROTOCOLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True)
class Shown:
    """What a server showed: the certificate's end in seconds since 1970, the protocol agreed on,
    and an older one that it accepts though it should not."""

    not_after: float
    protocol: str
    weak: str = ""


@dataclass(frozen=True)
class TlsCheck(Check):
    """Shakes hands as a client that verifies, then once more as one that offers only old protocols."""

    TYPE: ClassVar[str] = "tls"
    WEIGHT: ClassVar[float] = 2

    host: str = option("str", required=True, about="Name or address to connect to.")
    port: int = option("port", 443, about="Port.")
    server_name: str = option("str", "", about="Name that the certificate has to be for; O(host) by default.")
    ca_file: str = option("str", "", about="PEM file of the authorities to trust; the system's by default.")
    warn_days: float = option("number", 30, minimum=0, about="Warning this many days before it expires.")
    crit_days: float = option("number", 7, minimum=0, about="Critical this many days before it expires.")
    min_protocol: str = option(
        "str", "TLSv1.2", choices=PROTOCOLS, about="The oldest protocol that the server may accept."
    )
    starttls: str = option("str", "none", choices=("none", "postgresql"), about="How the server is asked to start TLS.")

    def problems(self) -> list[str]:
        if self.crit_days > self.warn_days:
            return [f"crit_days ({self.crit_days:g}) is above warn_days ({self.warn_days:g})"]
        return []

    def target(self) -> str:
        return where(self.host, self.port)

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        shown = self.look(deadline)
        return self.judge(shown, tools.now())

    def judge(self, shown: Shown, now: float) -> Outcome:
        """Hold what the server showed against the wanted days and protocol."""
        days = (shown.not_after - now) / 86400
        findings = [
            level(
                days,
                self.warn_days,
                self.crit_days,
                f"the certificate of {self.target()} expires in {days:.1f} days",
                RENEW,
                low_is_bad=True,
            )
        ]
        if PROTOCOLS.index(shown.protocol) < PROTOCOLS.index(self.min_protocol):
            shown = Shown(shown.not_after, shown.protocol, shown.protocol)
        if shown.weak:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{self.target()} still accepts {shown.weak}",
                    f"allow {self.min_protocol} and newer only, as the roles of {site()} do",
                )
            )
        return judged(
            findings,
            seen=f"{shown.protocol}, certificate valid for {days:.0f} days",
            wanted=f"{self.min_protocol} or newer only, a certificate valid for more than {self.warn_days:g} days",
            fine=f"{shown.protocol}, certificate valid for {days:.0f} days",
            measures={"days_left": round(days, 2)},
        )

    def look(self, deadline: Deadline) -> Shown:
        """Ask the server."""
        # An old version that is agreed on is a finding of its own, not a failed handshake.
        context = tls_context(self.ca_file, minimum=min(ssl.TLSVersion.TLSv1_2, _VERSIONS[self.min_protocol]))
        with self._open(deadline) as plain, self._secured(context, plain, deadline) as connection:
            certificate = connection.getpeercert() or {}
            protocol = connection.version() or ""
        not_after = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        return Shown(not_after, protocol, self._weak(deadline))

    def _weak(self, deadline: Deadline) -> str:
        """The newest protocol below the wanted one that the server accepts, if any."""
        older = PROTOCOLS[: PROTOCOLS.index(self.min_protocol)]
        if not older:
            return ""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            # OpenSSL refuses to offer what is older than TLS 1.2 at its usual level.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = _VERSIONS[older[0]]
            context.maximum_version = _VERSIONS[older[-1]]
        except (ssl.SSLError, ValueError):
            return ""
        with suppress(Unreachable, OSError, TimeoutError), self._open(deadline) as plain:
            plain.settimeout(deadline.left())
            with context.wrap_socket(plain, server_hostname=self.server_name or self.host) as connection:
                return connection.version() or ""
        return ""

    def _secured(self, context: ssl.SSLContext, plain: socket.socket, deadline: Deadline) -> ssl.SSLSocket:
        return secure(plain, context, self.server_name or self.host, self.target(), deadline)

    def _open(self, deadline: Deadline) -> socket.socket:
        connection = connect(self.host, self.port, deadline)
        if self.starttls == "postgresql":
            try:
                self._ask_postgresql(connection, deadline)
            except BaseException:
                connection.close()
                raise
        return connection

    def _ask_postgresql(self, connection: socket.socket, deadline: Deadline) -> None:
        connection.settimeout(deadline.left())
        try:
            # SSLRequest of PostgreSQL's protocol: length 8, code 80877103.
            connection.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
            answer = connection.recv(1)
        except (TimeoutError, socket.timeout):
            raise Unreachable(
                f"{self.target()} accepts connections but does not answer within {deadline.seconds:g} s",
                "look whether PostgreSQL hangs, and whether the port is its own: `pg_lsclusters` there",
            ) from None
        if answer != b"S":
            raise Unreachable(
                f"{self.target()} does not offer TLS", f"set ssl = on and a certificate: {site('postgresql')}"
            )
