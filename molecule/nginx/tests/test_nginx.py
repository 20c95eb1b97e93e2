"""The edge as its clients and its operators meet it: by requests to real members."""

from __future__ import annotations

import json
import shlex
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.support.edge import CURL, answer, await_value, curl, meanwhile_all
from tests.support.playbook import message

PORTS = ("3911", "3912", "3913")
SOCKET = "/var/lib/slipway/nginx/admin.sock"
STATES = "/var/lib/slipway/pool"


OUT = json.dumps({"members": {f"test:{port}": {"state": "out"} for port in (*PORTS, "3919")}})
# Members that come back from "out" come back without the failures of the time before.
RESET = f"""set -e
systemctl start {" ".join(f"slipway-test-backend@{port}" for port in PORTS)}
for port in {" ".join(map(str, PORTS))}; do
  for try in $(seq 50); do curl -sf -o /dev/null http://127.0.0.1:$port/ && break; sleep 0.1; done
done
for pool in shop sticky board gone; do
  echo '{OUT}' > {STATES}/$pool.json
done
curl -sf --unix-socket {SOCKET} -X POST http://edge/sync > /dev/null
rm -f {STATES}/*.json
curl -sf --unix-socket {SOCKET} -X POST http://edge/sync > /dev/null
"""


@pytest.fixture(autouse=True)
def everybody_is_back(host):
    """Every member runs, is active, and has no failures on its record."""
    yield
    host.check_output(RESET)


def report(host):
    return json.loads(host.check_output(f"curl -sf --unix-socket {SOCKET} http://edge/pools"))


def members(host, pool):
    return {member["name"][-4:]: member for member in report(host)["pools"][pool]["members"]}


def sync(host):
    return host.run(f"curl -s --unix-socket {SOCKET} -X POST -w '%{{http_code}}' http://edge/sync")


def write_states(host, pool, states):
    text = shlex.quote(json.dumps({"members": states}))
    host.check_output(f"echo {text} > {STATES}/.new && mv {STATES}/.new {STATES}/{pool}.json")


def take_out(host, pool, *ports, state="draining"):
    write_states(host, pool, {f"test:{port}": {"state": state, "owner": "test", "reason": "t"} for port in ports})
    assert sync(host).stdout.endswith("200")


def client(host, *words):
    return json.loads(host.check_output("python3 /opt/slipway-test/client.py " + " ".join(map(str, words))))


@contextmanager
def meanwhile(host, *words, until_the_end=True):
    """The same with one client."""
    with meanwhile_all(host, words, until_the_end=until_the_end) as seen:
        yield seen[0]


def in_flight(host, pool):
    return {port: member["in_flight"] for port, member in members(host, pool).items()}


def websockets_and_requests(host, pool):
    """How many of either a pool has."""
    now = members(host, pool).values()
    return sum(member["websockets"] for member in now), sum(member["in_flight"] for member in now)


def nothing_in_flight(host):
    end = time.monotonic() + 10
    while True:
        busy = [
            member
            for pool in report(host)["pools"].values()
            for member in pool["members"]
            if member["in_flight"] or member["websockets"]
        ]
        if not busy:
            return True
        if time.monotonic() > end:
            return busy
        time.sleep(0.2)


# What clients get ------------------------------------------------------------------------------------------------


def test_http_is_sent_to_https_with_the_method_kept(host):
    status, headers, _ = answer(host, "-X POST 'http://shop.test/a%20b?c=d'")
    assert " 308 " in f"{status} "
    assert ("location", "https://shop.test/a%20b?c=d") in headers


@pytest.mark.parametrize("url", ["http://other.test/", "https://other.test/"])
def test_an_unknown_name_gets_no_answer(host, url):
    ended = host.run(f"{CURL} -i {url}")
    assert ended.rc != 0
    assert ended.stdout == ""


@pytest.mark.parametrize("name", ["shop.test", "www.shop.test", "xn--bcher-kva.test"])
def test_each_name_of_an_application_reaches_it_over_http2(host, name):
    status, headers, body = answer(host, f"https://{name}/whoami")
    assert status == "HTTP/2 200"
    assert json.loads(body)["headers"]["host"] == name
    assert dict(headers)["server"] == "nginx"


def test_an_old_protocol_is_refused(host):
    old = host.run(
        "curl -sk --tls-max 1.1 --ciphers 'DEFAULT@SECLEVEL=0' --resolve '*:443:127.0.0.1' https://shop.test/"
    )
    assert old.rc == 35
    assert "TLSv1.2" in host.run(f"{CURL} -v --tls-max 1.2 https://shop.test/").stderr


def test_clients_get_security_headers_once_and_the_applications_own_win(host):
    headers = answer(host, "https://shop.test/whoami")[1]
    assert ("strict-transport-security", "max-age=63072000") in headers
    assert ("x-content-type-options", "nosniff") in headers
    assert ("referrer-policy", "strict-origin-when-cross-origin") in headers
    assert [value for name, value in headers if name == "x-frame-options"] == ["SAMEORIGIN"]
    own = answer(host, "https://shop.test/own")[1]
    assert [value for name, value in own if name == "x-frame-options"] == ["DENY"]


def test_the_application_gets_what_it_needs_to_know(host):
    _, headers, body = answer(host, "-H 'X-Forwarded-For: 203.0.113.9' -H 'Proxy: evil' https://shop.test/whoami")
    got = json.loads(body)["headers"]
    assert got["x-real-ip"] == "127.0.0.1"
    assert got["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert (got["x-forwarded-proto"], got["x-forwarded-host"], got["x-forwarded-port"]) == ("https", "shop.test", "443")
    assert got["x-request-id"] == dict(headers)["x-request-id"]
    assert len(got["x-request-id"]) == 32
    assert "proxy" not in got


def test_a_body_above_the_limit_is_refused(host):
    host.check_output("head -c 2000000 /dev/zero > /tmp/slipway-test-body")
    assert " 413" in answer(host, "--data-binary @/tmp/slipway-test-body https://shop.test/x")[0]
    host.check_output("head -c 900000 /dev/zero > /tmp/slipway-test-body")
    assert " 200" in answer(host, "--data-binary @/tmp/slipway-test-body https://shop.test/x")[0]
    host.check_output("rm /tmp/slipway-test-body")


def test_static_files_come_from_this_host_for_a_year(host):
    status, headers, body = answer(host, "https://shop.test/assets/site.css")
    assert status == "HTTP/2 200"
    assert body == "body { color: black }"
    assert [value for name, value in headers if name == "cache-control"] == ["public, max-age=31536000, immutable"]
    assert dict(headers)["x-content-type-options"] == "nosniff"
    assert " 404" in answer(host, "--path-as-is https://shop.test/assets/../../../etc/passwd")[0] or "root:" not in body


def test_the_log_is_json_without_queries_and_without_health_checks(host):
    mark = f"m{time.monotonic_ns()}"
    curl(host, f"https://shop.test/{mark}?token=secret -A '\"quoted\"'")
    curl(host, f"https://shop.test/livez?{mark}")

    def lines_of_mark():
        return [line for line in host.check_output("tail -n 50 /var/log/nginx/access.log").splitlines() if mark in line]

    await_value(lambda: lines_of_mark() != [], True)
    # Each worker writes its part of the log every second: by then a health check would be in it, too.
    time.sleep(1.5)
    lines = lines_of_mark()
    assert len(lines) == 1
    entry = json.loads(lines[0])
    assert entry["path"] == f"/{mark}"
    assert entry["application"] == "shop"
    assert entry["status"] == 200
    assert entry["member"].startswith("127.0.0.1:39")
    assert entry["user_agent"] == '"quoted"'
    assert float(entry["member_seconds"]) >= 0
    assert "secret" not in lines[0]


# Pools -----------------------------------------------------------------------------------------------------------


def test_requests_go_to_the_member_with_the_fewest_in_flight(host):
    with meanwhile(host, "load", "shop.test", "/slow?seconds=15", 1, 3) as seen:
        await_value(lambda: in_flight(host, "shop"), dict.fromkeys(PORTS, 1))
    assert set(seen["members"]) == set(PORTS)
    assert nothing_in_flight(host) is True


def test_a_hashed_client_stays_and_only_the_clients_of_a_member_that_leaves_move(host):
    take_out(host, "sticky", "3919", state="out")
    before = client(host, "spread", "sticky.test", "/whoami", 240)
    assert client(host, "spread", "sticky.test", "/whoami", 240) == before
    shares = Counter(before.values())
    assert set(shares) == set(PORTS)
    assert min(shares.values()) > 240 / 3 * 0.65
    take_out(host, "sticky", "3919", "3912")
    after = client(host, "spread", "sticky.test", "/whoami", 240)
    assert all(after[source] == member for source, member in before.items() if member != "3912")
    moved = Counter(after[source] for source, member in before.items() if member == "3912")
    assert set(moved) == {"3911", "3913"}


def test_a_member_that_is_gone_costs_no_request(host):
    """Nobody listens at port 3919."""
    answers = client(host, "spread", "sticky.test", "/whoami", 60)
    assert set(answers.values()) == set(PORTS)
    gone = members(host, "sticky")["3919"]
    assert gone["failures"] >= 3
    assert gone["failing"] is True
    assert client(host, "load", "sticky.test", "/whoami", 1, 4)["statuses"].keys() == {"200"}


def test_websockets_echo_stick_to_their_client_and_are_counted_apart(host):
    with meanwhile(host, "sockets", "shop.test", "/ws", 30, 15) as seen:
        await_value(lambda: websockets_and_requests(host, "shop"), (30, 0))
        there = {port: member["websockets"] for port, member in members(host, "shop").items()}
    assert seen["broke"] == {}
    assert seen["lasted"] == there
    assert client(host, "sockets", "shop.test", "/ws/chat", 30, 0.3)["lasted"] == there
    assert nothing_in_flight(host) is True


def test_a_websocket_application_takes_them_everywhere_but_plain_requests_too(host):
    assert client(host, "sockets", "board.test", "/", 2, 0.2) == {"lasted": {"3911": 2}, "broke": {}}
    assert client(host, "load", "board.test", "/any", 0.5, 2)["members"].keys() == {"3911"}
    assert client(host, "sockets", "shop.test", "/wsx", 1, 0.2)["lasted"] == {}


def test_members_leave_and_come_back_under_load_without_a_failure_or_a_reload(host):
    masters = host.check_output("pgrep -P $(cat /run/nginx.pid)")
    load = ("load", "shop.test", "/whoami", 30, 8)
    with meanwhile_all(host, load, (*load, "POST")) as (gets, posts):
        time.sleep(1)
        for subset, signal in ((["3911"], "KILL"), (["3912", "3913"], "TERM"), (["3913"], "KILL")):
            take_out(host, "shop", *subset)
            await_value(lambda subset=subset: [in_flight(host, "shop")[port] for port in subset], [0] * len(subset))
            for port in subset:
                host.check_output(f"systemctl kill --signal={signal} slipway-test-backend@{port}")
            time.sleep(1)
            for port in subset:
                host.check_output(
                    f"systemctl reset-failed slipway-test-backend@{port}; systemctl start slipway-test-backend@{port}"
                )
            for _ in range(50):
                if all(host.run(f"curl -sf http://127.0.0.1:{port}/").rc == 0 for port in subset):
                    break
                time.sleep(0.1)
            take_out(host, "shop")
    for seen in (gets, posts):
        assert seen["errors"] == []
        assert seen["statuses"].keys() == {"200"}
        assert seen["statuses"]["200"] > 1000
        assert set(seen["members"]) == set(PORTS)
    assert host.check_output("pgrep -P $(cat /run/nginx.pid)") == masters
    assert nothing_in_flight(host) is True


def test_a_drained_member_gets_nothing_new_and_keeps_its_websockets(host):
    with meanwhile(host, "sockets", "shop.test", "/ws", 30, 25) as seen:
        await_value(lambda: websockets_and_requests(host, "shop"), (30, 0))
        there = {port: member["websockets"] for port, member in members(host, "shop").items()}
        assert min(there.values()) > 0
        take_out(host, "shop", "3911")
        assert "3911" not in client(host, "load", "shop.test", "/whoami", 1, 4)["members"]
        assert "3911" not in client(host, "sockets", "shop.test", "/ws", 30, 0.2)["lasted"]
        assert members(host, "shop")["3911"]["state"] == "draining"
        assert members(host, "shop")["3911"]["owner"] == "test"
    assert seen["broke"] == {}
    assert seen["lasted"] == there


def test_with_all_members_out_there_is_an_answer_at_once(host):
    take_out(host, "shop", *PORTS, state="out")
    status, headers, _ = answer(host, "https://shop.test/whoami")
    assert status == "HTTP/2 503"
    assert ("retry-after", "5") in headers
    take_out(host, "shop")
    assert answer(host, "https://shop.test/whoami")[0] == "HTTP/2 200"


def test_a_member_killed_under_load_costs_no_get(host):
    with meanwhile(host, "load", "shop.test", "/slow?seconds=0.02", 10, 16) as seen:
        time.sleep(2)
        host.check_output("systemctl kill --signal=KILL slipway-test-backend@3912")
    assert seen["errors"] == []
    assert seen["statuses"].keys() == {"200"}
    assert members(host, "shop")["3912"]["failing"] is True
    assert nothing_in_flight(host) is True


def test_a_host_that_drops_packets_costs_no_get(host):
    host.check_output("nft add table inet slipway_test")
    host.check_output("nft add chain inet slipway_test input '{ type filter hook input priority 0; }'")
    try:
        with meanwhile(host, "load", "gone.test", "/whoami", 12, 8) as seen:
            time.sleep(2)
            host.check_output("nft add rule inet slipway_test input tcp dport 3912 drop")
    finally:
        host.check_output("nft delete table inet slipway_test")
    assert seen["errors"] == []
    assert seen["statuses"].keys() == {"200"}
    assert seen["slowest"] < 9


def test_failures_never_empty_a_pool(host):
    host.check_output("systemctl stop " + " ".join(f"slipway-test-backend@{port}" for port in PORTS))
    assert client(host, "load", "shop.test", "/whoami", 1, 4)["statuses"].keys() == {"502"}
    assert all(member["failing"] for member in members(host, "shop").values())
    host.check_output("systemctl start slipway-test-backend@3913")
    for _ in range(50):
        if host.run("curl -sf http://127.0.0.1:3913/").rc == 0:
            break
        time.sleep(0.1)
    assert client(host, "load", "shop.test", "/whoami", 1, 4)["statuses"].keys() == {"200"}
    assert members(host, "shop")["3913"]["failing"] is False


def test_an_answer_of_the_application_is_no_failure(host):
    before = sum(member["failures"] for member in members(host, "shop").values())
    assert client(host, "load", "shop.test", "/status?code=502", 1, 4)["statuses"].keys() == {"502"}
    assert sum(member["failures"] for member in members(host, "shop").values()) == before


def test_internal_redirects_are_counted_once_each(host):
    for _ in range(20):
        assert json.loads(curl(host, "'https://shop.test/redirect?to=/whoami'"))["path"] == "/whoami"
    assert nothing_in_flight(host) is True


def test_clients_that_leave_are_not_counted_on(host):
    host.run(f"{CURL} --max-time 0.3 'https://shop.test/slow?seconds=30'")
    assert nothing_in_flight(host) is True


# Operation -------------------------------------------------------------------------------------------------------


def test_states_survive_reload_restart_and_the_death_of_worker_and_master(host):
    take_out(host, "shop", "3911", state="out")
    for disturbance in (
        "systemctl reload nginx",
        "systemctl restart nginx",
        "kill -9 $(pgrep -P $(cat /run/nginx.pid) | head -n 1)",
        "kill -9 $(cat /run/nginx.pid)",
    ):
        host.check_output(disturbance)
        for _ in range(100):
            if host.run(f"curl -sf --unix-socket {SOCKET} http://edge/pools").rc == 0:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        assert {port: member["state"] for port, member in members(host, "shop").items()} == {
            "3911": "out",
            "3912": "active",
            "3913": "active",
        }, disturbance
        assert "3911" not in client(host, "load", "shop.test", "/whoami", 0.5, 4)["members"], disturbance


def test_what_a_killed_worker_had_in_flight_is_forgotten(host):
    workers = set(processes(host))
    # Its connections break with the worker, so the client ends at once.
    with meanwhile(host, "sockets", "shop.test", "/ws", 20, 30, until_the_end=False) as seen:
        await_value(lambda: websockets_and_requests(host, "shop"), (20, 0))
        host.check_output("kill -9 $(pgrep -P $(cat /run/nginx.pid))")
        await_value(lambda: len(set(processes(host)) - workers), len(workers))
        assert nothing_in_flight(host) is True
    assert sum(seen["broke"].values()) == 20


def test_a_state_file_that_is_not_understood_changes_nothing(host):
    take_out(host, "shop", "3911")
    for text in ("{", '{"members": {"test:3911": {"state": "gone"}}}', '{"members": 3}'):
        host.check_output(f"echo {shlex.quote(text)} > {STATES}/shop.json")
        body, _, status = sync(host).stdout.partition("\n")
        assert status == "500"
        assert "/var/lib/slipway/pool/shop.json: " in json.loads(body)["error"]
        host.check_output("systemctl reload nginx")
        time.sleep(0.5)
        assert members(host, "shop")["3911"]["state"] == "draining"


def test_the_admin_socket_is_for_root_alone(host):
    assert host.run(f"su -s /bin/sh www-data -c 'curl -s --unix-socket {SOCKET} http://edge/pools'").rc == 7
    assert "Active connections" in host.check_output(f"curl -s --unix-socket {SOCKET} http://edge/status")
    assert (
        host.check_output(f"curl -s -o /dev/null -w '%{{http_code}}' --unix-socket {SOCKET} http://edge/sync") == "405"
    )


def test_the_unit_is_sandboxed_and_has_its_limits(host):
    # Ten times what it says.
    host.check_output("systemd-analyze security --threshold=30 nginx.service")
    assert host.check_output("systemctl show -p LimitNOFILE --value nginx.service") == "65536"


def test_nginx_runs_the_files_as_they_are(host):
    assert report(host)["stale_files"] == []
    host.check_output("nginx -t")


# Runs of the role ------------------------------------------------------------------------------------------------


def processes(host):
    """Those of the workers."""
    return host.run("pgrep -P $(cat /run/nginx.pid)").stdout.split()


def test_a_change_of_the_pools_alone_is_synced_without_a_reload(host, converge):
    workers, generation = processes(host), report(host)["generation"]
    done = converge(nginx_max_fails=5)
    assert done.returncode == 0
    assert report(host)["generation"] > generation
    assert report(host)["stale_files"] == []
    assert converge().returncode == 0
    assert processes(host) == workers


def test_a_change_of_the_configuration_is_reloaded_without_a_restart(host, converge):
    master, workers = host.check_output("cat /run/nginx.pid"), processes(host)
    assert converge(nginx_hsts_seconds=60).returncode == 0
    assert dict(answer(host, "https://shop.test/whoami")[1])["strict-transport-security"] == "max-age=60"
    assert host.check_output("cat /run/nginx.pid") == master
    assert converge().returncode == 0
    assert not set(processes(host)) & set(workers)


def test_a_renewed_certificate_is_served_after_the_next_run(host, converge):
    host.check_output("make-ssl-cert generate-default-snakeoil --force-overwrite")
    assert report(host)["stale_files"] == ["/etc/ssl/certs/ssl-cert-snakeoil.pem"]
    assert "changed=0 " not in converge("--check").stdout
    assert converge().returncode == 0
    served = host.check_output(
        "echo | openssl s_client -connect 127.0.0.1:443 -servername shop.test 2>/dev/null"
        " | openssl x509 -noout -fingerprint"
    )
    assert served == host.check_output("openssl x509 -in /etc/ssl/certs/ssl-cert-snakeoil.pem -noout -fingerprint")
    assert "changed=0 " in converge().stdout


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"nginx_certificate": "/nowhere/host.crt"}, "/nowhere/host.crt"),
        ({"nginx_worker_connections": 65536}, "expected at most half of nginx_nofile (65536)"),
        ({"nginx_applications": [{"name": "a"}, {"name": "b"}]}, "a, b have no server_names"),
        ({"nginx_codename": "sid"}, "bookworm, trixie"),
    ],
)
def test_what_cannot_be_served_is_refused_and_nothing_is_touched(host, converge, variables, told):
    look = "sha256sum $(find /etc/nginx/slipway /etc/nginx/nginx.conf -type f | sort); cat /run/nginx.pid"
    before = host.check_output(look)
    refused = converge(**variables)
    assert refused.returncode != 0
    assert told in message(refused)
    assert host.check_output(look) == before
    assert answer(host, "https://shop.test/whoami")[0] == "HTTP/2 200"


def test_an_application_without_names_answers_to_all_that_no_other_has(host, converge):
    member = {"name": "test:3911", "address": "127.0.0.1", "port": 3911}
    applications = [{"name": "rest", "members": [member]}, {"name": "empty", "server_names": ["empty.test"]}]
    others = {"nginx_token_keys": {}, "nginx_assets": []}
    assert converge(nginx_applications=applications, **others).returncode == 0
    assert answer(host, "https://whatever.test/whoami")[0] == "HTTP/2 200"
    assert ("location", "https://whatever.test/") in answer(host, "http://whatever.test/")[1]
    assert answer(host, "https://empty.test/")[0] == "HTTP/2 503"
    assert not host.file("/etc/nginx/slipway/applications/shop.conf").exists
    assert converge().returncode == 0
    assert answer(host, "https://shop.test/whoami")[0] == "HTTP/2 200"
