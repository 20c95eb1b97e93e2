"""Verifiers are those that PostgreSQL makes, and a stored one is recognised."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.postgresql.scram import matches, prepared, verifier
from hypothesis import given, settings
from hypothesis import strategies as st

# The exchange of RFC 7677, section 3.
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
MESSAGE = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={NONCE}".encode()
PROOF = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_verifier_proves_the_exchange_of_the_standard():
    kind, salted, keys = verifier("pencil", SALT).split("$")
    stored, server = (b64decode(key) for key in keys.split(":"))
    assert kind == "SCRAM-SHA-256"
    assert salted == "4096:W22ZaJ0SNY7soEsUEjb6gQ=="
    assert b64encode(hmac.digest(server, MESSAGE, "sha256")).decode() == SIGNATURE
    client_key = bytes(one ^ two for one, two in zip(PROOF, hmac.digest(stored, MESSAGE, "sha256")))
    assert hashlib.sha256(client_key).digest() == stored


@settings(max_examples=15, deadline=None)
@given(st.text(min_size=1), st.binary(min_size=1, max_size=32))
def test_a_stored_verifier_is_that_of_its_password_only(password, salt):
    stored = verifier(password, salt)
    assert matches(password, stored)
    assert not matches(password + "x", stored)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "secret",
        "md5d0b1a4c1cbdb7b4b1b9b1d0b1a4c1cbd",
        "SCRAM-SHA-256$4096:====$YQ==:YQ==",
        "SCRAM-SHA-256$0:YQ==$YQ==:YQ==",
        "SCRAM-SHA-256$4096:YQ==$YQ==",
    ],
)
def test_what_is_no_verifier_matches_nothing(stored):
    assert not matches("secret", stored)


@pytest.mark.parametrize(
    ("password", "hashed"),
    [
        ("I\u00adX", b"IX"),  # RFC 4013, section 3: mapped to nothing
        ("\u00aa", b"a"),  # normalised
        ("\u2168", b"IX"),
        ("a\u00a0b", b"a b"),  # a space that is not ASCII's
        ("\u0007", b"\x07"),  # prohibited: as it is
        ("two\nlines", b"two\nlines"),
        ("\u06271", "\u06271".encode()),  # begins right to left, but does not end so: as it is
        ("\u0627a\u0627", "\u0627a\u0627".encode()),
        ("\u0627\u0628", "\u0627\u0628".encode()),
        ("\u0221", "\u0221".encode()),  # in no Unicode 3.2
        ("plain '\"$%{{", b"plain '\"$%{{"),
    ],
)
def test_passwords_are_prepared_as_postgresql_does(password, hashed):
    assert prepared(password) == hashed
