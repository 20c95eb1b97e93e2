"""Certificates over ACME, from Pebble on the same host, while the edge answers."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager

import pytest

from tests.support.playbook import message

PLAYBOOK = "acme.yml"
DIRECTORY = "/etc/slipway/tls"
SOCKET = "/var/lib/slipway/nginx/admin.sock"
CURL = "curl -sk --max-time 20 --resolve '*:443:127.0.0.1' --resolve '*:80:127.0.0.1'"
HOSTS = "127.0.0.1 shop.test www.shop.test xn--bcher-kva.test # slipway-test"

# As certbot's timer does it, which knows of the private authority.
RENEW = (
    "REQUESTS_CA_BUNDLE=/etc/slipway/acme/ca.crt"
    " certbot renew --cert-name slipway-shop --force-renewal --quiet --no-random-sleep-on-renew"
)

# Debian has it in one release; its program runs on the next one, too.
BRING_PEBBLE = r"""set -e
command -v pebble > /dev/null && exit 0
cd "$(mktemp -d)"
mkdir -p parts lists/partial
for file in /etc/apt/sources.list.d/*.sources; do sed s/trixie/bookworm/ "$file" > parts/$(basename "$file"); done
options="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$PWD/parts -o Dir::State::Lists=$PWD/lists"
apt-get $options -q update
apt-get $options -q download pebble
dpkg-deb -x pebble_*.deb x
install -m 755 x/usr/bin/pebble /usr/local/bin/pebble
"""
PEBBLE = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/run/slipway-pebble/host.crt",
        "privateKey": "/run/slipway-pebble/host.key",
        "httpPort": 80,
        "tlsPort": 443,
        "certificateValidityPeriod": 7776000,
    }
}


@pytest.fixture(scope="module")
def forgotten(host):
    """Certbot knows nothing of an earlier run, and nothing stays when the tests are done."""

    def forget():
        host.check_output(
            "systemctl stop slipway-pebble 2>/dev/null;"
            "rm -rf /etc/letsencrypt /var/lib/slipway/acme /run/slipway-pebble /etc/slipway/acme"
            f" /etc/systemd/system/certbot.service.d {DIRECTORY}/shop.* {DIRECTORY}/board.*;"
            # The file is mounted, so it cannot be replaced.
            "sed '/# slipway-test/d' /etc/hosts > /tmp/hosts; cat /tmp/hosts > /etc/hosts; rm /tmp/hosts"
        )

    forget()
    yield
    host.run("systemctl stop nginx")
    forget()


@pytest.fixture(scope="module")
def edge(host, run_playbook, forgotten):
    """An edge that serves what it was lent, and an authority that reaches it."""
    first = run_playbook(acme=False)
    assert first.returncode == 0, first.stdout
    host.check_output(BRING_PEBBLE)
    config = shlex.quote(json.dumps(PEBBLE))
    host.check_output(f"mkdir -p /run/slipway-pebble && echo {config} > /run/slipway-pebble/config.json")
    host.check_output(f"cp {DIRECTORY}/host.* /run/slipway-pebble")
    host.check_output(f"echo {shlex.quote(HOSTS)} >> /etc/hosts")
    start_pebble(host)
    return {"lent": serial(host, "shop.test")}


def start_pebble(host):
    host.check_output(
        "systemd-run --quiet --unit=slipway-pebble --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_WFE_NONCEREJECT=0"
        " $(command -v pebble) -config /run/slipway-pebble/config.json"
    )
    for _ in range(100):
        if host.run("curl -sk https://localhost:14000/dir").rc == 0:
            return
        time.sleep(0.1)
    raise AssertionError(host.run("journalctl -u slipway-pebble").stdout)


@pytest.fixture(scope="module")
def issued(host, run_playbook, edge):
    """The first certificates."""
    done = run_playbook()
    assert done.returncode == 0, done.stdout
    return edge


def serial(host, name):
    return host.check_output(
        f"echo | openssl s_client -connect 127.0.0.1:443 -servername {name} 2>/dev/null | openssl x509 -noout -serial"
    )


def workers(host):
    return host.check_output("pgrep -P $(cat /run/nginx.pid)").split()


def installed(host):
    return host.check_output(f"sha256sum {DIRECTORY}/*.crt {DIRECTORY}/*.key")


@contextmanager
def meanwhile(host, *clients):
    """Run clients while the body of the block runs; what each saw is in its mapping afterwards."""
    units = [f"slipway-test-client-{time.monotonic_ns()}-{number}" for number in range(len(clients))]
    seen = [{} for _ in clients]
    try:
        for unit, words in zip(units, clients):
            host.check_output(
                f"systemd-run --quiet --unit={unit} --property=StandardOutput=file:/run/{unit}.json "
                f"--property=RemainAfterExit=true /usr/bin/python3 /opt/slipway-test/client.py {words}"
            )
        time.sleep(1)
        yield seen
        states = [host.check_output(f"systemctl show -p SubState --value {unit}") for unit in units]
        assert states == ["running"] * len(units), "a client ended before the body did"
        for unit, found in zip(units, seen):
            for _ in range(900):
                if host.check_output(f"systemctl show -p SubState --value {unit}") != "running":
                    break
                time.sleep(0.1)
            found.update(json.loads(host.check_output(f"cat /run/{unit}.json")))
    finally:
        host.run(f"systemctl stop {' '.join(units)}; rm -f {' '.join(f'/run/{unit}.json' for unit in units)}")


def test_until_there_is_one_the_hosts_own_is_lent_and_the_edge_answers(host, edge):
    assert edge["lent"] == host.check_output(f"openssl x509 -in {DIRECTORY}/host.crt -noout -serial")
    assert host.check_output(f"{CURL} -o /dev/null -w '%{{http_code}}' https://shop.test/whoami") == "200"


def test_the_first_certificates_are_served_at_once_without_a_reload(host, converge, edge):
    before = workers(host)
    done = converge()
    assert done.returncode == 0, done.stdout
    assert workers(host) == before
    host.check_output("curl -sk https://localhost:15000/roots/0 > /run/slipway-pebble/root.pem")
    for name in ("shop.test", "www.shop.test", "xn--bcher-kva.test"):
        host.check_output(
            f"echo | openssl s_client -connect 127.0.0.1:443 -servername {name} -verify_hostname {name}"
            " -verify_return_error -CAfile /run/slipway-pebble/root.pem"
        )
    assert serial(host, "own.test") == edge["lent"]
    assert "id-ecPublicKey" in host.check_output(f"openssl x509 -in {DIRECTORY}/shop.crt -noout -text")
    key = host.file(f"{DIRECTORY}/shop.key")
    assert (key.mode, key.user, key.group) == (0o640, "root", "ssl-cert")
    assert host.run(f"su -s /bin/sh nobody -c 'cat {DIRECTORY}/shop.key'").rc != 0


def test_another_run_changes_nothing(host, issued, converge):
    before = workers(host)
    again = converge()
    assert "changed=0 " in again.stdout, again.stdout
    assert "changed=0 " in converge("--check", edge=False).stdout
    assert workers(host) == before


def test_a_renewal_drops_no_connection_and_is_served_at_once(host, issued):
    before, old = workers(host), serial(host, "shop.test")
    load = "load shop.test /whoami 30 4"
    with meanwhile(host, load, f"{load} POST", "sockets shop.test /ws 20 30") as (gets, posts, sockets):
        host.check_output(RENEW)
        new = serial(host, "shop.test")
        assert new != old
        assert new == host.check_output(f"openssl x509 -in {DIRECTORY}/shop.crt -noout -serial")
    for seen in (gets, posts):
        assert seen["errors"] == []
        assert seen["statuses"].keys() == {"200"}
        assert seen["statuses"]["200"] > 500
    assert sockets["broke"] == {}
    assert sum(sockets["lasted"].values()) == 20
    assert workers(host) == before


def test_clients_resume_their_sessions_across_a_renewal(host, issued):
    for version in ("-tls1_2", "-tls1_3"):
        connect = f"openssl s_client -connect 127.0.0.1:443 -servername shop.test {version}"
        host.check_output(f"(sleep 1; echo) | {connect} -sess_out /run/slipway-pebble/session > /dev/null 2>&1")
        host.check_output(RENEW)
        assert "Reused, " in host.check_output(f"echo | {connect} -sess_in /run/slipway-pebble/session 2>/dev/null")


def test_the_timer_renews_with_the_same_hook_and_makes_good_what_failed(host, issued):
    assert host.check_output("systemctl is-enabled certbot.timer") == "enabled"
    assert host.check_output("systemctl is-active certbot.timer") == "active"
    good = serial(host, "shop.test")
    # As if the hook of a renewal had failed.
    host.check_output(f"cp {DIRECTORY}/board.crt {DIRECTORY}/shop.crt")
    host.check_output("systemctl start certbot.service")
    assert serial(host, "shop.test") == good
    assert host.check_output(f"openssl x509 -in {DIRECTORY}/shop.crt -noout -serial") == good
    # It also talks to the authority by itself.
    host.check_output("sed -i 's/^# renew_before_expiry.*/renew_before_expiry = 3000 days/' /etc/letsencrypt/renewal/*")
    host.check_output("systemctl start certbot.service")
    assert serial(host, "shop.test") != good


def test_a_pair_that_does_not_fit_is_not_installed(host, issued):
    before, served = installed(host), serial(host, "shop.test")
    live = "/etc/letsencrypt/live/slipway-shop"
    host.check_output(f"cp -P {live}/privkey.pem /run/slipway-pebble/ && rm {live}/privkey.pem")
    try:
        host.check_output(f"openssl ecparam -name prime256v1 -genkey -noout -out {live}/privkey.pem")
        refused = host.run(f"RENEWED_LINEAGE={live} /usr/local/lib/slipway/acme-install")
        assert refused.rc == 1
        assert "slipway-shop: not installed, what is in use stays: " in refused.stderr
        assert "is not the key of" in refused.stderr
    finally:
        host.check_output(f"mv -f /run/slipway-pebble/privkey.pem {live}/privkey.pem")
    assert installed(host) == before
    assert serial(host, "shop.test") == served


def test_changed_names_are_asked_for_and_those_no_longer_declared_forgotten(host, issued, converge):
    shop = {"name": "shop", "mode": "acme", "names": ["shop.test"]}
    predicted = converge("--check", edge=False, tls_certificates=[shop])
    assert predicted.returncode == 0
    assert "changed=0 " not in predicted.stdout
    before = workers(host)
    assert converge(edge=False, tls_certificates=[shop]).returncode == 0
    names = host.check_output(f"openssl x509 -in {DIRECTORY}/shop.crt -noout -ext subjectAltName")
    assert "www.shop.test" not in names
    assert not host.file("/etc/letsencrypt/live/slipway-board").exists
    # The file stays, since nginx may still name it.
    assert host.file(f"{DIRECTORY}/board.crt").exists
    assert converge(edge=False).returncode == 0
    assert host.file("/etc/letsencrypt/live/slipway-board").exists
    assert workers(host) == before


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"tls_acme_directory_url": "https://localhost:14000/wrong"},
            "https://localhost:14000/wrong gave no certificate",
        ),
        ({"tls_acme_directory_url": "https://localhost:14999/dir"}, "https://localhost:14999/dir gave no certificate"),
        (
            {"tls_certificates": [{"name": "shop", "mode": "acme", "names": ["shop.test", "nowhere.invalid"]}]},
            "nowhere.invalid",
        ),
    ],
)
def test_an_authority_that_gives_none_is_named_and_nginx_goes_on(host, issued, converge, variables, told):
    before, served, running = installed(host), serial(host, "shop.test"), workers(host)
    failed = converge(edge=False, **variables)
    assert failed.returncode != 0
    assert told in message(failed)
    assert installed(host) == before
    assert serial(host, "shop.test") == served
    assert workers(host) == running
    assert host.check_output(f"{CURL} -o /dev/null -w '%{{http_code}}' https://shop.test/whoami") == "200"
    assert converge(edge=False).returncode == 0


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"tls_acme_terms_agreed": False}, "tls_acme_terms_agreed: false; expected true"),
        (
            {"tls_certificates": [{"name": "shop", "mode": "acme", "names": ["*.shop.test"]}]},
            "tls_certificates[0] (shop).names: '*.shop.test'; expected a host name",
        ),
        ({"tls_acme_ca_file": "/nowhere/ca.crt"}, "tls_acme_ca_file: /nowhere/ca.crt on the controller is not a file"),
    ],
)
def test_what_acme_cannot_do_is_refused_before_anything_changes(host, issued, converge, variables, told):
    before = installed(host)
    refused = converge(**variables)
    assert refused.returncode != 0
    assert told in message(refused)
    assert "changed=0 " in refused.stdout
    assert installed(host) == before


def test_challenges_are_answered_for_every_name_and_asked_of_peers_once(host, issued, converge):
    """The peer is this host itself: a circle, if the question were passed on twice."""
    webroot = "/var/lib/slipway/acme/.well-known/acme-challenge"
    host.check_output(f"mkdir -p {webroot} && echo proof > {webroot}/token")
    look = f"{CURL} -w ' %%{{http_code}}' http://%s/.well-known/acme-challenge/%s"
    try:
        for name in ("shop.test", "own.test", "unknown.test"):
            assert host.check_output(look % (name, "token")) == "proof\n 200"
            assert host.check_output(look % (name, "other")).endswith(" 404")
        assert converge(nginx_acme_peers=["127.0.0.1"]).returncode == 0
        assert host.check_output(look % ("shop.test", "other")).endswith(" 404")
        assert host.check_output(look % ("shop.test", "token")) == "proof\n 200"
    finally:
        host.check_output(f"rm -rf {webroot}/token")
        assert converge().returncode == 0
