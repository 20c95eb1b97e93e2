# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role tls: names for a certificate, and whether one still serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.tls import certificate


def _now() -> str:
    return datetime.now(timezone.utc).strftime(certificate.TIME)


def certificate_names(value: Sequence[str]) -> list[str]:
    """Names as subject alternative names."""
    if isinstance(value, str):
        raise AnsibleFilterError(f"certificate_names takes a list of names; got {value!r}")
    try:
        return list(certificate.alternative_names(value))
    except ValueError as error:
        raise AnsibleFilterError(f"certificate_names: {error}") from error


def certificate_renewal_reasons(
    value: Mapping[str, Any] | None,
    key_fingerprint: str,
    authority: Mapping[str, Any],
    names: Sequence[str],
    renew_before_days: int,
) -> list[str]:
    """Why a certificate must be issued anew."""
    return list(
        certificate.renewal_reasons(
            value or None,
            key_fingerprint=key_fingerprint,
            authority=authority,
            names=names,
            now=_now(),
            renew_before_days=int(renew_before_days),
        )
    )


def certificate_findings(
    value: Mapping[str, Any], key: Mapping[str, Any], names: Sequence[str], mode: str
) -> list[str]:
    """What keeps a given certificate from being used."""
    return list(certificate.given_findings(value, key, names=names, now=_now(), key_mode=mode))


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions."""
        return {
            "certificate_findings": certificate_findings,
            "certificate_names": certificate_names,
            "certificate_renewal_reasons": certificate_renewal_reasons,
        }
