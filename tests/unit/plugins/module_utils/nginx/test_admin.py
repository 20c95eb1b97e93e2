"""Requests to a socket that somebody, nobody or something else answers at."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import contextmanager

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import Admin, AdminError, NotRunning


def one_request(connection):
    """Read up to the request's end: http.client sends the body apart from the head, so one read may see only that."""
    with connection.makefile("rb") as stream:
        head = b"".join(iter(stream.readline, b"\r\n"))
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        return (head + (stream.read(int(length[1])) if length else b"")).decode()


@contextmanager
def answering(path, answer):
    """A server that reads one request and sends these bytes; None: nothing. Yields what was asked."""
    asked: list[str] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    done = threading.Event()

    def serve():
        connection, _ = listener.accept()
        asked.append(one_request(connection))
        if answer is None:
            done.wait(10)
        else:
            connection.sendall(answer)
        connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        done.set()
        thread.join(10)
        listener.close()


def said(status, body):
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def test_pools_and_sync_are_json_over_the_socket(tmp_path):
    for name, ask, request in (("a", Admin.pools, "GET /pools HTTP/1.1"), ("b", Admin.sync, "POST /sync HTTP/1.1")):
        with answering(tmp_path / name, said(200, json.dumps({"generation": 7}))) as asked:
            assert ask(Admin(str(tmp_path / name))) == {"generation": 7}
        assert asked[0].startswith(request)


def test_a_body_is_sent_as_json(tmp_path):
    with answering(tmp_path / "s", said(200, "{}")) as asked:
        Admin(str(tmp_path / "s")).request("POST", "/x", {"a": 1})
    assert asked[0].endswith('{"a": 1}')


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (said(500, '{"error": "/x/shop.json: is not a JSON object"}'), "500: /x/shop.json: is not a JSON object"),
        (said(404, "not found\n"), "404: not found"),
        (said(500, ""), "500: no message"),
        (said(200, "[1]"), "expected a JSON object, got '[1]'"),
        (said(200, "html"), "expected a JSON object, got 'html'"),
        (b"", "Remote end closed connection"),
        (b"SSH-2.0\r\n\r\n", "SSH-2.0"),
        (None, "no answer within 0.2 seconds"),
    ],
)
def test_other_answers_are_errors_that_say_what_came(tmp_path, answer, text):
    path = str(tmp_path / "s")
    with answering(path, answer), pytest.raises(AdminError) as caught:
        Admin(path, timeout_seconds=0.2).pools()
    assert text in str(caught.value)
    assert str(caught.value).startswith(f"GET /pools at {path}: ")
    assert not isinstance(caught.value, NotRunning)


def test_a_socket_without_a_listener_means_that_nginx_does_not_run(tmp_path):
    with pytest.raises(NotRunning, match="nginx does not run"):
        Admin(str(tmp_path / "none")).pools()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "stale"))
    stale.close()
    with pytest.raises(NotRunning):
        Admin(str(tmp_path / "stale")).sync()
