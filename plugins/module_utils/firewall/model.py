# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may reach which port: rules as people write them, judged and made into typed ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, Union

Address = Union[IPv4Address, IPv6Address]
Network = Union[IPv4Network, IPv6Network]

ANY = "any"
"""A source that stands for every address."""

WITH_PORTS = {"tcp": 6, "udp": 17, "sctp": 132}
WITHOUT_PORTS = {"icmp": 1, "igmp": 2, "gre": 47, "esp": 50, "ah": 51, "vrrp": 112}
"""Protocols by IANA's numbers, since a small host has no /etc/protocols. ``icmp`` is that of IPv4 and IPv6."""

PORT_MAX = 65535
SSH_RULE = "ssh"
CONFIRM_SECONDS = range(10, 3601)
"""Shorter leaves no time for a new connection; longer leaves the operator locked out for too long."""
LOG_PER_MINUTE = range(1, 10001)

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_KEYS = ("name", "sources", "protocol", "ports")


class FirewallError(ValueError):
    """Rules that can't be had; the message has one line for each finding."""


@dataclass(frozen=True)
class Rule:
    """Lets ``protocol`` in from ``sources`` (empty: from everywhere) to ``ports``, each a first and a last one."""

    name: str
    protocol: str
    sources: tuple[Network, ...] = ()
    ports: tuple[tuple[int, int], ...] = ()

    def accepts(self, protocol: str, source: Address, port: int | None = None) -> bool:
        """Whether this rule lets it in."""
        return (
            protocol == self.protocol
            and (not self.sources or any(source in network for network in self.sources))
            and (not self.ports or any(port is not None and first <= port <= last for first, last in self.ports))
        )


@dataclass(frozen=True)
class Settings:
    """What there is besides rules, not yet judged."""

    ssh_port: Any = 22
    ssh_sources: Any = (ANY,)
    confirm_seconds: Any = 30
    log_per_minute: Any = 10


@dataclass(frozen=True)
class Policy:
    """All that a host lets in besides answers, its own loopback, and what IP itself needs."""

    rules: tuple[Rule, ...]
    log_per_minute: int = 0

    def accepts(self, protocol: str, source: Address, port: int | None = None) -> bool:
        """Whether one of the rules lets it in."""
        return any(rule.accepts(protocol, source, port) for rule in self.rules)


def ssh_rule(port: int, sources: Sequence[str]) -> dict[str, Any]:
    """The rule that lets operators in, in the form of all others."""
    return {"name": SSH_RULE, "sources": list(sources), "protocol": "tcp", "ports": [port]}


def findings(lists: Mapping[str, Any], settings: Settings, prefix: str = "") -> tuple[str, ...]:
    """Return what is wrong with rules and settings, one text for each finding: where, what was given, what is expected.

    ``lists`` holds the lists of rules by the name of the variable that has them; ``prefix`` precedes the names of
    the settings.
    """
    found = [text for where, rules in lists.items() for text in _judge_list(where, rules)]
    found += _judge_ports(f"{prefix}ssh_port", [settings.ssh_port], single=True)
    found += _judge_sources(f"{prefix}ssh_sources", settings.ssh_sources)
    found += _judge_number(f"{prefix}confirm_seconds", settings.confirm_seconds, CONFIRM_SECONDS)
    found += _judge_number(f"{prefix}log_per_minute", settings.log_per_minute, LOG_PER_MINUTE)
    names = Counter(name for rules in lists.values() if _is_list(rules) for name in _names(rules))
    found += [
        f"{' and '.join(lists)}: the name {name!r} is used {count} times; expected a name of its own for each rule"
        for name, count in names.items()
        if count > 1
    ]
    return tuple(found)


def policy(rules: Iterable[Mapping[str, Any]], log_per_minute: int = 0) -> Policy:
    """The typed form of rules that :func:`findings` has nothing against."""
    return Policy(tuple(_rule(rule) for rule in rules), log_per_minute)


def networks(sources: Iterable[str]) -> tuple[Network, ...]:
    """Sources as networks, none of them within another, IPv4 first. ``any`` gives none."""
    found = [ip_network(source) for source in sources if source != ANY]
    return (
        *collapse_addresses(network for network in found if isinstance(network, IPv4Network)),
        *collapse_addresses(network for network in found if isinstance(network, IPv6Network)),
    )


def address_of(text: str) -> Address:
    """An address as SSH tells it: without its interface, and IPv4 as IPv4. Raises ValueError where it is none."""
    address = ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _rule(raw: Mapping[str, Any]) -> Rule:
    ports = sorted(span for span in map(_span, raw.get("ports") or ()) if span)
    return Rule(raw["name"], raw.get("protocol", "tcp"), networks(raw["sources"]), tuple(_joined(ports)))


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch or overlap made one."""
    found: list[tuple[int, int]] = []
    for first, last in spans:
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _names(rules: Sequence[Any]) -> Iterator[str]:
    return (str(rule["name"]) for rule in rules if isinstance(rule, Mapping) and "name" in rule)


def _judge_list(where: str, rules: Any) -> Iterator[str]:
    if not _is_list(rules):
        yield f"{where} is {rules!r}; expected a list of rules"
        return
    for index, rule in enumerate(rules):
        yield from _judge_rule(f"{where}[{index}]", rule)


def _judge_number(where: str, value: Any, allowed: range) -> Iterator[str]:
    if isinstance(value, bool) or not str(value).isdecimal() or int(str(value)) not in allowed:
        yield f"{where} is {value!r}; expected a number from {allowed[0]} to {allowed[-1]}"


def _judge_rule(where: str, rule: Any) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        yield f"{where} is {rule!r}; expected a mapping with {', '.join(_KEYS)}"
        return
    name = rule.get("name")
    if isinstance(name, str) and NAME.match(name):
        where = f"{where} ({name})"
        if name == SSH_RULE:
            yield f"{where}.name: {SSH_RULE!r} is the rule of ssh_port and ssh_sources; give this one another name"
    else:
        yield (
            f"{where}.name is {name!r}; expected 1 to 63 lower-case letters, digits, hyphens and underscores, "
            "the first a letter"
        )
    for key in rule:
        if key not in _KEYS:
            yield f"{where}.{key}: there is no such key; expected {', '.join(_KEYS)}"
    yield from _judge_sources(f"{where}.sources", rule.get("sources"))
    protocol = rule.get("protocol", "tcp")
    if protocol in WITH_PORTS:
        yield from _judge_ports(f"{where}.ports", rule.get("ports"))
    elif protocol not in WITHOUT_PORTS:
        known = ", ".join((*WITH_PORTS, *WITHOUT_PORTS))
        yield f"{where}.protocol is {protocol!r}; expected one of {known}"
    elif rule.get("ports"):
        yield f"{where}.ports is {rule['ports']!r}, but {protocol} has no ports; leave them out"


def _judge_sources(where: str, sources: Any) -> Iterator[str]:
    if not _is_list(sources) or not sources:
        yield f"{where} is {sources!r}; expected a list of addresses and networks, or [{ANY}]"
        return
    if ANY in sources and len(sources) > 1:
        yield f"{where} has {ANY!r} beside others; expected either [{ANY}] alone or addresses and networks"
    for source in sources:
        if source != ANY:
            yield from _judge_source(where, source)


def _judge_source(where: str, source: Any) -> Iterator[str]:
    expected = "expected an address or a network such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
    if not isinstance(source, str):
        yield f"{where} has {source!r}; {expected}"
        return
    try:
        ip_network(source)
    except ValueError:
        try:
            meant = ip_interface(source)
        except ValueError:
            yield f"{where} has {source!r}; {expected} (names are not looked up)"
            return
        yield f"{where} has {source!r}, an address within a network; write {meant.network} or {meant.ip}"


def _judge_ports(where: str, ports: Any, single: bool = False) -> Iterator[str]:
    expected = f"a port from 1 to {PORT_MAX}" + ("" if single else ", or a range of them such as 8000-8010")
    if not _is_list(ports) or not ports:
        yield f"{where} is {ports!r}; expected a list, each {expected}"
        return
    for port in ports:
        span = _span(port)
        if span is None or (single and span[0] != span[1]):
            yield f"{where} {'is' if single else 'has'} {port!r}; expected {expected}"


def _span(port: Any) -> tuple[int, int] | None:
    """The first and the last port of ``8000`` or ``8000-8010``; None where it is neither."""
    found = None if isinstance(port, bool) else _PORT.match(str(port))
    if not found:
        return None
    first = int(found.group(1))
    last = int(found.group(2) or first)
    return (first, last) if 1 <= first <= last <= PORT_MAX else None
