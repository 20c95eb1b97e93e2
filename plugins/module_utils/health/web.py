# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What HTTP and websocket checks share: reading their URL, and opening a connection for it."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from .net import connect, secure, split_address, tls_context, where
from .steps import journal, log_of
from .tools import Deadline

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


@dataclass(frozen=True)
class Address:
    """A URL taken apart; ``authority`` is what the Host header says."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str
    authorization: str

    @property
    def is_secure(self) -> bool:
        return self.scheme in ("https", "wss")


def parse_url(url: str, schemes: tuple[str, ...]) -> Address:
    """Take a URL apart. Raises ValueError, saying what is wrong without repeating the URL."""
    form = f"expected {schemes[0]}://host[:port]/path"
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError(f"holds white space; {form}, with %20 for a blank")
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        raise ValueError(f"has no scheme of {' or '.join(schemes)}; {form}")
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"has a port out of 1 to 65535; {form}") from None
    if not parts.hostname or port == 0:
        raise ValueError(f"has no host; {form}" if not parts.hostname else f"has port 0; {form}")
    try:
        host = parts.hostname.encode("ascii").decode()
    except UnicodeEncodeError:
        try:
            host = parts.hostname.encode("idna").decode()
        except UnicodeError:
            raise ValueError(f"has a host that is no name; {form}") from None
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[parts.scheme]:
        authority += f":{port}"
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    # Characters that a request line cannot hold are sent as browsers do; what is quoted already stays.
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_PRINTABLE)
    return Address(parts.scheme, host, port or _PORTS[parts.scheme], authority, path, authorization)


def header_problems(headers: Mapping[str, object]) -> list[str]:
    """Headers that cannot be sent; their values are not repeated, they may be secret."""
    problems = []
    for name, value in headers.items():
        if not _TOKEN.match(name):
            problems.append(f"headers: {name!r} is no header name")
        elif isinstance(value, (Mapping, list)) or value is None:
            problems.append(f"headers: {name} has to be a text")
        elif re.search(r"[\r\n\x00]", str(value)):
            problems.append(f"headers: {name} holds a line break")
    return problems


def host_header(headers: Mapping[str, object]) -> str:
    """The Host that the headers ask for, or nothing."""
    return next((str(value) for name, value in headers.items() if name.lower() == "host"), "")


def name_of(authority: str) -> str:
    """The name or address in a Host header, without its port."""
    match = re.match(r"\[([^\]]+)\]|([^:]+)", authority)
    return (match.group(1) or match.group(2)) if match else authority


def address_problems(url: str, schemes: tuple[str, ...], connect_to: str) -> list[str]:
    """What is wrong with a URL and a ``connect_to``."""
    problems = []
    try:
        parse_url(url, schemes)
    except ValueError as error:
        problems.append(f"url {error}")
    if connect_to:
        try:
            split_address(connect_to)
        except ValueError as error:
            problems.append(f"connect_to: {error}")
    return problems


def open_address(
    address: Address, connect_to: str, server_name: str, ca_file: str, verify: bool, deadline: Deadline
) -> socket.socket:
    """A connection for a URL, secured where its scheme says so. Raises Unreachable and CouldNotRun."""
    host, port = split_address(connect_to) if connect_to else (address.host, address.port)
    context = tls_context(ca_file, verify) if address.is_secure else None
    connection = connect(host, port, deadline)
    if context is None:
        return connection
    try:
        return secure(connection, context, server_name or address.host, where(host, port), deadline)
    except BaseException:
        connection.close()
        raise


def request_headers(address: Address, headers: Mapping[str, object]) -> dict[str, str]:
    """The headers to send: those given, and those that a request cannot do without."""
    given = {name: str(value) for name, value in headers.items()}
    present = {name.lower() for name in given}
    wanted = {"Host": address.authority, "User-Agent": "slipway-health", "Accept": "*/*"}
    if address.authorization:
        wanted["Authorization"] = address.authorization
    return {**{name: value for name, value in wanted.items() if name.lower() not in present}, **given}


def status_step(status: int, application: str) -> str:
    """What to do about an answer with a status that was not wanted, from an application or an unnamed program."""
    units = f"slipway-{application}@*" if application else "slipway-*"
    steps = {
        401: "give the check the credentials it needs, or let this path do without",
        403: "look which rule refuses the request: on the edge `tail /var/log/nginx/error.log`, or the program's own",
        404: "correct the path, or look whether the right program and release answer",
        429: "the request limit refuses the check: exempt the health path, or check less often",
        502: f"no program answers behind the proxy: `systemctl list-units --all '{units}'` on its hosts, and"
        f" {journal(units)}",
        503: "the program says that it is not ready, or every member is out of the pool: look at what it depends on,"
        f" and into {log_of(application)}",
        504: "the program behind the proxy does not answer in time: look at what it waits for, such as its database,"
        f" and into {log_of(application)}",
    }
    if status in steps:
        return steps[status]
    if 300 <= status < 400:
        return "check the address that it redirects to, or list this status as wanted"
    return f"look into {log_of(application)}" if status >= 500 else "correct the request, or the status wanted"
