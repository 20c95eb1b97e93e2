# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLS: chain, name, age and protocol, against real handshakes."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.tls import Shown
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Status, Unreachable

# What offers old protocols is deprecated, and meant so: it is how one finds out who still takes them.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
DAY = 86400.0


@pytest.fixture
def tls_port(serve: Callable[..., int], authority: Any) -> Callable[[float], int]:
    def start(days: float) -> int:
        wrap = authority.server("127.0.0.1", days)
        return serve(lambda connection: wrap(connection).recv(1))

    return start


@pytest.mark.parametrize(("days", "status"), [(90, Status.OK), (29, Status.WARNING), (6, Status.CRITICAL)])
def test_age(
    make_check: Callable[..., Any],
    look: Callable[..., Any],
    tls_port: Callable[[float], int],
    authority: Any,
    days: float,
    status: Status,
) -> None:
    check = make_check(type="tls", host="127.0.0.1", port=tls_port(days), ca_file=authority.ca_file)
    outcome = look(check)
    assert outcome.status is status
    assert outcome.measures["days_left"] == pytest.approx(days, abs=0.1)


def test_expired(
    make_check: Callable[..., Any], look: Callable[..., Any], tls_port: Callable[[float], int], authority: Any
) -> None:
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="tls", host="127.0.0.1", port=tls_port(-2), ca_file=authority.ca_file))
    assert "expired" in caught.value.message
    assert "renew" in caught.value.next_step


def test_wrong_name(
    make_check: Callable[..., Any], look: Callable[..., Any], tls_port: Callable[[float], int], authority: Any
) -> None:
    check = make_check(
        type="tls", host="127.0.0.1", port=tls_port(90), server_name="shop.example", ca_file=authority.ca_file
    )
    with pytest.raises(Unreachable) as caught:
        look(check)
    assert "shop.example" in caught.value.message
    assert "server_name" in caught.value.next_step


def test_unknown_authority(
    make_check: Callable[..., Any], look: Callable[..., Any], tls_port: Callable[[float], int]
) -> None:
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="tls", host="127.0.0.1", port=tls_port(90)))
    assert "ca_file" in caught.value.next_step


def test_a_port_without_tls(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int], authority: Any
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(Unreachable, match="does not finish a TLS handshake"):
        look(make_check(type="tls", host="127.0.0.1", port=serve(talk), ca_file=authority.ca_file))


def test_an_old_protocol_that_is_accepted(
    make_check: Callable[..., Any], look: Callable[..., Any], tls_port: Callable[[float], int], authority: Any
) -> None:
    port = tls_port(90)
    strict = look(
        make_check(type="tls", host="127.0.0.1", port=port, min_protocol="TLSv1.3", ca_file=authority.ca_file)
    )
    if ssl.HAS_TLSv1_2:
        assert strict.status is Status.WARNING
        assert "still accepts TLSv1.2" in strict.message
    assert look(make_check(type="tls", host="127.0.0.1", port=port, ca_file=authority.ca_file)).status is Status.OK


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (Shown(time.time() + 31 * DAY, "TLSv1.3"), Status.OK),
        (Shown(time.time() + 30 * DAY, "TLSv1.3"), Status.WARNING),
        (Shown(time.time() + 7 * DAY, "TLSv1.3"), Status.CRITICAL),
        (Shown(time.time() - 1 * DAY, "TLSv1.3"), Status.CRITICAL),
        (Shown(time.time() + 90 * DAY, "TLSv1.1"), Status.WARNING),
        (Shown(time.time() + 90 * DAY, "TLSv1.2", "TLSv1"), Status.WARNING),
    ],
)
def test_judges(make_check: Callable[..., Any], shown: Shown, status: Status) -> None:
    assert make_check(type="tls", host="h").judge(shown, time.time()).status is status


def test_starttls(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Callable[..., int], authority: Any
) -> None:
    wrap = authority.server("127.0.0.1", 90)

    def postgresql(connection: socket.socket) -> None:
        assert connection.recv(8)[4:] == b"\x04\xd2\x16\x2f"
        connection.sendall(b"S")
        wrap(connection).recv(1)

    options = {"type": "tls", "host": "127.0.0.1", "starttls": "postgresql", "ca_file": authority.ca_file}
    assert look(make_check(port=serve(postgresql), **options)).status is Status.OK
    with pytest.raises(Unreachable, match="does not offer TLS"):
        look(make_check(port=serve(lambda connection: connection.sendall(b"N")), **options))
