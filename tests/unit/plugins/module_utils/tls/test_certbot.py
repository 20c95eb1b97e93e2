"""Certbot, with a program that only pretends to be it."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.tls.certbot import BUSY, TRIES, Certbot, CertbotError

CERTIFICATE = """\
notBefore=Mar  1 00:00:00 2026 GMT
notAfter=May 30 12:00:00 2026 GMT
X509v3 Subject Alternative Name:\x20
    DNS:shop.test, DNS:www.shop.test
"""


class Program:
    """Answers with what it was given, the last answer for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    def __call__(self, words, environment):
        self.calls.append((list(words), dict(environment)))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_what_it_keeps_under_names_of_ours_is_told(tmp_path):
    (tmp_path / "renewal").mkdir()
    (tmp_path / "renewal" / "slipway-shop.conf").write_text("[renewalparams]\nserver = https://acme.test/\n")
    (tmp_path / "renewal" / "example.com.conf").write_text("")
    program = Program((0, CERTIFICATE))
    (lineage,) = Certbot(program, str(tmp_path)).lineages().values()
    assert lineage.name == "slipway-shop"
    assert lineage.parameters == {"server": "https://acme.test/"}
    assert lineage.names == ("shop.test", "www.shop.test")
    assert (lineage.not_before, lineage.not_after) == ("20260301000000Z", "20260530120000Z")
    assert str(tmp_path / "live/slipway-shop/cert.pem") in program.calls[0][0]


def test_a_certificate_that_cannot_be_read_has_no_names(tmp_path):
    (tmp_path / "renewal").mkdir()
    (tmp_path / "renewal" / "slipway-shop.conf").write_text("")
    (lineage,) = Certbot(Program((1, "no such file")), str(tmp_path)).lineages().values()
    assert (lineage.names, lineage.not_after) == ((), "")


def test_it_is_told_whom_to_trust():
    program = Program((0, ""))
    Certbot(program, "/c", "/ca.crt").call(["delete"])
    assert program.calls == [(["certbot", "--config-dir", "/c", "delete"], {"REQUESTS_CA_BUNDLE": "/ca.crt"})]


def test_another_one_that_runs_is_waited_for():
    pauses = []
    program = Program((1, f"{BUSY}."), (1, f"{BUSY}."), (0, ""))
    Certbot(program, pause=pauses.append).call(["certonly"])
    assert len(program.calls) == 3
    assert len(pauses) == 2


def test_it_is_not_waited_for_for_ever_and_a_failure_not_at_all():
    pauses = []
    with pytest.raises(CertbotError, match=BUSY):
        Certbot(Program((1, BUSY)), pause=pauses.append).call(["certonly"])
    assert len(pauses) == TRIES - 1
    with pytest.raises(CertbotError, match="refused"):
        Certbot(Program((1, "refused")), pause=pytest.fail).call(["certonly"])
