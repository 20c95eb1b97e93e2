# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TCP."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.net import split_address, where


def test_connects(make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int]) -> None:
    port = serve(lambda connection: None)
    outcome = look(make_check(type="tcp", host="127.0.0.1", port=port))
    assert outcome.status is Status.OK
    assert outcome.measures["answer_ms"] < 1000


def test_refused(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="tcp", host="127.0.0.1", port=port))
    assert "nothing listens" in caught.value.message
    assert str(port) in caught.value.next_step


def test_a_name_that_does_not_resolve(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with pytest.raises(Unreachable, match="does not resolve"):
        look(make_check(type="tcp", host="no-such-host.invalid", port=1))


def test_an_address_that_never_answers_leaves_time_for_the_next(
    make_check: Callable[..., Any],
    look: Callable[..., Any],
    serve: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = serve(lambda connection: None)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as one, socket.socket() as two:
        for waiting in (one, two):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*kind, full.getsockname()), (*kind, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
        outcome = look(make_check(type="tcp", host="two.test", port=port, timeout_seconds=2, warn_ms=0))
        assert outcome.status is Status.OK
        assert 900 < outcome.measures["answer_ms"] < 2000
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: [])
        with pytest.raises(Unreachable, match="no address"):
            look(make_check(type="tcp", host="none.test", port=port))


@pytest.mark.parametrize(
    ("text", "address"),
    [("a:1", ("a", 1)), ("127.0.0.1:443", ("127.0.0.1", 443)), ("[::1]:443", ("::1", 443))],
)
def test_reads_addresses(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address
    assert where(*address) == text


@pytest.mark.parametrize("text", ["a", "a:0", "a:70000", "::1:443", "a:b", ":1", "a/b:1", "u@a:1"])
def test_refuses_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        split_address(text)
