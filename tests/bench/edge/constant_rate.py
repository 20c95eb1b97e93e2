"""Ask at a constant rate, and tell how long answers took: constant_rate.py URL RATE SECONDS CONNECTIONS. Prints JSON.

Requests are due at fixed moments whatever became of those before, and each is timed from the moment when it was due,
not when a connection was free for it: an edge that stalls is charged for all who had to wait. Needs Python 3.13.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import ssl
import sys
import time
from collections import deque
from urllib.parse import urlsplit


def connect(host: str, port: int, tls: bool) -> socket.socket:
    connection = socket.create_connection((host, port), 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = context.wrap_socket(connection, server_hostname=host)
    connection.setblocking(False)
    return connection


def length_of(answer: bytes) -> int:
    """Bytes of an answer as a whole, 0 while its head is not complete."""
    head, found, _body = answer.partition(b"\r\n\r\n")
    if not found:
        return 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + 4 + int(line[15:])
    raise ValueError(f"no Content-Length in {head!r}")


def receive(connection: socket.socket) -> bytes:
    """What came; nothing where TLS had only a word of its own to say."""
    data = b""
    with contextlib.suppress(ssl.SSLWantReadError):
        while block := connection.recv(65536):
            data += block
            if not isinstance(connection, ssl.SSLSocket):
                return data
        raise ConnectionError("the server ended a connection")
    return data


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main(url: str, rate: float, seconds: float, count: int) -> None:
    parts = urlsplit(url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    connections = {one.fileno(): one for one in (connect(host, parts.port or 0, tls) for _ in range(count))}
    free = deque(connections)
    waiting: deque[float] = deque()
    asked: dict[int, float] = {}
    partial: dict[int, bytes] = {}
    took: list[float] = []
    failed = due = 0

    poll = select.epoll()
    for number in connections:
        poll.register(number, select.EPOLLIN)
    timer = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK)
    poll.register(timer, select.EPOLLIN)
    begun = time.monotonic()
    os.timerfd_settime(timer, initial=1 / rate, interval=1 / rate)
    total = int(rate * seconds)

    def send() -> None:
        while waiting and free:
            number = free.popleft()
            asked[number] = waiting.popleft()
            connections[number].send(request)

    while len(took) < total and time.monotonic() < begun + seconds + 30:
        for number, _event in poll.poll(1):
            if number == timer:
                for _ in range(int.from_bytes(os.read(timer, 8), sys.byteorder)):
                    due += 1
                    if due <= total:
                        waiting.append(begun + due / rate)
                continue
            data = receive(connections[number])
            if not data:
                continue
            answer = partial.pop(number, b"") + data
            whole = length_of(answer)
            if not whole or len(answer) < whole:
                partial[number] = answer
                continue
            took.append(time.monotonic() - asked.pop(number))
            failed += not answer.startswith(b"HTTP/1.1 200 ")
            free.append(number)
        send()
    print(
        json.dumps(
            {
                "answers": len(took),
                "missing": total - len(took),
                "failed": failed,
                "p50_ms": round(percentile(took, 0.50) * 1000, 3),
                "p99_ms": round(percentile(took, 0.99) * 1000, 3),
                "p999_ms": round(percentile(took, 0.999) * 1000, 3),
            }
        )
    )


main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
