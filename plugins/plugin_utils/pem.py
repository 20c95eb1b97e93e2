# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates and keys read from PEM text, on the controller."""

from __future__ import annotations

import hashlib

from ansible_collections.slipway.stack.plugins.module_utils.tls.certificate import TIME
from ansible_collections.slipway.stack.plugins.module_utils.tls.given import Certificate, Given

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

RSA_BITS = 2048


class PemError(ValueError):
    """A file does not hold what it should; the message names the variable and the fix."""


def read_given(prefix: str, certificate: str, key: str, key_mode: str, authority: str = "") -> Given:
    """Read the files of one certificate.

    Args:
        prefix: what precedes the names of the variables in messages.
        certificate: text of the certificate's file, with the intermediate ones.
        key: text of the key's file.
        key_mode: permissions of the key's file in octal digits.
        authority: text of the file of the authority to be verified against; empty for none.

    Raises:
        PemError: when one of them is not PEM, or the key is protected or too short.
    """
    if not HAS_CRYPTOGRAPHY:
        raise PemError(
            "the controller lacks the Python library cryptography; install the collection's requirements.txt"
        )
    chain = _certificates(f"{prefix}certificate_file", certificate)
    return Given(
        chain=tuple(_described(one, following) for one, following in zip(chain, [*chain[1:], None])),
        public_key=_key(f"{prefix}key_file", key),
        key_mode=key_mode,
        trusted=_trusted(chain, _certificates(f"{prefix}ca_file", authority)) if authority else None,
    )


def _certificates(option: str, text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise PemError(
            f"{option}: it holds no certificate in PEM form; expected text with -----BEGIN CERTIFICATE----- (a .der or"
            " .p12 file has to be converted by openssl)"
        ) from error


def _key(option: str, text: str) -> str:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise PemError(
            f"{option}: it is protected by a passphrase, which nobody is there to type; expected a plain key, encrypted"
            " by Ansible Vault if it is to be kept with the inventory"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PemError(
            f"{option}: it holds no private key in PEM form; expected text with -----BEGIN PRIVATE KEY-----"
        ) from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < RSA_BITS:
        raise PemError(
            f"{option}: an RSA key of {key.key_size} bits; expected {RSA_BITS} or more, or an elliptic curve"
        )
    return hashlib.sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _described(one: x509.Certificate, following: x509.Certificate | None) -> Certificate:
    return Certificate(
        subject=one.subject.rfc4514_string() or "without a subject",
        not_before=one.not_valid_before_utc.strftime(TIME),
        not_after=one.not_valid_after_utc.strftime(TIME),
        public_key=hashlib.sha256(
            one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest(),
        names=_names(one),
        signed_by_next=following is not None and _signed(one, following),
    )


def _names(one: x509.Certificate) -> tuple[str, ...]:
    try:
        carried = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (
        *(f"DNS:{name}" for name in carried.get_values_for_type(x509.DNSName)),
        *(f"IP:{address}" for address in carried.get_values_for_type(x509.IPAddress)),
    )


def _signed(one: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _trusted(chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> bool:
    return any(one in authorities for one in chain) or any(_signed(chain[-1], signer) for signer in authorities)
