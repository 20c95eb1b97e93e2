# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges how edges are to share an address, and finds the interface that is to carry it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from typing import Any, Union

Address = Union[IPv4Address, IPv6Address]
Shared = Union[IPv4Interface, IPv6Interface]

ROUTER_IDS = (1, 255)
"""Virtual router identifiers of VRRP (RFC 5798, 5.2.3)."""
ADVERT_SECONDS = (0.1, 40.0)
"""VRRP sends the interval as 12 bits of 0.01 s (RFC 5798, 5.2.7); more than ten a second only makes false alarms."""


@dataclass(frozen=True)
class Sharing:
    """What an edge is told, as the variables ``keepalived_*`` of the role have it."""

    address: str
    """With its prefix length, such as 192.0.2.10/24."""
    interface: str
    """Empty: the one that carries ``own_address``."""
    own_address: str
    peers: tuple[str, ...]
    router_id: int
    advert_interval_seconds: float
    port: int


@dataclass(frozen=True)
class Interface:
    """A network interface of a host and the addresses that it carries."""

    name: str
    addresses: tuple[Address, ...]


def interfaces(raw: Sequence[Mapping[str, Any]]) -> tuple[Interface, ...]:
    """Take what ``ip -json address`` prints, parsed."""
    return tuple(
        Interface(
            str(entry["ifname"]),
            tuple(ip_address(held["local"]) for held in entry.get("addr_info", ()) if "local" in held),
        )
        for entry in raw
        if "ifname" in entry
    )


def carrier(sharing: Sharing, found: Sequence[Interface]) -> str | None:
    """Name the interface that is to carry the shared address; None where there is none."""
    own = _address(sharing.own_address)
    for interface in found:
        if interface.name == sharing.interface or (not sharing.interface and own in interface.addresses):
            return interface.name
    return None


def findings(sharing: Sharing, found: Sequence[Interface]) -> Iterator[str]:
    """Yield what keeps this edge from sharing the address: the variable, its value, the form expected and the fix."""
    shared = _shared(sharing.address)
    own = _address(sharing.own_address)
    if shared is None:
        yield (
            f"keepalived_address: {sharing.address!r}; expected an IP address with its prefix length, such as "
            "192.0.2.10/24 or 2001:db8::10/64: write it so"
        )
    else:
        yield from _unusable(shared)
    if own is None:
        yield f"keepalived_own_address: {sharing.own_address!r}; expected the IP address of this host: correct it"
    yield from _peer_findings(sharing, own)
    if shared is not None:
        yield from _conflicts(sharing, shared, own)
    if own is not None or sharing.interface:
        yield from _interface_findings(sharing, shared, found)
    yield from _number_findings(sharing)


def _unusable(shared: Shared) -> Iterator[str]:
    network = shared.network
    ends = (network.network_address, network.broadcast_address)
    if shared.version == 4 and network.prefixlen < 31 and shared.ip in ends:
        yield (
            f"keepalived_address: {shared.with_prefixlen}; expected a host's address, and this is the first or "
            f"last of {network}, which names the network or all of it: choose another"
        )
    elif shared.ip.is_loopback or shared.ip.is_multicast or shared.ip.is_unspecified:
        yield f"keepalived_address: {shared.with_prefixlen}; expected an address that clients can reach: choose another"


def _peer_findings(sharing: Sharing, own: Address | None) -> Iterator[str]:
    if not sharing.peers:
        yield (
            "keepalived_peers: []; expected the address of at least one other edge, since one alone shares with "
            "nobody: add an edge, or do not share an address"
        )
    parsed = [_address(peer) for peer in sharing.peers]
    for peer, address in zip(sharing.peers, parsed):
        if address is None:
            yield f"keepalived_peers: {peer!r}; expected an IP address (names are not looked up): correct it"
        elif address == own:
            yield f"keepalived_peers: {peer}; expected other edges, and this is keepalived_own_address: leave it out"
    for address, times in Counter(parsed).items():
        if address is not None and times > 1:
            yield f"keepalived_peers: {address} is named {times} times; expected each edge once: leave it out"


def _conflicts(sharing: Sharing, shared: Shared, own: Address | None) -> Iterator[str]:
    peers = [address for address in map(_address, sharing.peers) if address is not None]
    if shared.ip == own:
        yield (
            f"keepalived_address: {shared.with_prefixlen}; expected an address that no host has, and it is this one's "
            "own (keepalived_own_address): choose another"
        )
    elif shared.ip in peers:
        yield (
            f"keepalived_address: {shared.with_prefixlen}; expected an address that no host has, and it is in "
            "keepalived_peers: choose another"
        )
    for variable, addresses in (("keepalived_own_address", [own]), ("keepalived_peers", peers)):
        for address in addresses:
            if address is not None and address.version != shared.version:
                yield (
                    f"{variable}: {address}; expected IPv{shared.version}, as keepalived_address is: edges speak to "
                    "each other in the family of the address that they share"
                )


def _interface_findings(sharing: Sharing, shared: Shared | None, found: Sequence[Interface]) -> Iterator[str]:
    name = carrier(sharing, found)
    if name is None:
        names = ", ".join(interface.name for interface in found)
        if sharing.interface:
            yield (
                f"keepalived_interface: {sharing.interface!r}; expected an interface of this host ({names}): correct it"
            )
        else:
            yield (
                f"keepalived_own_address: {sharing.own_address}; expected an address that an interface of this host "
                f"carries ({names} do not): correct it, or name one in keepalived_interface"
            )
        return
    for interface in found:
        if shared is not None and interface.name != name and shared.ip in interface.addresses:
            yield (
                f"keepalived_address: {shared.with_prefixlen}; expected an address that only keepalived puts on "
                f"{name}, and {interface.name} carries it: take it away there, or choose another"
            )


def _number_findings(sharing: Sharing) -> Iterator[str]:
    numbers: tuple[tuple[str, float, tuple[float, float]], ...] = (
        ("keepalived_router_id", sharing.router_id, ROUTER_IDS),
        ("keepalived_advert_interval_seconds", sharing.advert_interval_seconds, ADVERT_SECONDS),
        ("keepalived_port", sharing.port, (1, 65535)),
    )
    for variable, value, (least, most) in numbers:
        if not least <= value <= most:
            yield f"{variable}: {value}; expected {least} to {most}: correct it"


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _shared(text: str) -> Shared | None:
    try:
        return ip_interface(text) if "/" in text else None
    except ValueError:
        return None
