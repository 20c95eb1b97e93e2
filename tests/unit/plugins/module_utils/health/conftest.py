# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of health checks share: a clock that stands still, and local servers of every temper."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.specification import parse_checks
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Deadline, Tools
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_check() -> Callable[..., Any]:
    """One valid check from its options."""

    def make(**options: Any) -> Any:
        return parse_checks([options])[0]

    return make


@pytest.fixture
def look() -> Callable[..., Any]:
    """Run one attempt of a check for real."""

    def run(check: Any, tools: Tools | None = None) -> Any:
        tools = tools or Tools()
        return check.run(tools, Deadline.after(tools.clock, check.timeout_seconds))

    return run


Serve = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that hands every connection to a function; returns its port."""
    listeners: list[socket.socket] = []

    def start(talk: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        listeners.append(listener)

        def one(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                talk(connection)

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=loop, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def read_head(connection: socket.socket) -> str:
    """A request up to its empty line."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            break
        data += chunk
    return data.decode()


@pytest.fixture
def answer_http(serve: Serve) -> Callable[..., int]:
    """A server that gives one answer to every request, and notes the requests."""

    def start(
        body: str = "",
        status: str = "200 OK",
        headers: str = "",
        delay: float = 0,
        requests: list[str] | None = None,
        wrap: Callable[[socket.socket], socket.socket] | None = None,
    ) -> int:
        def talk(connection: socket.socket) -> None:
            connection = wrap(connection) if wrap else connection
            request = read_head(connection)
            if requests is not None:
                requests.append(request)
            time.sleep(delay)
            text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\n{headers}\r\n{body}"
            connection.sendall(text.encode())
            connection.close()

        return serve(talk)

    return start


class Authority(NamedTuple):
    """A small authority and what it signed, as files."""

    ca_file: str
    server: Callable[[str, float], Callable[[socket.socket], socket.socket]]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority whose ``server(name, days)`` wraps connections with a certificate of that name and age."""
    folder = tmp_path_factory.mktemp("authority")
    now = datetime.datetime.now(datetime.timezone.utc)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_file = folder / "ca.crt"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))

    def server(name: str, days: float) -> Callable[[socket.socket], socket.socket]:
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")]))
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=300))
            .not_valid_after(now + datetime.timedelta(days=days, minutes=1))
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        path = Path(folder / f"{name}-{days}.pem")
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return lambda connection: context.wrap_socket(connection, server_side=True)

    return Authority(str(ca_file), server)
