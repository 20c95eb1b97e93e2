"""Certificates and keys as they come in files."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from ansible_collections.slipway.stack.plugins.plugin_utils.pem import PemError, read_given
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def key_text(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


@dataclass
class Made:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def text(self):
        return self.certificate.public_bytes(Encoding.PEM).decode()


def make(name, issuer=None, names=()):
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer.certificate.subject if issuer else named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=90))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return Made(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


ROOT = make("root")
ISSUER = make("issuer", ROOT)
STRANGER = make("stranger")
LEAF = make("shop", ISSUER, [x509.DNSName("shop.test"), x509.IPAddress(ip_address("::1"))])


def read(certificate=LEAF.text + ISSUER.text, key=None, authority=""):
    return read_given("tls_", certificate, key_text(LEAF.key) if key is None else key, "0600", authority)


def test_what_files_hold_is_told():
    given = read()
    first, second = given.chain
    assert first.subject == "CN=shop"
    assert first.names == ("DNS:shop.test", "IP:::1")
    assert (first.not_before, first.not_after) == ("20260101000000Z", "20260401000000Z")
    assert first.public_key == given.public_key != second.public_key
    assert (first.signed_by_next, second.signed_by_next) == (True, False)
    assert given.trusted is None


@pytest.mark.parametrize(
    ("certificate", "authority", "trusted"),
    [
        (LEAF.text + ISSUER.text, ROOT.text, True),
        (LEAF.text + ISSUER.text, STRANGER.text + ROOT.text, True),
        (LEAF.text + ISSUER.text + ROOT.text, ROOT.text, True),
        (LEAF.text, ISSUER.text, True),
        (LEAF.text, ROOT.text, False),
        (LEAF.text + ISSUER.text, STRANGER.text, False),
    ],
)
def test_a_chain_leads_to_an_authority_or_not(certificate, authority, trusted):
    assert read(certificate, authority=authority).trusted is trusted


def test_a_certificate_that_another_one_did_not_sign_is_seen():
    assert [one.signed_by_next for one in read(LEAF.text + STRANGER.text).chain] == [False, False]
    # The same name is not enough.
    assert [one.signed_by_next for one in read(LEAF.text + make("issuer").text).chain] == [False, False]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"certificate": "nothing"}, "tls_certificate_file: it holds no certificate in PEM form"),
        ({"certificate": key_text(LEAF.key)}, "tls_certificate_file: it holds no certificate in PEM form"),
        ({"key": ""}, "tls_key_file: it holds no private key in PEM form"),
        ({"key": LEAF.text}, "tls_key_file: it holds no private key in PEM form"),
        ({"key": key_text(LEAF.key, BestAvailableEncryption(b"x"))}, "tls_key_file: it is protected by a passphrase"),
        ({"key": key_text(rsa.generate_private_key(65537, 1024))}, "tls_key_file: an RSA key of 1024 bits"),
        ({"authority": "nothing"}, "tls_ca_file: it holds no certificate in PEM form"),
    ],
)
def test_what_is_not_what_it_should_be_is_named(files, told):
    with pytest.raises(PemError) as refused:
        read(**files)
    assert str(refused.value).startswith(told)
