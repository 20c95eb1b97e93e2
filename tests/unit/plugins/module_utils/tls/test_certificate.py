"""Certificates: the names they carry, and when they are replaced."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.tls.certificate import (
    alternative_names,
    authority_findings,
    authority_warnings,
    end_of,
    missing_from,
    renewal_reasons,
)

NOW = "20260301000000Z"
AUTHORITY = {"subject_key_identifier": "aa:bb", "not_after": "20350101000000Z"}
CERTIFICATE = {
    "public_key_fingerprints": {"sha256": "11:22"},
    "authority_key_identifier": "aa:bb",
    "subject_alt_name": ["DNS:app1", "IP:2001:DB8::1"],
    "not_before": "20260101000000Z",
    "not_after": "20270101000000Z",
}
NAMES = ["app1", "2001:db8:0::1"]


def test_names_and_addresses_are_told_apart_and_each_taken_once():
    names = ["App1", "app1", "192.0.2.1", "[::1]", "bücher.example", "*.app.example"]
    assert alternative_names(names) == (
        "DNS:app1",
        "IP:192.0.2.1",
        "IP:::1",
        "DNS:xn--bcher-kva.example",
        "DNS:*.app.example",
    )


@pytest.mark.parametrize("name", ["", "a b", "a..b", "app1/24", "*."])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="neither a host name nor an IP address"):
        alternative_names([name])


@pytest.mark.parametrize(
    ("carried", "name", "covered"),
    [
        ("DNS:*.example.com", "www.example.com", True),
        ("DNS:*.example.com", "example.com", False),
        ("DNS:*.example.com", "a.www.example.com", False),
        ("DNS:*.example.com", "*.example.com", True),
        ("DNS:WWW.example.com", "www.Example.com", True),
        ("IP:192.0.2.1", "192.0.2.1", True),
        ("DNS:192.0.2.1", "192.0.2.1", False),
    ],
)
def test_a_wildcard_covers_one_label_and_no_address(carried, name, covered):
    assert (missing_from([carried], [name]) == ()) is covered


def reasons(certificate, now=NOW, names=NAMES, fingerprint="11:22"):
    return renewal_reasons(
        certificate, key_fingerprint=fingerprint, authority=AUTHORITY, names=names, now=now, renew_before_days=30
    )


def test_a_certificate_that_serves_is_kept():
    assert reasons(CERTIFICATE) == ()


def test_names_in_another_order_or_spelling_are_no_change():
    assert reasons(CERTIFICATE, names=["2001:db8::1", "APP1"]) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"certificate": None}, "there is none"),
        ({"fingerprint": "33:44"}, "another key"),
        ({"certificate": {**CERTIFICATE, "authority_key_identifier": "cc:dd"}}, "another authority"),
        ({"names": ["app1"]}, "names changed"),
        ({"now": "20261202000001Z"}, "expires within 30 days"),
    ],
)
def test_a_certificate_that_does_not_serve_is_renewed_for_a_reason(change, told):
    assert [told in text for text in reasons(**{"certificate": CERTIFICATE, **change})] == [True]


def test_thirty_days_before_its_end_is_still_early():
    assert reasons(CERTIFICATE, now="20261202000000Z") == ()


def test_a_certificate_that_ends_with_its_authority_is_not_issued_again():
    ending = {**AUTHORITY, "not_after": CERTIFICATE["not_after"]}
    assert (
        renewal_reasons(
            CERTIFICATE,
            key_fingerprint="11:22",
            authority=ending,
            names=NAMES,
            now="20261231000000Z",
            renew_before_days=30,
        )
        == ()
    )


def test_no_certificate_outlives_its_authority():
    assert end_of(AUTHORITY, NOW, 365) == "20270301000000Z"
    assert end_of(AUTHORITY, "20341201000000Z", 365) == AUTHORITY["not_after"]


@pytest.mark.parametrize(
    ("now", "warned", "found"),
    [
        ("20331231235959Z", False, False),
        ("20340101000000Z", True, False),
        ("20341231235959Z", True, False),
        ("20350101000000Z", False, True),
    ],
)
def test_an_authority_is_warned_of_for_a_year_and_refused_at_its_end(now, warned, found):
    assert bool(authority_warnings(AUTHORITY, "ca", now, 365)) is warned
    assert bool(authority_findings(AUTHORITY, "ca", now)) is found
