"""Declarations of an edge's certificates."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.tls.declared import acme_findings, findings, given_files
from hypothesis import given
from hypothesis import strategies as st

ACME = {"name": "shop", "mode": "acme", "names": ["shop.test", "bücher.test"]}
GIVEN = {"name": "board", "mode": "given", "names": ["*.test"], "certificate_file": "a.crt", "key_file": "a.key"}
DIRECTORY = "https://acme.test/directory"


def test_what_can_be_had_is_accepted():
    assert findings([ACME, GIVEN]) == ()


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ([{**ACME, "name": "host"}], "tls_certificates[0].name: 'host'"),
        ([{**ACME, "name": "../x"}], "tls_certificates[0].name: '../x'"),
        ([{**ACME, "mode": "mine"}], "tls_certificates[0] (shop).mode: 'mine'; expected one of given, acme"),
        ([{**ACME, "names": []}], "tls_certificates[0] (shop).names: it is empty"),
        ([{**ACME, "names": ["a b"]}], "tls_certificates[0] (shop).names: 'a b'; expected a host name"),
        (
            [{**ACME, "names": ["*.shop.test"]}],
            "tls_certificates[0] (shop).names: '*.shop.test'; expected a host name:",
        ),
        ([{**ACME, "names": ["[::1]"]}], "tls_certificates[0] (shop).names: '[::1]'; expected a host name:"),
        ([{**GIVEN, "key_file": ""}], "tls_certificates[0] (board).key_file: it is empty"),
        ([ACME, {**GIVEN, "name": "shop"}], "tls_certificates: 2 certificates are named 'shop'"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(declared, told):
    assert [text.startswith(told) for text in findings(declared)] == [True]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"terms_agreed": False}, "tls_acme_terms_agreed: false; expected true"),
        ({"directory_url": "http://acme.test/directory"}, "tls_acme_directory_url: 'http://acme.test/directory'"),
        ({"email": "nobody"}, "tls_acme_email: 'nobody'"),
    ],
)
def test_acme_has_its_conditions_where_it_is_used(change, told):
    settings = {"terms_agreed": True, "directory_url": DIRECTORY, "email": "a@b.test"}
    assert acme_findings([ACME], **settings) == ()
    assert [text.startswith(told) for text in acme_findings([ACME], **{**settings, **change})] == [True]
    assert acme_findings([GIVEN], **{**settings, **change}) == ()


def test_given_files_are_named_after_their_options():
    host = {"certificate_file": "h.crt", "key_file": "h.key", "ca_file": "", "names": ["h"]}
    own, further = given_files([ACME, GIVEN], host=host)
    assert own["files"] == [
        {"option": "tls_certificate_file", "path": "h.crt"},
        {"option": "tls_key_file", "path": "h.key"},
        {"option": "tls_ca_file", "path": ""},
    ]
    assert further["prefix"] == "tls_certificates[1] (board)."
    assert [one["path"] for one in further["files"]] == ["a.crt", "a.key"]
    assert given_files([ACME]) == []


@given(st.text(max_size=40))
def test_a_name_that_is_accepted_is_a_file_name_of_its_own(name):
    if not findings([{**ACME, "name": name}]):
        assert name.isascii()
        assert not set(name) & set("./\\\n\0")
        assert name not in ("host", "ca", "")
