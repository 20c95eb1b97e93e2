# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Websockets, spoken with a small server of the other side."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.websocket import accept_key, frame
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Status, Unreachable
from hypothesis import given
from hypothesis import strategies as st


def test_accept_key() -> None:
    # The example of RFC 6455, section 1.3.
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.binary(max_size=300) | st.just(b"x" * 70000), st.binary(min_size=4, max_size=4))
def test_frames(payload: bytes, key: bytes) -> None:
    data = frame(1, payload, key)
    assert data[0] == 0x81
    assert data[1] & 0x80
    head = 2 + (0 if len(payload) < 126 else 2 if len(payload) < 65536 else 8) + 4
    body = data[head:]
    assert bytes(byte ^ key[i % 4] for i, byte in enumerate(body)) == payload


def shake(connection: socket.socket, key: str = "") -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4096)
    sent = re.search(r"Sec-WebSocket-Key: (\S+)", request.decode())
    assert sent
    connection.sendall(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {key or accept_key(sent.group(1))}\r\n\r\n".encode()
    )


def read_frame(connection: socket.socket) -> tuple[int, bytes]:
    head = connection.recv(2, socket.MSG_WAITALL)
    if not head:
        raise ConnectionResetError
    key = connection.recv(4, socket.MSG_WAITALL)
    payload = connection.recv(head[1] & 0x7F, socket.MSG_WAITALL)
    return head[0] & 0x0F, bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def send(connection: socket.socket, opcode: int, payload: bytes, last: bool = True) -> None:
    connection.sendall(bytes([(0x80 if last else 0) | opcode, len(payload)]) + payload)


def echo(connection: socket.socket) -> None:
    """Greets, pings, and sends every message back in two pieces."""
    shake(connection)
    send(connection, 1, b"welcome")
    send(connection, 9, b"are you there")
    while True:
        opcode, payload = read_frame(connection)
        if opcode == 1:
            send(connection, 1, payload[:2], last=False)
            send(connection, 0, payload[2:])
        elif opcode == 9:
            send(connection, 10, payload)
        elif opcode == 8:
            return


def test_handshake_ping_and_echo(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int]
) -> None:
    outcome = look(make_check(type="websocket", url=f"ws://127.0.0.1:{serve(echo)}/ws", send="hello"))
    assert outcome.status is Status.OK
    assert outcome.message.startswith("handshake, message, ping")


def test_a_greeting(make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int]) -> None:
    check = make_check(type="websocket", url=f"ws://127.0.0.1:{serve(echo)}/ws", expect="welcome")
    assert look(check).status is Status.OK


def mute(connection: socket.socket) -> None:
    shake(connection)
    time.sleep(3)


def closes(connection: socket.socket) -> None:
    shake(connection)
    send(connection, 8, (1008).to_bytes(2, "big"))
    time.sleep(1)


def not_found(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (mute, "handshake done, then no answer within 0.5 s"),
        (closes, "code 1008"),
        (not_found, "status 404, wanted 101"),
        (lambda connection: shake(connection, "wrong"), "Sec-WebSocket-Accept"),
        (lambda connection: time.sleep(2), "connected, but no answer"),
        (lambda connection: None, "ended the connection"),
    ],
)
def test_says_what_is_wrong(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int], talk: Any, words: str
) -> None:
    check = make_check(type="websocket", url=f"ws://127.0.0.1:{serve(talk)}/", timeout_seconds=0.5)
    with pytest.raises(Unreachable) as caught:
        look(check)
    assert words in caught.value.message
    assert caught.value.next_step


def refuse(status: str) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        while b"\r\n\r\n" not in connection.recv(4096):
            pass
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    return talk


@pytest.mark.parametrize(
    ("server", "status", "words"),
    [
        (refuse("403 Forbidden"), Status.OK, "refused with status 403"),
        (refuse("401 Unauthorized"), Status.OK, "refused with status 401"),
        (refuse("502 Bad Gateway"), Status.CRITICAL, "answered with status 502"),
        (shake, Status.CRITICAL, "the handshake was accepted"),
    ],
)
def test_a_handshake_that_has_to_be_refused(
    make_check: Callable[..., Any],
    look: Callable[..., Any],
    serve: Callable[..., int],
    server: Callable[[socket.socket], None],
    status: Status,
    words: str,
) -> None:
    outcome = look(make_check(type="websocket", url=f"ws://127.0.0.1:{serve(server)}/ws", refused=True))
    assert outcome.status is status
    assert words in outcome.message
