"""One edge whose peers are all gone: it holds the address as long as its server can serve."""

from __future__ import annotations

import time

import pytest


def holds(host):
    return ".253/24 " in host.check_output("ip -oneline -4 address")


def becomes(host, wanted, seconds):
    """Seconds until the address is held, or no longer."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if holds(host) == wanted:
            return time.monotonic() - begun
        time.sleep(0.2)
    raise AssertionError(host.check_output("journalctl -u keepalived -n 30 --no-pager"))


@pytest.fixture
def held(host):
    becomes(host, True, 15)
    yield
    host.check_output(
        "systemctl kill --signal=SIGCONT slipway-test-keepalived; systemctl start slipway-test-keepalived"
    )
    becomes(host, True, 15)


def test_the_address_answers(host, held):
    shared = host.check_output("ip -oneline -4 address | grep -o '[0-9.]*[.]253/24'").removesuffix("/24")
    assert (
        host.run(f"timeout 5 openssl s_client -connect {shared}:3971 </dev/null 2>&1 | grep 'alert number 112'").rc == 0
    )


def test_an_edge_where_nobody_listens_gives_it_up_and_takes_it_again(host, held):
    host.check_output("systemctl stop slipway-test-keepalived")
    assert becomes(host, False, 5) < 3
    host.check_output("systemctl start slipway-test-keepalived")
    becomes(host, True, 15)


def test_an_edge_that_does_not_answer_keeps_it_when_no_other_does(host, held):
    host.check_output("systemctl kill --signal=SIGSTOP slipway-test-keepalived")
    time.sleep(16)
    assert "Changing effective priority from 254 to 1" in host.check_output("journalctl -u keepalived -n 20 -o cat")
    assert holds(host)


def test_keepalived_that_is_killed_comes_back(host, held):
    host.check_output("systemctl kill --signal=SIGKILL keepalived")
    time.sleep(1)
    assert host.service("keepalived").is_running
    becomes(host, True, 15)


def test_a_reload_keeps_the_address(host, held, converge):
    entered = "journalctl -u keepalived -o cat | grep -c 'Entering MASTER'"
    before = host.check_output(entered)
    assert "changed=1 " in converge("--check", keepalived_advert_interval_seconds=0.4).stdout
    assert converge(keepalived_advert_interval_seconds=0.4).returncode == 0
    assert holds(host)
    assert converge().returncode == 0
    assert holds(host)
    assert host.check_output(entered) == before
    assert "changed=0 " in converge().stdout


def test_a_run_that_was_interrupted_is_made_good(host, held, converge):
    # As a run leaves it that wrote the file and died before the reload.
    host.check_output("sed -i s/^/#/ /etc/keepalived/keepalived.conf && sed -i s/^#// /etc/keepalived/keepalived.conf")
    assert "changed=0 " not in converge().stdout
    assert "changed=0 " in converge().stdout


def test_the_checks_run_without_rights(host, held):
    users = host.check_output(
        "for _ in $(seq 100); do ps -o user= -C nginx_answers -C nginx_listens || :; sleep 0.02; done | sort -u"
    )
    assert users == "nobody"


def test_the_sandbox(host):
    seen = host.run("systemd-analyze security --no-pager --threshold=28 keepalived.service")
    assert seen.rc == 0, seen.stdout


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"keepalived_address": "192.0.2.10"},
            "keepalived_address: '192.0.2.10'; expected an IP address with its prefix",
        ),
        ({"keepalived_peers": []}, "keepalived_peers: []; expected the address of at least one other edge"),
        ({"keepalived_interface": "eth9"}, "keepalived_interface: 'eth9'; expected an interface of this host"),
        ({"keepalived_router_id": 256}, "keepalived_router_id: 256; expected 1 to 255"),
        (
            {"keepalived_own_address": "192.0.2.9"},
            "keepalived_own_address: 192.0.2.9; expected an address that an interface",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_changes(host, converge, variables, told):
    before = host.check_output("sha256sum /etc/keepalived/keepalived.conf")
    refused = converge(**variables)
    assert refused.returncode != 0
    assert told in " ".join((refused.stdout + refused.stderr).split())
    assert "changed=0 " in refused.stdout
    assert host.check_output("sha256sum /etc/keepalived/keepalived.conf") == before
