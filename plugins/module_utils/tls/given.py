# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a certificate that somebody gave can be served: its key, its chain, its time, its names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .certificate import missing_from


@dataclass(frozen=True)
class Certificate:
    """One certificate of a file. Times are UTC in the form YYYYMMDDHHMMSSZ."""

    subject: str
    not_before: str
    not_after: str
    public_key: str
    """SHA-256 of the public key."""
    names: tuple[str, ...] = ()
    """Subject alternative names as ``DNS:…`` and ``IP:…``."""
    signed_by_next: bool = False
    """Whether the next certificate of the file has signed this one."""


@dataclass(frozen=True)
class Given:
    """What the files of one certificate hold."""

    chain: tuple[Certificate, ...]
    public_key: str
    """SHA-256 of the public half of the key."""
    key_mode: str
    """Permissions of the key's file in octal digits."""
    trusted: bool | None = None
    """Whether the authority given has signed the chain's end; None when none was given."""


def findings(given: Given, *, names: Sequence[str], now: str, prefix: str) -> tuple[str, ...]:
    """Return what keeps these files from being served, one text each with the variable and the fix.

    ``prefix`` precedes the names of the variables: ``tls_`` for ``tls_certificate_file``.
    """
    return (
        *_of_key(given, prefix),
        *_of_chain(given, prefix),
        *_of_time(given, now, prefix),
        *_of_names(given, names, prefix),
    )


def _of_key(given: Given, prefix: str) -> Iterator[str]:
    if int(given.key_mode, 8) & 0o004:
        yield (
            f"{prefix}key_file: everybody on the controller can read it (mode {given.key_mode}); expected 0600:"
            " chmod it, and replace the key if others may have read it"
        )
    if given.chain[0].public_key != given.public_key:
        place = next((i for i, one in enumerate(given.chain, 1) if one.public_key == given.public_key), None)
        if place:
            yield (
                f"{prefix}certificate_file: the certificate of {prefix}key_file is number {place} of"
                f" {len(given.chain)}; expected it to be the first, followed by the one that signed it, and so on"
            )
        else:
            yield (
                f"{prefix}key_file: it is not the key of {prefix}certificate_file; give the pair that belongs together"
            )


def _of_chain(given: Given, prefix: str) -> Iterator[str]:
    for number, (one, following) in enumerate(zip(given.chain, given.chain[1:]), 1):
        if not one.signed_by_next:
            yield (
                f"{prefix}certificate_file: certificate {number} ({one.subject}) is not signed by certificate"
                f" {number + 1} ({following.subject}); expected each to be followed by the one that signed it"
            )
    if given.trusted is False:
        yield (
            f"{prefix}certificate_file: its chain ends with {given.chain[-1].subject}, which no certificate of"
            f" {prefix}ca_file has signed; add the intermediate certificates, or name the right authority"
        )


def _of_time(given: Given, now: str, prefix: str) -> Iterator[str]:
    for number, one in enumerate(given.chain, 1):
        which = "it" if number == 1 else f"certificate {number} of its chain ({one.subject})"
        if one.not_after <= now:
            yield f"{prefix}certificate_file: {which} expired at {one.not_after}; renew it"
        if one.not_before > now:
            yield f"{prefix}certificate_file: {which} is valid only from {one.not_before}; check the clocks"


def _of_names(given: Given, names: Sequence[str], prefix: str) -> Iterator[str]:
    missing = missing_from(given.chain[0].names, names)
    if missing:
        yield (
            f"{prefix}certificate_file: it lacks {', '.join(missing)}; expected all of {prefix}names: get one that"
            " carries them"
        )
