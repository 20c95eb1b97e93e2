# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An HTTP answer: status, text, JSON values and time."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import socket
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from ..assertions import Assertion, check_assertion, parse_assertions
from ..check import Check
from ..model import Finding, Outcome, Status, Unreachable, judged, level
from ..net import TimedSocket, broken_off
from ..options import option
from ..secrets import mask_url
from ..steps import log_of, site
from ..tools import Deadline, Tools
from ..units import human_bytes
from ..web import (
    address_problems,
    header_problems,
    host_header,
    name_of,
    open_address,
    parse_url,
    request_headers,
    status_step,
)

SCHEMES = ("http", "https")
MAX_BODY_BYTES = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What came back; ``body`` holds at most MAX_BODY_BYTES, ``cut`` says that there was more."""

    status: int
    headers: dict[str, str]
    body: str
    took_ms: float
    cut: bool = False


@dataclass(frozen=True)
class HttpCheck(Check):
    """One request. Redirects are not followed: their status is what is seen."""

    TYPE: ClassVar[str] = "http"
    WEIGHT: ClassVar[float] = 3

    url: str = option("str", required=True, about="http:// or https:// address.")
    method: str = option("str", "GET", about="Request method.")
    headers: Mapping[str, Any] = option("mapping", {}, about="Request headers; Host also sets the TLS server name.")
    body: object = option("raw", about="Request body; anything but a text is sent as JSON.")
    status: Sequence[int] = option("integers", (200,), about="Status codes that are fine.")
    contains: str = option("str", "", about="Text that the answer has to hold.")
    response_headers: Mapping[str, Any] = option(
        "mapping", {}, about="Regular expressions that headers of the answer have to match; null: it must not be there."
    )
    json: Mapping[str, Any] = option("mapping", {}, about="Assertions on the answer, C({path: {operator: value}}).")
    ca_file: str = option("str", "", about="PEM file of the authorities to trust; the system's by default.")
    verify: bool = option("bool", True, about="Whether the certificate has to be valid.")
    server_name: str = option("str", "", about="TLS server name; the Host header or the URL's host by default.")
    connect_to: str = option("str", "", about="host:port to connect to in place of the URL's.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")
    crit_ms: float = option("number", 0, minimum=0, about="Critical from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        problems = address_problems(self.url, SCHEMES, self.connect_to) + header_problems(self.headers)
        problems += parse_assertions(self.json)[1]
        if not re.match(r"[A-Z]{3,20}\Z", self.method):
            problems.append(f"method: expected capital letters such as GET, got {self.method!r}")
        problems += [f"status: expected 100 to 599, got {code}" for code in self.status if not 100 <= code <= 599]
        if not self.status:
            problems.append("status is empty: no answer could pass")
        for name, pattern in self.response_headers.items():
            try:
                re.compile("" if pattern is None else str(pattern))
            except re.error as error:
                problems.append(f"response_headers: {name} has no regular expression ({error})")
        if self.crit_ms and self.warn_ms > self.crit_ms:
            problems.append(f"warn_ms ({self.warn_ms:g}) is above crit_ms ({self.crit_ms:g})")
        return problems

    def target(self) -> str:
        shown = mask_url(self.url)
        host = host_header(self.headers)
        through = f" via {self.connect_to}" if self.connect_to else ""
        return f"{shown}{f' (Host {host})' if host else ''}{through}"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.ask(deadline))

    def judge(self, answer: Answer) -> Outcome:
        """Hold an answer against everything that is wanted of it."""
        codes = " or ".join(str(code) for code in self.status)
        findings: list[Finding] = []
        wanted = [f"status {codes}"]
        if answer.status not in self.status:
            target = answer.headers.get("location", "")
            to = f", a redirect to {mask_url(target)}" if target and 300 <= answer.status < 400 else ""
            findings.append(
                Finding(Status.CRITICAL, f"status {answer.status}{to}", status_step(answer.status, self.application))
            )
        if self.contains:
            wanted.append(f'a body with "{self.contains}"')
            if self.contains not in answer.body:
                part = f"the first {human_bytes(MAX_BODY_BYTES)} of the body do" if answer.cut else "the body does"
                findings.append(Finding(Status.CRITICAL, f'{part} not hold "{self.contains}"', self._log_step()))
        for name, pattern in self.response_headers.items():
            value = answer.headers.get(name.lower())
            wanted.append(f"no header {name}" if pattern is None else f"header {name} matching {pattern}")
            if pattern is None and value is None:
                continue
            if pattern is None or value is None or not re.search(str(pattern), value):
                shown = "is not there" if value is None else f'is "{value}"'
                findings.append(Finding(Status.CRITICAL, f"header {name} {shown}", _HEADER_STEP))
        assertions = parse_assertions(self.json)[0]
        wanted += [assertion.describe() for assertion in assertions]
        findings += self._json_findings(assertions, answer)
        findings.append(
            level(
                answer.took_ms,
                self.warn_ms,
                self.crit_ms,
                f"the answer took {answer.took_ms:.0f} ms",
                "look at the load of the host (`systemd-cgtop` there), its database and what the program waits for",
            )
        )
        if self.warn_ms or self.crit_ms:
            wanted.append(f"less than {self.warn_ms or self.crit_ms:g} ms")
        seen = f"status {answer.status} in {answer.took_ms:.0f} ms"
        if any(finding.status is Status.CRITICAL for finding in findings) and answer.body.strip():
            seen += f": {_excerpt(answer.body)}"
        return judged(
            findings,
            seen=seen,
            wanted=", ".join(wanted),
            fine=f"status {answer.status} in {answer.took_ms:.0f} ms",
            measures={"answer_ms": round(answer.took_ms, 1), "status": answer.status},
        )

    def _log_step(self) -> str:
        return f"look at the answer ({self._by_hand()}), and into {log_of(self.application)}"

    def _by_hand(self) -> str:
        """The request for a shell, without the headers that may be secret."""
        words = ["curl", "-i", *(["-X", self.method] if self.method != "GET" else [])]
        words += ["--connect-to", f"::{self.connect_to}"] if self.connect_to else []
        words += ["--cacert", self.ca_file] if self.ca_file else []
        words += [] if self.verify else ["-k"]
        host = host_header(self.headers)
        words += ["-H", f"Host: {host}"] if host else []
        return f"`{shlex.join([*words, mask_url(self.url)])}`"

    def _json_findings(self, assertions: list[Assertion], answer: Answer) -> list[Finding]:
        if not assertions:
            return []
        if answer.cut:
            text = f"the answer is larger than {human_bytes(MAX_BODY_BYTES)}, too large to look into"
            return [Finding(Status.CRITICAL, text, "check an address whose answer is smaller")]
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            return [Finding(Status.CRITICAL, "the answer is no JSON", self._log_step())]
        wrong = (check_assertion(assertion, document) for assertion in assertions)
        step = f"look at what this value stands for, and into {log_of(self.application)}"
        return [Finding(Status.CRITICAL, text, step) for text in wrong if text]

    def ask(self, deadline: Deadline) -> Answer:
        """Send the request and read the answer. Raises Unreachable, CouldNotRun and TimeoutError."""
        address = parse_url(self.url, SCHEMES)
        server_name = self.server_name or name_of(host_header(self.headers))
        plain = open_address(address, self.connect_to, server_name, self.ca_file, self.verify, deadline)
        connection = http.client.HTTPConnection(address.host, address.port)
        # No socket by name, but all that is asked of one here.
        connection.sock = TimedSocket(plain, deadline)
        try:
            return self._exchange(connection, request_headers(address, self.headers), address.path, deadline)
        except (TimeoutError, socket.timeout):
            raise Unreachable(
                f"connected, but no whole answer within {deadline.seconds:g} s",
                f"look whether the program hangs, and what it waits for: {log_of(self.application)}",
            ) from None
        except http.client.HTTPException as error:
            raise Unreachable(
                f"the answer is no HTTP ({type(error).__name__})",
                "look whether the port is the right one, and whether it wants https",
            ) from None
        except OSError as error:
            raise broken_off(self.target(), error, self.application) from None
        finally:
            connection.close()
            plain.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        headers: dict[str, str],
        path: str,
        deadline: Deadline,
    ) -> Answer:
        body = _body(self.body)
        if body is not None:
            headers.setdefault("Content-Length", str(len(body)))
            if not isinstance(self.body, str):
                headers.setdefault("Content-Type", "application/json")
        headers.setdefault("Connection", "close")
        connection.putrequest(self.method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode("utf-8"))
        connection.endheaders(body)
        response = connection.getresponse()
        received = b""
        while len(received) <= MAX_BODY_BYTES and not response.isclosed():
            chunk = response.read1(65536)
            if not chunk:
                break
            received += chunk
        received, cut = _unpacked(received, response.headers.get("Content-Encoding", ""))
        charset = response.headers.get_content_charset("utf-8")
        try:
            text = received.decode(charset, errors="replace")
        except LookupError:
            text = received.decode("utf-8", errors="replace")
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            text,
            deadline.spent_ms(),
            cut,
        )


_HEADER_STEP = (
    "look who sends the header, or should: the program, or the edge (`headers` and `cors` in `slipway_apps`, then"
    f" {site('nginx')})"
)


def _unpacked(received: bytes, encoding: str) -> tuple[bytes, bool]:
    """What a server packed though it was not asked to, up to MAX_BODY_BYTES; and whether there was more."""
    if encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        # Either header is recognised; deflate without one is not, as with most clients.
        with suppress(zlib.error):
            received = zlib.decompressobj(wbits=47).decompress(received, MAX_BODY_BYTES + 1)
    return received[:MAX_BODY_BYTES], len(received) > MAX_BODY_BYTES


def _body(body: object) -> bytes | None:
    if body is None:
        return None
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def _excerpt(body: str, limit: int = 200) -> str:
    text = " ".join(body.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
