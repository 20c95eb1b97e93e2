"""Whether an operator who is in would get in again."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.firewall.model import policy, ssh_rule
from ansible_collections.slipway.stack.plugins.module_utils.firewall.ssh import (
    Session,
    has_key,
    key_files,
    keyless,
    lockout,
    parse_session,
    parse_settings,
)

SESSION = Session("198.51.100.7", 50412, "192.0.2.10", 22, "admin")


def test_a_session_as_sshd_tells_it():
    assert parse_session("198.51.100.7 50412 192.0.2.10 22", "admin") == SESSION
    assert str(SESSION) == "198.51.100.7 50412 192.0.2.10 22"


@pytest.mark.parametrize("text", ["", "a b c d", "198.51.100.7 50412", "198.51.100.7 x 192.0.2.10 22"])
def test_what_is_no_session(text):
    assert parse_session(text) is None


def test_one_connection_is_told_from_the_next_by_its_ports():
    assert SESSION.is_same_as(Session("198.51.100.7", 50412, "192.0.2.10", 22))
    assert not SESSION.is_same_as(Session("198.51.100.7", 50413, "192.0.2.10", 22))
    assert not SESSION.is_same_as(None)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([ssh_rule(22, ["any"])], None),
        ([ssh_rule(22, ["198.51.100.0/24"])], None),
        ([ssh_rule(2222, ["any"]), {"name": "old", "sources": ["any"], "ports": ["20-30"]}], None),
        ([ssh_rule(2222, ["any"])], "Set firewall_ssh_port to 22"),
        ([ssh_rule(22, ["192.0.2.0/24"])], "Add 198.51.100.7/32 to firewall_ssh_sources"),
        ([], "no rule is for SSH"),
    ],
)
def test_rules_that_would_drop_the_next_connection(rules, told):
    reason = lockout(policy(rules), SESSION)
    assert (reason is None) if told is None else (told in reason)


def test_a_session_over_ipv6_from_the_link():
    session = Session("fe80::7%eth0", 50412, "fe80::1%eth0", 22)
    assert lockout(policy([ssh_rule(22, ["fe80::/10"])]), session) is None


SETTINGS = """authorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u %h/100%%
authorizedkeyscommand none
trustedusercakeys none
passwordauthentication no
kbdinteractiveauthentication no
"""


def test_where_sshd_looks_for_keys():
    files = key_files(parse_settings(SETTINGS), "admin", "/home/admin")
    assert files == ("/home/admin/.ssh/authorized_keys", "/etc/ssh/keys/admin", "/home/admin/100%")
    assert key_files({"authorizedkeysfile": "none"}, "admin", "/home/admin") == ()


@pytest.mark.parametrize(
    ("text", "has"), [("", False), ("# a\n\n", False), ("ssh-ed25519 AAAA a\n", True), ("#\n  ssh-rsa AAAA\n", True)]
)
def test_whether_a_file_has_a_key(text, has):
    assert has_key(text) is has


@pytest.mark.parametrize(
    ("settings", "found", "refused"),
    [
        ({}, True, False),
        ({}, False, True),
        ({"passwordauthentication": "yes"}, False, False),
        ({"authorizedkeyscommand": "/usr/bin/sss_ssh_authorizedkeys"}, False, False),
        ({"trustedusercakeys": "/etc/ssh/ca.pub"}, False, False),
    ],
)
def test_a_user_who_could_not_log_in_anew(settings, found, refused):
    whole = {**parse_settings(SETTINGS), **settings}
    reason = keyless(whole, "admin", ("/home/admin/.ssh/authorized_keys",), found)
    assert (reason is not None) is refused
    if reason:
        assert "admin has no authorised key (looked for in /home/admin/.ssh/authorized_keys)" in reason
