# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections that keep to a deadline, and plain words for the ways in which they fail."""

from __future__ import annotations

import errno
import io
import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from .model import CouldNotRun, Unreachable
from .steps import RENEW, log_of, site
from .tools import Deadline

_CERTIFICATE_STEPS = {
    10: RENEW,
    18: "give the check the ca_file that signed the certificate, or serve one from a known authority",
    19: "give the check the ca_file that signed the certificate",
    20: "give the check the ca_file that signed the certificate, and let the server send its whole chain",
    21: "let the server send its whole chain",
    62: f"let the certificate carry this name (`server_names` in `slipway_apps`, {site()}), or correct server_name",
    64: f"{site()} issues certificates for the addresses of hosts; or give the check a server_name",
}


def where(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(text: str) -> tuple[str, int]:
    """Read ``host:port`` or ``[address]:port``. Raises ValueError."""
    match = re.match(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:/@\s]+)):(\d{1,5})\Z", text)
    if not match or not 1 <= int(match.group(3)) <= 65535:
        raise ValueError(f"expected host:port or [address]:port, got {text!r}")
    return match.group(1) or match.group(2), int(match.group(3))


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection. Raises Unreachable, saying why there is none."""
    target = where(host, port)
    try:
        connection = _connect_to_any(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), deadline)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(
            f"the name {host} does not resolve ({getattr(error, 'strerror', None) or error})",
            f"correct the name, or the name service on this host: `getent hosts {host}`",
        ) from None
    except ConnectionRefusedError:
        raise Unreachable(
            f"connection to {target} refused: nothing listens there",
            f"start the service, or correct the port: `ss -ltnp 'sport = :{port}'` on {host} tells who listens",
        ) from None
    except (TimeoutError, socket.timeout):
        raise Unreachable(
            f"no connection to {target} within {deadline.seconds:g} s",
            f"look whether the host is up (`ping -c 3 {host}`), and a firewall drops port {port} (`nft list ruleset`)",
        ) from None
    except OSError as error:
        raise Unreachable(
            f"no connection to {target}: {error.strerror or error}",
            "look at the route (`ip route`) and the firewall (`nft list ruleset`)"
            if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)
            else "correct the address",
        ) from None
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _connect_to_any(candidates: Sequence[Any], deadline: Deadline) -> socket.socket:
    """Try one address after another; one that never answers leaves the others their share of the time."""
    problem: OSError | None = None
    for number, (family, kind, protocol, _dummy, address) in enumerate(candidates):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left() / (len(candidates) - number))
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            problem = error
        except BaseException:
            connection.close()
            raise
    raise problem or OSError("the name has no address")


class TimedSocket:
    """A connection as http.client uses one, only that no read waits beyond the deadline.

    The time limit of a plain socket begins anew with every byte, which a server that drips makes endless.
    """

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._deadline.left())
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._connection, self._deadline))

    def close(self) -> None:
        """http.client hangs up before the body is read; whoever opened the connection closes it."""


class _TimedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv_into(buffer)


def tls_context(ca_file: str, verify: bool = True, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    """Client settings that trust ``ca_file``, or the system's authorities. Raises CouldNotRun.

    Reading the system's authorities takes tens of milliseconds, so all checks with the same settings
    share one context, as long as its file stays the same.
    """
    try:
        stamp = Path(ca_file).stat().st_mtime_ns if ca_file else 0
        return _context(ca_file, stamp, verify, minimum)
    except FileNotFoundError:
        raise CouldNotRun(
            f"ca_file {ca_file} does not exist", f"{site('tls')} puts the own authority's there; or correct ca_file"
        ) from None
    except (ssl.SSLError, OSError) as error:
        raise CouldNotRun(
            f"ca_file {ca_file} cannot be used: {getattr(error, 'strerror', '') or error}",
            f"put the authority's certificate there in PEM form (`openssl x509 -noout -in {ca_file}`),"
            " readable for the user that runs the check",
        ) from None


@lru_cache(maxsize=64)
def _context(ca_file: str, stamp: int, verify: bool, minimum: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = minimum
    # Python 3.13 asks more of authorities than browsers, Node.js and libpq do; what works for them is healthy.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def secure(
    connection: socket.socket, context: ssl.SSLContext, server_name: str, target: str, deadline: Deadline
) -> ssl.SSLSocket:
    """A TLS handshake over a connection. Raises Unreachable, saying why there was none."""
    handshake = f"`openssl s_client -connect {target} -servername {server_name} -showcerts </dev/null`"
    connection.settimeout(deadline.left())
    try:
        return context.wrap_socket(connection, server_hostname=server_name)
    except ssl.SSLCertVerificationError as error:
        reason = (error.verify_message or str(error)).rstrip(".")
        raise Unreachable(
            f"{target} shows a certificate that is refused for {server_name}: {reason}",
            _CERTIFICATE_STEPS.get(error.verify_code, f"look at the certificate and its chain: {handshake}"),
        ) from None
    except (TimeoutError, socket.timeout):
        raise Unreachable(
            f"{target} accepts connections but does not finish a TLS handshake within {deadline.seconds:g} s",
            f"look whether the program behind the port hangs, and whether it speaks TLS: {handshake}",
        ) from None
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise Unreachable(
            f"{target} does not finish a TLS handshake: {reason}",
            f"look whether the port speaks TLS, and in a version that is allowed: {handshake}",
        ) from None
    except OSError as error:
        raise Unreachable(
            f"{target} ends the connection during the TLS handshake ({error.strerror or error})",
            f"look into the log of the server; {handshake} shows how far it comes",
        ) from None


def broken_off(target: str, error: OSError, application: str) -> Unreachable:
    """For a connection to an application, or to a program that nobody named, that ends in the middle of an answer."""
    return Unreachable(f"{target} ended the connection: {error.strerror or error}", f"look into {log_of(application)}")
