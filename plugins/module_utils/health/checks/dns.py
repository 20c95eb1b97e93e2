# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A name that resolves, to the addresses that it should, in time."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..check import Check
from ..model import Finding, Outcome, Status, Unreachable, judged, level
from ..options import option
from ..parallel import ask_each
from ..tools import Deadline, Tools

_FAMILIES = {4: "IPv4", 6: "IPv6"}
_WANTED = {"any": (), "ipv4": (4,), "ipv6": (6,), "both": (4, 6)}
_LIBRARY = "dns.resolver"


@dataclass(frozen=True)
class DnsCheck(Check):
    """Asks the name service of this host as its programs do, /etc/hosts included; or one server alone."""

    TYPE: ClassVar[str] = "dns"
    WEIGHT: ClassVar[float] = 2

    host: str = option("str", required=True, about="The name to resolve.")
    addresses: Sequence[str] = option("strings", (), about="Addresses that it should have.")
    match: str = option(
        "str",
        "all",
        choices=("all", "any", "only"),
        about="all: each of O(addresses) is among the answers; any: one is; only: the answers are these and no others.",
    )
    family: str = option(
        "str", "any", choices=tuple(_WANTED), about="The kinds of address that it has to have: any, ipv4, ipv6 or both."
    )
    server: str = option("str", "", about="Address of a server to ask, with python3-dnspython; the host's by default.")
    warn_ms: float = option("number", 500, minimum=0, about="Warning from this many milliseconds; 0 for none.")
    crit_ms: float = option("number", 0, minimum=0, about="Critical from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        problems = []
        if not re.match(r"[^\s/:@]{1,253}\Z", self.host) or self.host.startswith("-"):
            problems.append(f"host: {self.host!r} is no name")
        elif _is_address(self.host):
            problems.append(f"host: {self.host} is an address; expected a name")
        problems += [f"addresses: {item!r} is no address" for item in self.addresses if not _is_address(item)]
        if self.match != "all" and not self.addresses:
            problems.append("match goes with addresses: there is nothing to match")
        if self.server and not _is_address(self.server):
            problems.append(f"server: {self.server!r} is no address")
        if self.crit_ms and self.warn_ms > self.crit_ms:
            problems.append(f"warn_ms ({self.warn_ms:g}) is above crit_ms ({self.crit_ms:g})")
        return problems

    def target(self) -> str:
        return f"{self.host} at {self.server}" if self.server else self.host

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        found = self._ask_server(tools, deadline) if self.server else self._ask_host(deadline)
        return self.judge(found, deadline.spent_ms())

    def judge(self, found: Sequence[str], took_ms: float) -> Outcome:
        """Hold the addresses found against those wanted."""
        answers = {ipaddress.ip_address(item) for item in found}
        wanted = {ipaddress.ip_address(item) for item in self.addresses}
        findings: list[Finding] = []
        step = f"correct its records, or addresses: {self._by_hand()}"
        for version in _WANTED[self.family]:
            if not any(answer.version == version for answer in answers):
                text = f"{self.host} has no {_FAMILIES[version]} address"
                findings.append(Finding(Status.CRITICAL, text, step))
        missing, foreign = wanted - answers, answers - wanted
        if wanted and (missing == wanted or (missing and self.match != "any")):
            findings.append(Finding(Status.CRITICAL, f"{self.host} does not resolve to {_list(missing)}", step))
        if self.match == "only" and foreign:
            findings.append(Finding(Status.CRITICAL, f"{self.host} also resolves to {_list(foreign)}", step))
        findings.append(
            level(
                took_ms,
                self.warn_ms,
                self.crit_ms,
                f"resolving {self.host} took {took_ms:.0f} ms",
                "look at the name servers (`cat /etc/resolv.conf`) and the network to them",
            )
        )
        said = f"{_list(answers)} in {took_ms:.0f} ms"
        asked = {"all": "", "any": "one of ", "only": "only "}[self.match]
        return judged(
            findings,
            seen=said,
            wanted=", ".join(
                [f"{asked}{_list(wanted)}" if wanted else "an address"]
                + [f"an {_FAMILIES[version]} address" for version in _WANTED[self.family]]
                + ([f"less than {self.warn_ms:g} ms"] if self.warn_ms else [])
            ),
            fine=said,
            measures={"answer_ms": round(took_ms, 1), "addresses": len(answers)},
        )

    def _by_hand(self) -> str:
        return f"`dig {self.host} @{self.server}`" if self.server else f"`getent ahosts {self.host}`"

    def _ask_host(self, deadline: Deadline) -> list[str]:
        """What getaddrinfo says, which knows no time limit: so it runs beside, and is left behind at the deadline."""
        answer = ask_each(
            lambda host: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM),
            [self.host],
            deadline,
            deadline.seconds,
        )[self.host]
        if isinstance(answer, TimeoutError) or getattr(answer, "errno", None) == socket.EAI_AGAIN:
            raise Unreachable(
                f"the name service has no answer for {self.host} within {deadline.seconds:g} s"
                if isinstance(answer, TimeoutError)
                else f"the name server does not answer for {self.host}",
                f"look at the servers that `cat /etc/resolv.conf` names: {self._by_hand()}",
            )
        if isinstance(answer, (socket.gaierror, UnicodeError)):
            raise Unreachable(
                f"{self.host} does not resolve: no such name, or none with an address",
                f"correct the name, or add its record: {self._by_hand()}",
            )
        if isinstance(answer, Exception):
            raise answer
        # A zone (%eth0) is no part of the address.
        return sorted({str(entry[4][0]).partition("%")[0] for entry in answer})

    def _ask_server(self, tools: Tools, deadline: Deadline) -> list[str]:
        library = tools.library(_LIBRARY, "python3-dnspython")
        resolver = library.Resolver(configure=False)
        resolver.nameservers = [self.server]
        found: list[str] = []
        for kind in ("A", "AAAA"):
            try:
                answer = resolver.resolve(self.host, kind, lifetime=deadline.left(), search=False)
            except library.NoAnswer:
                continue
            except library.NXDOMAIN:
                raise Unreachable(
                    f"{self.server} knows no name {self.host}",
                    f"correct the name, or add its record: {self._by_hand()}",
                ) from None
            except library.LifetimeTimeout:
                raise Unreachable(
                    f"{self.server} has not answered for {self.host} within {deadline.seconds:g} s",
                    f"look whether a name server runs there, and whether port 53 is open: {self._by_hand()}",
                ) from None
            except library.NoNameservers as error:
                raise Unreachable(
                    f"{self.server} does not answer for {self.host}: {error}",
                    f"look whether it serves this name, to this host: {self._by_hand()}",
                ) from None
            found += [str(record) for record in answer]
        if not found:
            raise Unreachable(f"{self.server} has no address for {self.host}", f"add its record: {self._by_hand()}")
        return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _list(addresses: set[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> str:
    return ", ".join(str(address) for address in sorted(addresses, key=lambda item: (item.version, int(item))))
