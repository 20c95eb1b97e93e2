"""What certbot has to be told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.tls.acme import (
    Delete,
    Issue,
    Lineage,
    Settings,
    Wanted,
    ascii_names,
    explain,
    issue_arguments,
    parse_renewal,
    plan,
)
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = Settings("https://acme.test/directory", "a@b.test", "ecdsa", "/srv/acme", "/hook")
RENEWAL = """\
# renew_before_expiry = 30 days
version = 4.0.0
archive_dir = /etc/letsencrypt/archive/slipway-shop
[renewalparams]
account = 1a2b
authenticator = webroot
webroot_path = /srv/acme,
server = https://acme.test/directory
key_type = ecdsa
renew_hook = /hook
[[webroot_map]]
shop.test = /srv/acme
"""
SHOP = Wanted("shop", ("shop.test", "www.shop.test"))
THERE = Lineage(
    "slipway-shop", parse_renewal(RENEWAL), ("www.shop.test", "shop.test"), "20260101000000Z", "20260411000000Z"
)
NOW = "20260201000000Z"


def planned(*present, wanted=(SHOP,), settings=SETTINGS, now=NOW):
    return plan(list(wanted), {one.name: one for one in present}, settings, now)


def test_what_certbot_has_and_renews_is_left_alone():
    assert planned(THERE) == ()


def test_what_it_lacks_is_asked_for():
    assert planned() == (Issue(SHOP, ("there is none",), again=False),)


@pytest.mark.parametrize(
    ("there", "settings", "now", "told"),
    [
        (replace(THERE, names=("shop.test",)), SETTINGS, NOW, "the names changed"),
        (THERE, replace(SETTINGS, directory_url="https://other.test/"), NOW, "another authority is to issue it"),
        (THERE, replace(SETTINGS, key_type="rsa"), NOW, "its key is to be rsa"),
        (THERE, replace(SETTINGS, webroot="/srv/other"), NOW, "its renewals are to be done otherwise"),
        (THERE, replace(SETTINGS, hook="/other"), NOW, "its renewals are to be done otherwise"),
        # A hundred days: a quarter is left.
        (THERE, SETTINGS, "20260317000000Z", "it ends at 20260411000000Z and was not renewed in time"),
    ],
)
def test_what_is_not_as_declared_is_asked_for_again(there, settings, now, told):
    (action,) = planned(there, settings=settings, now=now)
    assert action.again
    assert action.reasons == (told,)


def test_a_day_before_it_is_overdue_the_timer_still_has_time():
    assert planned(THERE, now="20260316235959Z") == ()


def test_only_ours_are_deleted():
    others = replace(THERE, name="mail.example.com")
    assert planned(THERE, others, wanted=()) == (Delete("slipway-shop"),)


def test_no_word_for_certbot_holds_two():
    words = issue_arguments(Issue(SHOP, (), again=True), SETTINGS)
    assert words[words.index("--cert-name") + 1] == "slipway-shop"
    assert [words[i + 1] for i, word in enumerate(words) if word == "--domain"] == list(SHOP.names)
    assert "--force-renewal" in words
    assert "--force-renewal" not in issue_arguments(Issue(SHOP, (), again=False), SETTINGS)
    anonymous = issue_arguments(Issue(SHOP, (), again=False), replace(SETTINGS, email=""))
    assert "--register-unsafely-without-email" in anonymous
    assert "--email" not in anonymous


def test_names_are_sent_in_ascii():
    assert ascii_names(["Shop.test", "bücher.test", "shop.test"]) == ("shop.test", "xn--bcher-kva.test")


def test_what_went_wrong_is_told_without_advice():
    output = """
Saving debug log to /var/log/letsencrypt/letsencrypt.log
Requesting a certificate for shop.test

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: shop.test
  Type:   connection
  Detail: connection refused

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
    told = explain(output)
    assert told.startswith("Certbot failed to authenticate some domains")
    assert told.endswith("Domain: shop.test Type:   connection Detail: connection refused")
    assert explain("\n") == "certbot did not say why"


@given(st.sets(st.sampled_from(["a", "b", "c", "d"])), st.sets(st.sampled_from(["a", "b", "c", "d"])))
def test_what_was_planned_and_done_needs_nothing_more(declared, there):
    wanted = [Wanted(name, (f"{name}.test",)) for name in sorted(declared)]

    def lineage(name):
        return replace(THERE, name=f"slipway-{name}", names=(f"{name}.test",))

    present = {f"slipway-{name}": lineage(name) for name in there}
    for action in plan(wanted, present, SETTINGS, NOW):
        if isinstance(action, Delete):
            del present[action.lineage]
        else:
            present[action.wanted.lineage] = lineage(action.wanted.name)
    assert plan(wanted, present, SETTINGS, NOW) == ()
    assert set(present) == {f"slipway-{name}" for name in declared}
