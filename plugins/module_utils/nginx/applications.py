# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applications as the edge serves them: judged first, then completed for the templates.

Every value that reaches nginx's configuration is held to a form that cannot end a directive.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

DEFAULTS: Mapping[str, Any] = {
    "kind": "http",
    "server_names": [],
    "members": [],
    "balance": "least",
    "single_instance": False,
    "websocket_paths": [],
    "static": [],
    "health_paths": ["/livez", "/readyz", "/api/health"],
    "connect_timeout_seconds": 2,
    "read_timeout_seconds": 60,
    "websocket_timeout_seconds": 604800,
    "body_max_mb": 10,
}
"""What an application is unless it says otherwise."""

MINIMA = {"connect_timeout_seconds": 1, "read_timeout_seconds": 1, "websocket_timeout_seconds": 1, "body_max_mb": 0}

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
MEMBER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\[\]-]{0,127}\Z")
HOST_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\Z")
PATH = re.compile(r"/[A-Za-z0-9._~%+@:/-]*\Z")


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


def complete(applications: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the applications with every default filled in, host names in ASCII, addresses in their usual form.

    Raises:
        ValueError: when a host name or address is none; ``findings`` says so in full first.
    """
    return [_completed(application) for application in applications]


def _completed(application: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**DEFAULTS, **application}
    whole["server_names"] = [ascii_name(name) for name in whole["server_names"]]
    whole["members"] = [{**member, "address": str(ip_address(member["address"]))} for member in whole["members"]]
    if whole["kind"] == "websocket" and not whole["websocket_paths"]:
        whole["websocket_paths"] = ["/"]
    whole["websocket_paths"] = [path.rstrip("/") or "/" for path in whole["websocket_paths"]]
    return whole


def findings(applications: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what keeps these applications from being served, one text for each finding.

    A text names the option, the value received, the form expected and the way to fix it.
    """
    found: list[str] = []
    for index, application in enumerate(applications):
        name = str(application.get("name", ""))
        where = f"nginx_applications[{index}]"
        if not NAME.match(name):
            found.append(f"{where}.name: {name!r}; expected a lower-case letter and up to 31 letters, digits, _ and -")
        found += _of_one(f"{where} ({name})", {**DEFAULTS, **application})
    found += _of_all(applications)
    return tuple(found)


def _of_one(where: str, application: Mapping[str, Any]) -> Iterator[str]:
    yield from _members(where, application)
    for name in application["server_names"]:
        try:
            ascii_name(str(name))
        except ValueError:
            yield f"{where}.server_names: {name!r}; expected a host name, *.domain or an IP address"
    paths = [(option, path) for option in ("websocket_paths", "health_paths") for path in application[option]]
    paths += [("static.path", item.get("path", "")) for item in application["static"]]
    paths += [("static.directory", item.get("directory", "")) for item in application["static"]]
    for option, path in paths:
        if not PATH.match(str(path)) or "/../" in f"{path}/":
            yield f"{where}.{option}: {path!r}; expected a path that begins with / and has no spaces, quotes or '..'"
    given = Counter((option, str(path).rstrip("/")) for option, path in paths if option != "static.directory")
    for (option, path), count in given.items():
        if count > 1:
            yield f"{where}.{option}: {path or '/'!r} is given {count} times; give it once"
    for option, minimum in MINIMA.items():
        value = application[option]
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            yield f"{where}.{option}: {value!r}; expected a whole number from {minimum} up"


def _members(where: str, application: Mapping[str, Any]) -> Iterator[str]:
    members = application["members"]
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


def _of_all(applications: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name, count in Counter(str(application.get("name")) for application in applications).items():
        if count > 1:
            yield f"nginx_applications: {count} applications are named {name!r}; give each its own name"
    nameless = [str(application.get("name")) for application in applications if not application.get("server_names")]
    if len(nameless) > 1:
        yield (
            f"nginx_applications: {', '.join(nameless)} have no server_names; at most one application can answer to"
            " every name: give the others server_names"
        )
    owners: dict[str, list[str]] = {}
    for application in applications:
        for name in application.get("server_names") or []:
            try:
                owners.setdefault(ascii_name(str(name)), []).append(str(application.get("name")))
            except ValueError:
                continue
    for name, users in owners.items():
        if len(users) > 1:
            yield f"nginx_applications: the server name {name} is used by {', '.join(users)}; expected one application"
