# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP: judged from answers, and asked of real servers."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.http import MAX_BODY_BYTES, Answer
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Deadline

# S3's answer of /api/health/websocket.
WEBSOCKET_HEALTH = json.dumps({"status": "healthy", "memoryUsage": "245MB", "uptime": "2h 15m"})
OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL


@pytest.mark.parametrize(
    ("options", "answer", "status", "words"),
    [
        ({}, Answer(200, {}, "", 12), OK, "status 200 in 12 ms"),
        ({}, Answer(503, {}, "", 12), CRITICAL, "status 503"),
        ({}, Answer(302, {"location": "/login?token=s3cret"}, "", 1), CRITICAL, "302, a redirect to /login?token=***"),
        ({}, Answer(200, {"location": "/x"}, "", 1), OK, "status 200 in 1 ms"),
        ({}, Answer(200, {}, "x", 1, cut=True), OK, ""),
        ({"contains": "ok"}, Answer(200, {}, "x", 1, cut=True), CRITICAL, "the first 1.0 MB of the body do not hold"),
        ({"json": {"a": 1}}, Answer(200, {}, '{"a": 1', 1, cut=True), CRITICAL, "too large to look into"),
        ({"json": {"a": 1}}, Answer(200, {}, "[" * 200000, 1), CRITICAL, "no JSON"),
        ({"status": [401, 403]}, Answer(403, {}, "", 12), OK, ""),
        ({"contains": "ok"}, Answer(200, {}, "not well", 12), CRITICAL, 'does not hold "ok"'),
        ({}, Answer(200, {}, "", 1000), WARNING, "took 1000 ms"),
        ({"crit_ms": 2000}, Answer(200, {}, "", 2000), CRITICAL, "took 2000 ms"),
        ({"warn_ms": 0}, Answer(200, {}, "", 9000), OK, ""),
        ({"response_headers": {"X-Release": "^v1"}}, Answer(200, {"x-release": "v12"}, "", 1), OK, ""),
        ({"response_headers": {"X-Release": "^v1"}}, Answer(200, {"x-release": "v2"}, "", 1), CRITICAL, 'is "v2"'),
        ({"response_headers": {"X-Release": "."}}, Answer(200, {}, "", 1), CRITICAL, "is not there"),
        ({"response_headers": {"X-Powered-By": None}}, Answer(200, {}, "", 1), OK, ""),
        (
            {"response_headers": {"X-Powered-By": None}},
            Answer(200, {"x-powered-by": "PHP"}, "", 1),
            CRITICAL,
            'is "PHP"',
        ),
        ({"json": {"a": 1}}, Answer(200, {}, "<html>", 1), CRITICAL, "no JSON"),
        ({"json": {"memoryUsage": {"lt": "300MB"}}}, Answer(200, {}, WEBSOCKET_HEALTH, 1), OK, ""),
        ({"json": {"memoryUsage": {"lt": "0.2 GB"}}}, Answer(200, {}, WEBSOCKET_HEALTH, 1), CRITICAL, '"245MB"'),
        ({"json": {"uptime": {"gt": "2h"}, "status": "healthy"}}, Answer(200, {}, WEBSOCKET_HEALTH, 1), OK, ""),
        ({"json": {"uptime": {"gt": "3h"}}}, Answer(200, {}, WEBSOCKET_HEALTH, 1), CRITICAL, '"2h 15m"'),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], answer: Answer, status: Status, words: str
) -> None:
    outcome = make_check(type="http", url="http://h/", **options).judge(answer)
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_asks_and_sends(
    make_check: Callable[..., Any], look: Callable[..., Any], answer_http: Callable[..., int]
) -> None:
    requests: list[str] = []
    port = answer_http("hello", requests=requests)
    check = make_check(
        type="http",
        url="http://user:p%40ss@shop.example/a?b=c",
        connect_to=f"127.0.0.1:{port}",
        method="POST",
        body={"a": 1},
        headers={"X-One": "1"},
        contains="hello",
    )
    outcome = look(check)
    assert outcome.status is OK
    assert requests[0].startswith("POST /a?b=c HTTP/1.1\r\n")
    for line in (
        "Host: shop.example",
        "Authorization: Basic dXNlcjpwQHNz",
        "X-One: 1",
        "Content-Type: application/json",
    ):
        assert f"\r\n{line}\r\n" in requests[0]
    assert "p%40ss" not in check.target()
    assert f"via 127.0.0.1:{port}" in check.target()


def test_sends_letters_of_any_language(
    make_check: Callable[..., Any], look: Callable[..., Any], answer_http: Callable[..., int]
) -> None:
    requests: list[str] = []
    port = answer_http(requests=requests)
    url = f"http://127.0.0.1:{port}/b\u00fccher/a%20b?q=\u00e9&r=%C3%A9"
    assert look(make_check(type="http", url=url, headers={"X-Name": "\u00e9"})).status is OK
    assert requests[0].startswith("GET /b%C3%BCcher/a%20b?q=%C3%A9&r=%C3%A9 HTTP/1.1\r\n")


def test_a_host_header_stands_in_for_the_url(
    make_check: Callable[..., Any], look: Callable[..., Any], answer_http: Callable[..., int]
) -> None:
    requests: list[str] = []
    port = answer_http(requests=requests)
    look(make_check(type="http", url=f"http://127.0.0.1:{port}/", headers={"Host": "shop.example"}))
    assert requests[0].count("Host:") == 1
    assert "Host: shop.example" in requests[0]


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"), "no HTTP"),
        (lambda connection: connection.recv(1), "ended the connection"),
    ],
)
def test_says_what_kind_of_no_answer(
    make_check: Callable[..., Any],
    look: Callable[..., Any],
    serve: Callable[..., int],
    talk: Callable[[socket.socket], None],
    words: str,
) -> None:
    port = serve(talk)
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="http", url=f"http://127.0.0.1:{port}/"))
    assert words in caught.value.message or "no HTTP" in caught.value.message
    assert caught.value.next_step


def test_slow_answers_are_cut(
    make_check: Callable[..., Any], look: Callable[..., Any], answer_http: Callable[..., int]
) -> None:
    port = answer_http(delay=2)
    with pytest.raises(Unreachable, match=r"no whole answer within 0\.3 s"):
        look(make_check(type="http", url=f"http://127.0.0.1:{port}/", timeout_seconds=0.3))


def test_dripping_answers_are_cut_in_every_part(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int]
) -> None:
    """One byte at a time begins the time limit of a plain socket anew."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for head, drop in ((b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"HTTP/1.1 200 OK\r\n\r\n", b"x"), (chunked, b"0")):

        def talk(connection: socket.socket, head: bytes = head, drop: bytes = drop) -> None:
            connection.sendall(head)
            for _ in range(60):
                connection.sendall(drop)
                time.sleep(0.05)

        started = time.monotonic()
        with pytest.raises(Unreachable, match=r"no whole answer within 0\.3 s"):
            look(make_check(type="http", url=f"http://127.0.0.1:{serve(talk)}/", timeout_seconds=0.3))
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_reads_what_was_packed_unasked(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int], pack: Callable[[bytes], bytes]
) -> None:
    name = "gzip" if pack is gzip.compress else "deflate"

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        body = pack(b'{"status": "ok"}')
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    outcome = look(make_check(type="http", url=f"http://127.0.0.1:{serve(talk)}/", json={"status": "ok"}))
    assert outcome.status is OK, outcome


@pytest.mark.parametrize("packed", [False, True])
def test_an_endless_body_is_read_only_so_far(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int], packed: bool
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        encoding = "Content-Encoding: gzip\r\n" if packed else ""
        connection.sendall(f"HTTP/1.1 200 OK\r\n{encoding}\r\n".encode())
        # 100 MB, which packed are 100 kB; or without end.
        if packed:
            connection.sendall(gzip.compress(bytes(100_000_000), compresslevel=1))
        while not packed:
            connection.sendall(b"x" * 65536)

    answer = make_check(type="http", url=f"http://127.0.0.1:{serve(talk)}/").ask(Deadline.after(time.monotonic, 20))
    assert answer.cut
    assert len(answer.body) == MAX_BODY_BYTES


def test_reads_chunks_and_ipv6(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")

    def talk() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            body = b'9\r\n{"status"\r\n6;x=y\r\n: "ok"\r\n1\r\n}\r\n0\r\nX: trailer\r\n\r\n'
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    with listener:
        threading.Thread(target=talk, daemon=True).start()
        url = f"http://[::1]:{listener.getsockname()[1]}/"
        outcome = look(make_check(type="http", url=url, json={"status": "ok"}))
    assert outcome.status is OK, outcome


def test_refused(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} refused"):
        look(make_check(type="http", url=f"http://127.0.0.1:{port}/"))


def test_https_verifies_and_goes_by_the_host_header(
    make_check: Callable[..., Any], look: Callable[..., Any], answer_http: Callable[..., int], authority: Any
) -> None:
    port = answer_http("hello", wrap=authority.server("shop.example", 90))
    url = f"https://127.0.0.1:{port}/"
    through = make_check(type="http", url=url, headers={"Host": "shop.example"}, ca_file=authority.ca_file)
    assert look(through).status is OK
    with pytest.raises(Unreachable, match=r"refused for 127\.0\.0\.1"):
        look(make_check(type="http", url=url, ca_file=authority.ca_file))
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="http", url=url, headers={"Host": "shop.example"}))
    assert "ca_file" in caught.value.next_step
    assert look(make_check(type="http", url=url, verify=False)).status is OK
    with pytest.raises(CouldNotRun, match=r"/nowhere/ca.crt does not exist"):
        look(make_check(type="http", url=url, ca_file="/nowhere/ca.crt"))
