# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names and what they resolve to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
FOUR, OTHER, SIX = "192.0.2.1", "192.0.2.2", "2001:db8::1"


@pytest.mark.parametrize(
    ("options", "found", "took_ms", "status", "words"),
    [
        ({}, [FOUR], 5, OK, "192.0.2.1 in 5 ms"),
        ({}, [FOUR], 500, WARNING, "resolving a.test took 500 ms"),
        ({"crit_ms": 800}, [FOUR], 900, CRITICAL, "took 900 ms"),
        ({"warn_ms": 0}, [FOUR], 9000, OK, ""),
        ({"addresses": [FOUR]}, [FOUR, OTHER], 5, OK, ""),
        ({"addresses": [FOUR, OTHER]}, [FOUR], 5, CRITICAL, "does not resolve to 192.0.2.2"),
        ({"addresses": [FOUR, OTHER], "match": "any"}, [OTHER], 5, OK, ""),
        ({"addresses": [FOUR, OTHER], "match": "any"}, [SIX], 5, CRITICAL, "does not resolve to 192.0.2.1, 192.0.2.2"),
        ({"addresses": [FOUR], "match": "only"}, [FOUR], 5, OK, ""),
        ({"addresses": [FOUR], "match": "only"}, [FOUR, OTHER], 5, CRITICAL, "also resolves to 192.0.2.2"),
        ({"addresses": [FOUR, OTHER], "match": "only"}, [FOUR], 5, CRITICAL, "does not resolve to 192.0.2.2"),
        # One address has many forms.
        ({"addresses": ["2001:db8:0:0::1"], "match": "only"}, [SIX], 5, OK, ""),
        ({"family": "ipv4"}, [FOUR], 5, OK, ""),
        ({"family": "ipv4"}, [SIX], 5, CRITICAL, "a.test has no IPv4 address"),
        ({"family": "ipv6"}, [FOUR], 5, CRITICAL, "a.test has no IPv6 address"),
        ({"family": "both"}, [FOUR, SIX], 5, OK, ""),
        ({"family": "both"}, [FOUR], 5, CRITICAL, "a.test has no IPv6 address"),
    ],
)
def test_judges(
    make_check: Callable[..., Any],
    options: dict[str, Any],
    found: list[str],
    took_ms: float,
    status: Status,
    words: str,
) -> None:
    outcome = make_check(type="dns", host="a.test", **options).judge(found, took_ms)
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_asks_as_programs_do(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    outcome = look(make_check(type="dns", host="localhost", warn_ms=0))
    assert outcome.status is OK
    assert "127.0.0.1" in outcome.seen or "::1" in outcome.seen


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "does not resolve: no such name"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "the name server does not answer"),
        (UnicodeError("label too long"), "does not resolve"),
    ],
)
def test_says_why_there_is_no_answer(
    make_check: Callable[..., Any],
    look: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    words: str,
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unreachable, match=words):
        look(make_check(type="dns", host="a.test"))


def test_a_resolver_that_hangs_is_left_behind(
    make_check: Callable[..., Any], look: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: release.wait(20))
    with pytest.raises(Unreachable, match=r"no answer for a\.test within 0\.1 s"):
        look(make_check(type="dns", host="a.test", timeout_seconds=0.1))
    release.set()


class NoAnswer(Exception):
    """Stands for dnspython's."""


class NXDOMAIN(Exception):
    """Stands for dnspython's."""


class LifetimeTimeout(Exception):
    """Stands for dnspython's."""


class NoNameservers(Exception):
    """Stands for dnspython's."""


def dnspython(answers: dict[str, Any], asked: list[Any]) -> Tools:
    class Resolver:
        def __init__(self, configure: bool) -> None:
            assert not configure
            self.nameservers: list[str] = []

        def resolve(self, host: str, kind: str, lifetime: float, search: bool) -> Any:
            asked.append((self.nameservers, host, kind))
            assert lifetime > 0
            assert not search
            answer = answers.get(kind, NoAnswer())
            if isinstance(answer, Exception):
                raise answer
            return answer

    library = SimpleNamespace(
        Resolver=Resolver,
        NoAnswer=NoAnswer,
        NXDOMAIN=NXDOMAIN,
        LifetimeTimeout=LifetimeTimeout,
        NoNameservers=NoNameservers,
    )
    return Tools(load=lambda name: library)


def test_asks_a_server(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    asked: list[Any] = []
    check = make_check(type="dns", host="a.test", server="192.0.2.53", addresses=[FOUR, SIX], match="only")
    outcome = look(check, dnspython({"A": [FOUR], "AAAA": [SIX]}, asked))
    assert outcome.status is OK, outcome
    assert asked == [(["192.0.2.53"], "a.test", "A"), (["192.0.2.53"], "a.test", "AAAA")]
    assert check.target() == "a.test at 192.0.2.53"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({}, "has no address for a.test"),
        ({"A": NXDOMAIN()}, "knows no name a.test"),
        ({"A": LifetimeTimeout()}, "has not answered for a.test within 5 s"),
        ({"A": NoNameservers("REFUSED")}, "does not answer for a.test: REFUSED"),
    ],
)
def test_says_what_a_server_said(
    make_check: Callable[..., Any], look: Callable[..., Any], answers: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unreachable, match=words):
        look(make_check(type="dns", host="a.test", server="192.0.2.53"), dnspython(answers, []))


def test_without_the_library_it_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    def load(name: str) -> Any:
        raise ImportError(name)

    with pytest.raises(CouldNotRun) as caught:
        look(make_check(type="dns", host="a.test", server="192.0.2.53"), Tools(load=load))
    assert caught.value.next_step == "install it on this host: `apt-get install python3-dnspython`"
