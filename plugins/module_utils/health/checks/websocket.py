# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A websocket: its handshake, a ping, and an echo or another answer to a message (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..check import Check
from ..model import Finding, Outcome, Status, Unreachable, judged, level
from ..net import broken_off
from ..options import option
from ..secrets import mask_url
from ..steps import log_of, site
from ..tools import Deadline, Tools
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

SCHEMES = ("ws", "wss")
MAX_FRAME_BYTES = 1 << 20
_REFUSALS = (401, 403)
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def accept_key(key: str) -> str:
    """What a server has to answer to a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


def frame(opcode: int, payload: bytes, mask_key: bytes) -> bytes:
    """A whole message as a client sends it: final and masked."""
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65536:
        head += bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + length.to_bytes(8, "big")
    return head + mask_key + bytes(byte ^ mask_key[i % 4] for i, byte in enumerate(payload))


class _Stream:
    """Bytes from a socket, never waited for beyond the deadline."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = b""

    def _fill(self) -> None:
        self._connection.settimeout(self._deadline.left())
        chunk = self._connection.recv(65536)
        if not chunk:
            raise ConnectionResetError("it closed the connection")
        self._buffer += chunk

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def head(self) -> str:
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > 65536:
                raise ConnectionResetError("its answer has no end of headers")
            self._fill()
        text, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        return text.decode("latin-1")

    def frame(self) -> tuple[int, bool, bytes]:
        """The next frame: opcode, whether it is the last of its message, payload."""
        first, second = self.take(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(self.take(2), "big")
        elif length == 127:
            length = int.from_bytes(self.take(8), "big")
        if length > MAX_FRAME_BYTES:
            raise ConnectionResetError(f"it sent a frame of {length} bytes")
        key = self.take(4) if second & 0x80 else b""
        payload = self.take(length)
        if key:
            payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
        return first & 0x0F, bool(first & 0x80), payload


@dataclass(frozen=True)
class WebsocketCheck(Check):
    """Opens a websocket, sends a ping and, where asked to, a message."""

    TYPE: ClassVar[str] = "websocket"
    WEIGHT: ClassVar[float] = 3

    url: str = option("str", required=True, about="ws:// or wss:// address.")
    headers: Mapping[str, Any] = option("mapping", {}, about="Headers of the handshake, Origin and Cookie among them.")
    refused: bool = option("bool", False, about="true: the handshake has to be refused, with 401 or 403.")
    ping: bool = option("bool", True, about="Whether a ping has to be answered.")
    send: str = option("str", "", about="A text message to send.")
    expect: str = option("str", "", about="Text that an answer has to hold; O(send) itself by default.")
    ca_file: str = option("str", "", about="PEM file of the authorities to trust; the system's by default.")
    verify: bool = option("bool", True, about="Whether the certificate has to be valid.")
    server_name: str = option("str", "", about="TLS server name; the Host header or the URL's host by default.")
    connect_to: str = option("str", "", about="host:port to connect to in place of the URL's.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")
    crit_ms: float = option("number", 0, minimum=0, about="Critical from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        problems = address_problems(self.url, SCHEMES, self.connect_to) + header_problems(self.headers)
        if self.crit_ms and self.warn_ms > self.crit_ms:
            problems.append(f"warn_ms ({self.warn_ms:g}) is above crit_ms ({self.crit_ms:g})")
        if self.refused and (self.send or self.expect):
            problems.append("send and expect go without refused: a refused handshake carries no message")
        return problems

    def target(self) -> str:
        return mask_url(self.url) + (f" via {self.connect_to}" if self.connect_to else "")

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        address = parse_url(self.url, SCHEMES)
        server_name = self.server_name or name_of(host_header(self.headers))
        connection = open_address(address, self.connect_to, server_name, self.ca_file, self.verify, deadline)
        expected = self.expect or self.send
        done: list[str] = []
        with connection:
            try:
                stream = _Stream(connection, deadline)
                status = self._shake_hands(connection, stream, request_headers(address, self.headers), address.path)
                if self.refused:
                    return self.judge_refusal(status)
                done.append("handshake")
                if self.send:
                    self._send(connection, _TEXT, self.send.encode())
                if expected:
                    self._await(connection, stream, lambda opcode, text: opcode == _TEXT and expected in text)
                    done.append("message")
                if self.ping:
                    self._send(connection, _PING, b"slipway")
                    self._await(connection, stream, lambda opcode, text: opcode == _PONG and text == "slipway")
                    done.append("ping")
                self._send(connection, _CLOSE, (1000).to_bytes(2, "big"))
            except (TimeoutError, socket.timeout):
                so_far = f"{' and '.join(done)} done, then" if done else "connected, but"
                raise Unreachable(
                    f"{so_far} no answer within {deadline.seconds:g} s",
                    "look whether the program answers pings and messages, whether the proxy buffers, and into"
                    f" {log_of(self.application)}",
                ) from None
            except OSError as error:
                raise broken_off(self.target(), error, self.application) from None
        took = deadline.spent_ms()
        return judged(
            [
                level(
                    took,
                    self.warn_ms,
                    self.crit_ms,
                    f"{', '.join(done)} took {took:.0f} ms",
                    "look at the load of the host (`systemd-cgtop` there) and at what the program waits for",
                )
            ],
            seen=f"{', '.join(done)} in {took:.0f} ms",
            wanted=f"{', '.join(done)} in less than {self.warn_ms:g} ms" if self.warn_ms else ", ".join(done),
            fine=f"{', '.join(done)} in {took:.0f} ms",
            measures={"answer_ms": round(took, 1)},
        )

    def judge_refusal(self, status: int) -> Outcome:
        """A handshake that has to be refused: another error, such as 502, says nothing of who may come in."""
        seen = f"the handshake was {'accepted' if status == 101 else f'answered with status {status}'}"
        step = (
            "let the program, or the edge (`websocket_origins` in `slipway_apps`, then"
            f" {site('nginx')}), refuse whom it does not know"
            if status == 101
            else f"look whether the path is the right one, and into {log_of(self.application)}"
        )
        findings = [] if status in _REFUSALS else [Finding(Status.CRITICAL, seen, step)]
        wanted = f"a refusal with {' or '.join(map(str, _REFUSALS))}"
        return judged(findings, seen=seen, wanted=wanted, fine=f"refused with status {status}")

    def _shake_hands(self, connection: socket.socket, stream: _Stream, headers: dict[str, str], path: str) -> int:
        """Ask for a websocket; the status of the answer, which is 101 unless it has to be refused."""
        key = base64.b64encode(os.urandom(16)).decode()
        headers = {
            **headers,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
        }
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        first, *rest = stream.head().split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/"):
            raise Unreachable("the answer to the handshake is no HTTP", "look whether the port is the right one")
        if self.refused:
            return int(words[1]) if words[1].isdigit() else 0
        if words[1] != "101":
            status = int(words[1]) if words[1].isdigit() else 0
            raise Unreachable(
                f"the handshake was answered with status {words[1]}, wanted 101",
                status_step(status, self.application)
                if status in (401, 404, 429) or status >= 500
                else "look whether the proxy passes Upgrade on for this path (`kind: websocket` of its location in"
                " `slipway_apps`), and whether the Origin is allowed",
            )
        answered = {
            name.strip().lower(): value.strip() for name, _dummy, value in (line.partition(":") for line in rest)
        }
        if answered.get("sec-websocket-accept") != accept_key(key):
            raise Unreachable(
                "the handshake was answered without the right Sec-WebSocket-Accept",
                "look whether something between answers from a cache",
            )
        return 101

    def _send(self, connection: socket.socket, opcode: int, payload: bytes) -> None:
        connection.sendall(frame(opcode, payload, os.urandom(4)))

    def _await(self, connection: socket.socket, stream: _Stream, wanted: Any) -> None:
        """Read messages until one is as wanted; others may come first in a living room."""
        message, kind = b"", 0
        while True:
            opcode, last, payload = stream.frame()
            if opcode == _CLOSE:
                code = int.from_bytes(payload[:2], "big")
                raise ConnectionResetError(f"it closed the websocket (code {code})")
            if opcode == _PING:
                self._send(connection, _PONG, payload)
                continue
            if opcode == _PONG:
                if wanted(_PONG, payload.decode("utf-8", errors="replace")):
                    return
                continue
            kind, message = (opcode or kind), (message + payload if opcode == 0 else payload)
            if len(message) > MAX_FRAME_BYTES:
                raise ConnectionResetError(f"it sent a message of more than {MAX_FRAME_BYTES} bytes")
            if last and wanted(kind, message.decode("utf-8", errors="replace")):
                return
