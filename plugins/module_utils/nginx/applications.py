# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applications as the edge serves them: judged first, then completed for the templates.

Every value that reaches nginx's configuration is held to a form that cannot end a directive.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Callable

from . import limits, locations, origins, security_headers
from .edge import FILE
from .fields import Field, Fields, choice, each, fill, flag, judge, text, whole
from .quoting import snippet

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
MEMBER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\[\]-]{0,127}\Z")
HOST_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\Z")


def ascii_name(name: str) -> str:
    """Return a host name as browsers send it: in ASCII, lower case, an IPv6 address in brackets.

    Raises:
        ValueError: when ``name`` is neither a host name nor an IP address; one leading ``*.`` is allowed.
    """
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    wildcard, host = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    try:
        if ":" in bare:
            return f"[{ip_address(bare).compressed}]"
        found = wildcard + host.encode("idna").decode("ascii").lower()
    except ValueError as error:
        raise ValueError(f"{name!r} is not a host name") from error
    if not HOST_NAME.match(found):
        raise ValueError(f"{name!r} is not a host name")
    return found


def _is_server_name(value: Any) -> bool:
    try:
        ascii_name(str(value))
    except ValueError:
        return False
    return True


FIELDS: Fields = {
    "name": text(NAME.pattern, "a lower-case letter and up to 31 letters, digits, _ and -", required=True),
    "kind": choice("http", "websocket", default="http"),
    "server_names": each(Field("a host name, *.domain or an IP address", _is_server_name)),
    "members": Field("a list", lambda value: isinstance(value, Sequence) and not isinstance(value, str), []),
    "balance": choice("least", "hash", default="least"),
    "sticky_cookie": text(r"[A-Za-z0-9_.-]{1,64}", "the name of a cookie: letters, digits, dots, _ and -", ""),
    "single_instance": flag(),
    "locations": Field(
        "a list of locations",
        lambda value: isinstance(value, Sequence) and not isinstance(value, str),
        [],
        inside=locations.findings,
    ),
    "limits": Field("a mapping", lambda value: isinstance(value, Mapping)),
    "connections_max": whole(0, limits.LARGEST, 50, unit=" of connections"),
    "users": Field("a mapping", lambda value: isinstance(value, Mapping)),
    "headers": Field("a mapping", lambda value: isinstance(value, Mapping), {}, inside=security_headers.findings),
    "cors": Field("a mapping", lambda value: isinstance(value, Mapping), {}, inside=origins.cors_findings),
    "websocket_origins": each(origins.ORIGIN),
    "websocket_origin_required": flag(),
    "certificate": text(FILE, "an absolute path without spaces and quotes", ""),
    "certificate_key": text(FILE, "an absolute path without spaces and quotes", ""),
    "maintenance_path": text(
        rf"(?:{locations.PATH}[A-Za-z0-9_~+@-])?",
        "a path such as /status/maintenance, without spaces, quotes, % or '..', or nothing",
        "/.well-known/slipway/maintenance",
    ),
    "release_header": text(r"[A-Za-z][A-Za-z0-9-]{0,63}", "the name of a response header", "X-Release"),
    "snippet": Field("directives of nginx whose braces and quotes are closed", snippet, ""),
    "connect_timeout_seconds": whole(1, 3600, 2, unit=" of seconds"),
    "read_timeout_seconds": whole(1, 86400, 60, unit=" of seconds"),
    "websocket_timeout_seconds": whole(1, 31536000, 604800, unit=" of seconds"),
    "body_max_mb": whole(0, 102400, 10, unit=" of MiB"),
}
"""What an application of the edge can say, and what it is unless it does."""

Where = Callable[[int, str], str]
"""How to call an application, by its index in the list and its name."""


def complete(applications: Sequence[Mapping[str, Any]], edge: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the applications as the templates take them: with every default, names in ASCII, locations as blocks.

    ``edge`` has what applications share unless they say otherwise: ``certificate``, ``certificate_key``,
    ``hsts_seconds``, ``https_port``, ``limits`` (as ``nginx_limits``) and ``token_keys`` (text by application).

    Raises:
        ValueError: when a host name or address is none; ``findings`` says so in full first.
    """
    return [_completed(application, edge) for application in applications]


def _completed(application: Mapping[str, Any], edge: Mapping[str, Any]) -> dict[str, Any]:
    whole_one = fill(application, FIELDS)
    whole_one["identifier"] = identifier(whole_one["name"])
    whole_one["server_names"] = [ascii_name(name) for name in whole_one["server_names"]]
    whole_one["members"] = [
        {**member, "address": str(ip_address(member["address"]))} for member in whole_one["members"]
    ]
    blocks = locations.complete(whole_one)
    key = str(edge["token_keys"].get(whole_one["name"], ""))
    whole_one.update(limits.complete(whole_one, blocks, edge["limits"], key))
    whole_one["headers"] = security_headers.complete(whole_one["headers"], edge["hsts_seconds"])
    whole_one["cors"] = origins.complete_cors(whole_one["cors"])
    whole_one["websocket_origins"] = origins.websocket_origins(whole_one, edge["https_port"])
    for option in ("certificate", "certificate_key"):
        whole_one[option] = whole_one[option] or edge[option]
    return whole_one


def identifier(name: str) -> str:
    """Return the name as it stands in names of nginx's variables."""
    return name.replace("-", "_")


def _usual(index: int, name: str) -> str:
    return f"nginx_applications[{index}] ({name})"


def findings(
    applications: Sequence[Mapping[str, Any]],
    where: Where = _usual,
    common_limits: Mapping[str, Any] | None = None,
    regions: bool = False,
) -> tuple[str, ...]:
    """Return what keeps these applications from being served, one text for each finding.

    A text begins with the option as ``where`` names it, and tells the value received and the form expected.
    ``common_limits`` are those of all applications, and ``regions`` tells whether addresses are known by country.
    """
    found: list[str] = []
    for index, application in enumerate(applications):
        place = where(index, str(application.get("name", "")))
        found += judge(place, application, FIELDS)
        found += _members(place, fill(application, FIELDS))
        found += _pair(place, application)
        found += limits.application_findings(place, application, common_limits, regions)
    found += _of_all(applications, where)
    return tuple(found)


def _pair(where: str, application: Mapping[str, Any]) -> Iterator[str]:
    certificate, key = application.get("certificate"), application.get("certificate_key")
    if bool(certificate) != bool(key):
        missing, other = ("certificate", "certificate_key") if key else ("certificate_key", "certificate")
        yield f"{where}.{missing}: it is empty, but {other} is {certificate or key!r}; expected both or neither"


def _members(where: str, application: Mapping[str, Any]) -> Iterator[str]:
    members = application["members"]
    if not all(isinstance(member, Mapping) for member in members):
        yield f"{where}.members: {members!r}; expected a list of mappings with name, address and port"
        return
    if application["single_instance"] and len(members) > 1:
        names = ", ".join(str(member.get("name")) for member in members)
        yield (
            f"{where}.members: {names} for a single_instance program, whose state is in one process's memory;"
            " expected one member: run one instance, or let the program share its state (Redis)"
        )
    endpoints: list[str] = []
    for member in members:
        name, address, port = (member.get(key) for key in ("name", "address", "port"))
        if not MEMBER_NAME.match(str(name)):
            yield f"{where}.members: name {name!r}; expected letters, digits, dots, colons and hyphens"
        try:
            address = ip_address(str(address)).compressed
        except ValueError:
            yield f"{where}.members: address {address!r} of {name}; expected an IP address (names are not looked up)"
        if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
            yield f"{where}.members: port {port!r} of {name}; expected a number from 1 to 65535"
        endpoints.append(f"{address} port {port}")
    for what, values in (("name", [str(member.get("name")) for member in members]), ("address and port", endpoints)):
        for value, count in Counter(values).items():
            if count > 1:
                yield f"{where}.members: {count} members have the {what} {value}; expected one of each"


def _of_all(applications: Sequence[Mapping[str, Any]], where: Where) -> Iterator[str]:
    """What applications must not have in common. A finding is about the later of two."""
    taken: dict[tuple[str, str], str] = {}

    def is_taken(kind: str, value: str, name: str) -> str | None:
        """The application that had the value first, unless it is this one."""
        return None if (owner := taken.setdefault((kind, value), name)) == name else owner

    names: set[str] = set()
    for index, application in enumerate(applications):
        name = str(application.get("name", ""))
        place = where(index, name)
        if name in names:
            yield f"{place}.name: {name!r} is another application's, too; give each its own name"
            continue
        names.add(name)
        if owner := is_taken("identifier", identifier(name), name):
            yield f"{place}.name: {name!r} and {owner!r} differ only in - and _; rename one"
        if not application.get("server_names") and (owner := is_taken("all names", "", name)):
            yield (
                f"{place}.server_names: {owner}, {name} have no server_names; only one application can answer to every"
                " name: give the other server_names"
            )
        for host_name in application.get("server_names") or []:
            try:
                owner = is_taken("server name", ascii_name(str(host_name)), name)
            except ValueError:
                continue
            if owner:
                yield f"{place}.server_names: {host_name!r} is used by {owner}, too; expected one application"
