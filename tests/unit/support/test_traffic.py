"""The clients that faults are judged by see every failure that there is, and cost little."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.support.traffic import Stream, Traffic, percentile

STREAMS = (Stream("GET", "/", 150), Stream("POST", "/", 50, {"text": "x"}))
GOOD = b"HTTP/1.1 200 OK\r\nX-Instance: one\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Handler(socketserver.BaseRequestHandler):
    """Answers each request on a connection as the server says."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self.request.recv(65536):
                if not self.server.answer(self.request):
                    return


@contextlib.contextmanager
def server(answer: Callable[[socket.socket], bool]) -> Iterator[int]:
    """A server on the loopback; `answer` tells whether the connection goes on."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.answer = answer
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


def every(number: int, other: Callable[[socket.socket], bool]) -> Callable[[socket.socket], bool]:
    """A good answer, but for each `number`th request, which `other` gets."""
    asked = Counter()
    lock = threading.Lock()

    def answer(connection: socket.socket) -> bool:
        with lock:
            asked["all"] += 1
            turn = asked["all"] % number == 0
        if turn:
            return other(connection)
        connection.sendall(GOOD)
        return True

    return answer


def said(text: bytes, goes_on: bool = True) -> Callable[[socket.socket], bool]:
    def answer(connection: socket.socket) -> bool:
        connection.sendall(text)
        return goes_on

    return answer


def reset(connection: socket.socket) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def half(connection: socket.socket) -> bool:
    connection.sendall(GOOD[:-1])
    return False


def slow(connection: socket.socket) -> bool:
    time.sleep(0.3)
    connection.sendall(GOOD)
    return True


def seen_of(answer: Callable[[socket.socket], bool], seconds: float = 1.5) -> Traffic:
    with server(answer) as port, Traffic("127.0.0.1", "localhost", streams=STREAMS, port=port) as traffic:
        time.sleep(seconds)
    return traffic


def test_a_good_server_fails_nobody_and_the_rate_is_kept():
    traffic = seen_of(every(10**6, reset), 3)
    assert traffic.failures == {}
    assert {one.instance for one in traffic.requests} == {"one"}
    by_stream = Counter(one.stream for one in traffic.requests)
    assert by_stream[0] == pytest.approx(450, rel=0.15)
    assert by_stream[1] == pytest.approx(150, rel=0.15)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (said(BAD), "502"),
        (reset, "cut: "),
        (lambda _connection: False, "cut: the server ended the connection"),
        (half, "cut: "),
    ],
    ids=["an error", "a reset", "an end without an answer", "half an answer"],
)
def test_each_failure_is_seen(other, told):
    traffic = seen_of(every(10, other))
    assert sum(traffic.failures.values()) == pytest.approx(len(traffic.requests) / 10, abs=2)
    assert all(told in text for text in traffic.failures), traffic.failures


def test_a_connection_that_the_server_ends_after_its_answer_is_no_failure():
    assert seen_of(every(10, said(LAST, goes_on=False))).failures == {}


def test_a_stalled_answer_is_charged_to_it_alone():
    traffic = seen_of(every(50, slow))
    stalled = [one for one in traffic.requests if one.seconds > 0.25]
    assert len(stalled) == pytest.approx(len(traffic.requests) / 50, abs=2)
    assert traffic.failures == {}


def test_nobody_who_listens_fails_every_request():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Traffic("127.0.0.1", "localhost", streams=STREAMS, port=port) as traffic:
        time.sleep(0.5)
    assert traffic.requests
    assert all(one.outcome.startswith("no connection: ConnectionRefusedError") for one in traffic.requests)


def test_websockets_come_back_at_once_and_tell_their_ends():
    def welcome(connection: ServerConnection) -> None:
        connection.send(json.dumps({"type": "welcome", "instance": "one"}))
        cookie = connection.request.headers["Cookie"]
        if cookie == "sid=traffic-0":
            time.sleep(0.5)
            connection.close(1001)
        with contextlib.suppress(Exception):
            connection.recv()

    with serve(welcome, "127.0.0.1", 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        port = running.socket.getsockname()[1]
        with Traffic("127.0.0.1", "localhost", streams=(), sockets=3, port=port) as traffic:
            time.sleep(1.3)
        running.shutdown()
    assert traffic.socket_failures == []
    assert {(drop.client, drop.code, drop.instance) for drop in traffic.drops} == {(0, 1001, "one")}
    again = traffic.after(traffic.drops[0])
    assert again is not None
    assert again.begun - traffic.drops[0].ended < 0.3
    assert {life.client for life in traffic.lives} == {0, 1, 2}


def test_percentiles_of_few_values():
    assert [percentile([3, 1, 2], percent) for percent in (0, 50, 99, 100)] == [1, 2, 3, 3]
