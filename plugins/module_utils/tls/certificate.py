# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a certificate serves a host: its names, its key, its issuer, its time.

Certificates and keys come as the dictionaries that the filters of community.crypto give
(``x509_certificate_info``, ``openssl_privatekey_info``). Times are UTC in the form YYYYMMDDHHMMSSZ, whose order as
text is the order in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any

TIME = "%Y%m%d%H%M%SZ"


def alternative_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return host names and IP addresses as subject alternative names (``DNS:…``, ``IP:…``), each once, in order.

    Names beyond ASCII are given in the form in which they are sent.

    Raises:
        ValueError: when one is neither.
    """
    return tuple(dict.fromkeys(_alternative_name(name) for name in names))


def _alternative_name(name: str) -> str:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return f"IP:{ip_address(bare).compressed}"
    except ValueError:
        pass
    wildcard, host = ("*.", bare[2:]) if bare.startswith("*.") else ("", bare)
    try:
        found = wildcard + host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValueError(f"{name!r} is neither a host name nor an IP address") from error
    if not host or not all(char.isalnum() or char in "-_.*" for char in found):
        raise ValueError(f"{name!r} is neither a host name nor an IP address")
    return f"DNS:{found}"


def _normal(names: Iterable[str]) -> set[str]:
    carried = set()
    for name in names:
        kind, _colon, value = str(name).partition(":")
        carried.add(f"{kind}:{ip_address(value).compressed if kind == 'IP' else value.lower()}")
    return carried


def missing_from(carried: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that these subject alternative names do not cover.

    A wildcard covers one label, as browsers have it.
    """
    there = _normal(carried)
    missing = []
    for name in alternative_names(names):
        parent = name.partition(".")[2]
        covered = name in there or (name.startswith("DNS:") and parent and f"DNS:*.{parent}" in there)
        if not covered:
            missing.append(name.partition(":")[2])
    return tuple(missing)


def _at(time: str, **later: int) -> str:
    return (datetime.strptime(time, TIME).replace(tzinfo=timezone.utc) + timedelta(**later)).strftime(TIME)


def renewal_reasons(
    certificate: Mapping[str, Any] | None,
    *,
    key_fingerprint: str,
    authority: Mapping[str, Any],
    names: Sequence[str],
    now: str,
    renew_before_days: int,
) -> tuple[str, ...]:
    """Return why a certificate of an own authority must be issued anew; empty when the one there serves.

    ``certificate`` is None when there is none. ``key_fingerprint`` is the SHA-256 one of the host's public key.
    """
    if certificate is None:
        return ("there is none",)
    reasons = []
    if certificate["public_key_fingerprints"]["sha256"] != key_fingerprint:
        reasons.append("it belongs to another key")
    if certificate["authority_key_identifier"] != authority["subject_key_identifier"]:
        reasons.append("another authority issued it")
    if _normal(certificate.get("subject_alt_name") or []) != set(alternative_names(names)):
        reasons.append("the names changed")
    if certificate["not_after"] < _at(now, days=renew_before_days):
        reasons.append(f"it expires within {renew_before_days} days")
    return tuple(reasons)
