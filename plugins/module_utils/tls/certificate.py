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
    # One that ends with its authority would not last longer if it were issued again.
    if certificate["not_after"] < min(_at(now, days=renew_before_days), authority["not_after"]):
        reasons.append(f"it expires within {renew_before_days} days")
    return tuple(reasons)


def end_of(authority: Mapping[str, Any], now: str, days: int) -> str:
    """Return when a certificate that is issued now ends: in ``days`` days, but not after its authority."""
    return min(_at(now, days=days), str(authority["not_after"]))


def authority_findings(authority: Mapping[str, Any], directory: str, now: str) -> tuple[str, ...]:
    """Return why an own authority can't issue any more, with the fix; nothing when it can.

    ``directory`` is where the controller has it.
    """
    if authority["not_after"] > now:
        return ()
    return (f"tls_ca_directory: the authority in {directory} ended at {authority['not_after']}; {_replace(directory)}",)


def authority_warnings(authority: Mapping[str, Any], directory: str, now: str, warn_days: int) -> tuple[str, ...]:
    """Return what has to be done soon about an own authority that ends within ``warn_days`` days."""
    if not now < authority["not_after"] <= _at(now, days=warn_days):
        return ()
    return (
        f"tls_ca_directory: the authority in {directory} ends at {authority['not_after']}, and every certificate of it"
        f" no later; {_replace(directory)}",
    )


def _replace(directory: str) -> str:
    return f"move {directory} away, and run the role on all hosts, which then trust and use a new one"
