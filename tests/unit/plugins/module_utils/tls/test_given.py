"""Certificates that somebody gave: what keeps them from being served."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.tls.given import Certificate, Given, findings

NOW = "20260301000000Z"
LEAF = Certificate(
    subject="CN=shop",
    not_before="20260101000000Z",
    not_after="20270101000000Z",
    public_key="11",
    names=("DNS:shop.test", "DNS:*.shop.test"),
    signed_by_next=True,
)
ISSUER = Certificate("CN=issuer", "20200101000000Z", "20300101000000Z", "22")
GIVEN = Given((LEAF, ISSUER), public_key="11", key_mode="0600")


def found(given, names=("shop.test",), now=NOW, prefix="tls_"):
    return findings(given, names=list(names), now=now, prefix=prefix)


@pytest.mark.parametrize(
    "given",
    [GIVEN, replace(GIVEN, chain=(LEAF,)), replace(GIVEN, trusted=True), replace(GIVEN, key_mode="0640")],
)
def test_what_serves_is_accepted(given):
    assert found(given, ["shop.test", "www.shop.test"]) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"key_mode": "0644"}, "key_file: everybody on the controller can read it"),
        ({"public_key": "33"}, "key_file: it is not the key of tls_certificate_file"),
        ({"trusted": False}, "certificate_file: its chain ends with CN=issuer, which no certificate of tls_ca_file"),
        (
            {"chain": (replace(LEAF, signed_by_next=False), ISSUER)},
            "certificate_file: certificate 1 (CN=shop) is not signed by certificate 2 (CN=issuer)",
        ),
        ({"chain": (replace(LEAF, not_after=NOW), ISSUER)}, "certificate_file: it expired at 20260301000000Z"),
        (
            {"chain": (LEAF, replace(ISSUER, not_after=NOW))},
            "certificate_file: certificate 2 of its chain (CN=issuer) expired at",
        ),
        ({"chain": (replace(LEAF, not_before="20260301000001Z"), ISSUER)}, "certificate_file: it is valid only from"),
        ({"chain": (replace(LEAF, names=()), ISSUER)}, "certificate_file: it lacks shop.test"),
    ],
)
def test_what_does_not_serve_is_refused_for_what_is_wrong(change, told):
    assert [text.startswith(f"tls_{told}") for text in found(replace(GIVEN, **change))] == [True]


def test_a_chain_that_begins_with_its_end_is_told_apart_from_a_wrong_key():
    reversed_chain = (replace(ISSUER, names=LEAF.names), replace(LEAF, signed_by_next=False))
    assert "is number 2 of 2; expected it to be the first" in found(replace(GIVEN, chain=reversed_chain))[0]


def test_messages_begin_with_the_variable_that_was_written():
    where = "tls_certificates[1] (shop)."
    for text in found(replace(GIVEN, key_mode="0604", public_key="33"), ["other.test"], prefix=where):
        assert text.startswith(where)
