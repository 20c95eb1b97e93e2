# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A content delivery network before the edge: whose word about a client is taken, and who else may ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from .fields import Field, Fields, choice, each, fill, judge, text

HEADERS: Mapping[str, str] = {"cloudflare": "CF-Connecting-IP", "custom": "X-Forwarded-For"}
"""The header with the client's address, by provider."""
ITSELF = ("127.0.0.0/8", "::1/128")
"""Addresses of the edge itself, which may always ask directly."""


def _is_network(value: Any) -> bool:
    try:
        return isinstance(value, str) and ip_network(value).prefixlen > 0
    except ValueError:
        return False


_NETWORK = Field("a network or address such as 192.0.2.0/24, with no bits set beyond its length", _is_network)

FIELDS: Fields = {
    "provider": choice("none", "cloudflare", "custom", default="none"),
    "ranges": each(_NETWORK),
    "header": text(r"[A-Za-z][A-Za-z0-9-]{0,63}", "the name of a request header", ""),
    "direct_access": choice("allowed", "refused", default="allowed"),
    "direct_from": each(_NETWORK),
}


def findings(where: str, cdn: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with what the edge is told about its CDN."""
    yield from judge(where, cdn, FIELDS)
    provider = cdn.get("provider") or "none"
    if provider == "custom" and not cdn.get("ranges"):
        yield f"{where}.ranges: missing; expected the networks that the CDN asks from, and nobody else"
    if provider == "none":
        for option in ("ranges", "header", "direct_from"):
            if cdn.get(option):
                yield f"{where}.{option}: {cdn[option]!r} without a CDN; set {where}.provider, or remove it"
        if cdn.get("direct_access") == "refused":
            yield f"{where}.direct_access: refused without a CDN would refuse everybody; set {where}.provider"


def complete(cdn: Mapping[str, Any], published: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return what templates need: ``ranges``, ``header``, ``refused`` and ``direct_from``; no ranges without a CDN.

    ``published`` has the networks of known providers. Those that are given for one replace them.
    """
    whole = fill(cdn, FIELDS)
    provider = whole["provider"]
    return {
        "ranges": [] if provider == "none" else list(whole["ranges"] or published[provider]),
        "header": whole["header"] or HEADERS.get(provider, ""),
        "refused": whole["direct_access"] == "refused",
        "direct_from": [*ITSELF, *whole["direct_from"]],
    }
