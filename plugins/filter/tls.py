# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role tls: names for a certificate, and whether one serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from ansible_collections.slipway.stack.plugins.module_utils.tls import certificate, declared, given
from ansible_collections.slipway.stack.plugins.plugin_utils.pem import PemError, read_given


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


def certificate_authority_findings(value: Mapping[str, Any], directory: str, warn_days: int = 365) -> list[str]:
    """Why an own authority can't issue any more. What ends soon is warned of."""
    for warning in certificate.authority_warnings(value, directory, _now(), int(warn_days)):
        Display().warning(warning)
    return list(certificate.authority_findings(value, directory, _now()))


def certificate_end(value: Mapping[str, Any], days: int) -> str:
    """When a certificate that an authority issues now ends."""
    return certificate.end_of(value, _now(), int(days))


def certificate_findings(
    value: str, key: str, names: Sequence[str], mode: str, authority: str = "", prefix: str = "tls_"
) -> list[str]:
    """What keeps a given certificate from being used."""
    try:
        found = read_given(prefix, value, key, mode, authority)
        return list(given.findings(found, names=names, now=_now(), prefix=prefix))
    except PemError as error:
        return [str(error)]


def certificate_declarations(
    value: Sequence[Mapping[str, Any]], terms_agreed: bool, directory_url: str, email: str
) -> list[str]:
    """What is wrong with the certificates that an edge is to have."""
    if isinstance(value, str) or not all(isinstance(one, Mapping) for one in value):
        raise AnsibleFilterError(f"certificate_declarations takes a list of dictionaries; got {value!r}")
    return [
        *declared.findings(value),
        *declared.acme_findings(value, terms_agreed=terms_agreed, directory_url=directory_url, email=email),
    ]


def given_certificates(
    value: Sequence[Mapping[str, Any]], host: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The files of certificates that are given."""
    return declared.given_files(value, host=host or None)


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions."""
        return {
            "certificate_authority_findings": certificate_authority_findings,
            "certificate_declarations": certificate_declarations,
            "certificate_end": certificate_end,
            "certificate_findings": certificate_findings,
            "certificate_names": certificate_names,
            "certificate_renewal_reasons": certificate_renewal_reasons,
            "given_certificates": given_certificates,
        }
