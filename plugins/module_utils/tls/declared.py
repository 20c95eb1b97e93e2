# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates that an edge is to have besides its host's own, as they are declared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from .certificate import alternative_names

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
RESERVED = ("ca", "host")
"""Names of the files that every host has."""
MODES = ("given", "acme")
KEY_TYPES = ("ecdsa", "rsa")


def findings(certificates: Sequence[Mapping[str, Any]], *, option: str = "tls_certificates") -> tuple[str, ...]:
    """Return what is wrong with the declaration, one text for each finding, with the value and the form expected."""
    found: list[str] = []
    for index, certificate in enumerate(certificates):
        name = certificate.get("name", "")
        where = f"{option}[{index}]"
        if not isinstance(name, str) or not NAME.match(name) or name in RESERVED:
            found.append(
                f"{where}.name: {name!r}; expected a lower-case letter and up to 31 letters, digits, _ and -, and"
                f" neither of {', '.join(RESERVED)}"
            )
        found += _of_one(f"{where} ({name})", certificate)
    for name, count in Counter(str(certificate.get("name")) for certificate in certificates).items():
        if count > 1:
            found.append(f"{option}: {count} certificates are named {name!r}; give each its own name")
    return tuple(found)


def _of_one(where: str, certificate: Mapping[str, Any]) -> Iterator[str]:
    mode = certificate.get("mode")
    if mode not in MODES:
        yield f"{where}.mode: {mode!r}; expected one of {', '.join(MODES)}"
    names = certificate.get("names") or []
    if not names:
        yield f"{where}.names: it is empty; expected the host names that the certificate is for"
    for name in names:
        try:
            alternative_names([str(name)])
        except ValueError:
            yield f"{where}.names: {name!r}; expected a host name or an IP address"
            continue
        if mode == "acme" and not _can_be_challenged(str(name)):
            yield (
                f"{where}.names: {name!r}; expected a host name: over HTTP, ACME proves neither addresses nor *. names."
                " Give a certificate for it (mode: given)"
            )
    if mode == "given":
        for file in ("certificate_file", "key_file"):
            if not certificate.get(file):
                yield f"{where}.{file}: it is empty; expected a file on the controller, since mode is given"


def _can_be_challenged(name: str) -> bool:
    if name.startswith("*"):
        return False
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return True
    return False


def acme_findings(
    certificates: Sequence[Mapping[str, Any]], *, terms_agreed: bool, directory_url: str, email: str
) -> tuple[str, ...]:
    """Return what keeps certificates from being asked for over ACME; nothing when none is to be."""
    if not any(certificate.get("mode") == "acme" for certificate in certificates):
        return ()
    found = []
    if not terms_agreed:
        found.append(
            f"tls_acme_terms_agreed: false; expected true: read the terms of service of {directory_url} and agree to"
            " them"
        )
    if not re.match(r"https://[^\s/]+/\S*\Z", directory_url):
        found.append(f"tls_acme_directory_url: {directory_url!r}; expected the https:// address of an ACME directory")
    if email and not re.match(r"[^@\s]+@[^@\s]+\Z", email):
        found.append(f"tls_acme_email: {email!r}; expected a mail address, or nothing")
    return tuple(found)


def given_files(
    certificates: Sequence[Mapping[str, Any]],
    *,
    host: Mapping[str, Any] | None = None,
    option: str = "tls_certificates",
) -> list[dict[str, Any]]:
    """Return what is given: for each certificate its files, and ``prefix``, with which its options' names begin.

    ``host`` has ``certificate_file``, ``key_file``, ``ca_file`` and ``names`` of the host's own one, if it is given.
    """
    found = [("tls_", host)] if host else []
    found += [
        (f"{option}[{index}] ({certificate.get('name')}).", certificate)
        for index, certificate in enumerate(certificates)
        if certificate.get("mode") == "given"
    ]
    return [_files(prefix, certificate, host is certificate) for prefix, certificate in found]


def _files(prefix: str, certificate: Mapping[str, Any], needs_authority: bool) -> dict[str, Any]:
    files = {file: str(certificate.get(file) or "") for file in ("certificate_file", "key_file", "ca_file")}
    needed = [file for file, path in files.items() if path or file != "ca_file" or needs_authority]
    return {
        "prefix": prefix,
        "names": list(certificate.get("names") or []),
        **files,
        "files": [{"option": prefix + file, "path": files[file]} for file in needed],
    }
