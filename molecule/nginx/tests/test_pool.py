"""Pools as who runs deploys meets them: states that are read at once, by every worker, whatever happens meanwhile."""

from __future__ import annotations

import json
import shlex
import time
from collections import Counter

import pytest

from tests.support.edge import CURL, answer, await_value, curl

PORTS = ("3911", "3912", "3913")
SOCKET = "/var/lib/slipway/nginx/admin.sock"
STATES = "/var/lib/slipway/pool"
UPGRADE = (
    "--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' "
    "-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='"
)


@pytest.fixture(autouse=True)
def everybody_is_back(host):
    """Every member runs, none has a state, and, as who comes back from "out", none has failures on its record."""
    yield
    host.check_output("systemctl start " + " ".join(f"slipway-test-backend@{port}" for port in PORTS))
    for pool in ("shop", "sticky", "board", "gone"):
        write_states(host, pool, states("out", *PORTS, "3919"))
    assert sync(host)[0] == "200"
    host.check_output(f"rm -f {STATES}/*.json")
    assert sync(host)[0] == "200"


def members(host, pool):
    text = host.check_output(f"curl -sf --unix-socket {SOCKET} http://edge/pools")
    return {member["name"][-4:]: member for member in json.loads(text)["pools"][pool]["members"]}


def sync(host):
    """Status and what is said."""
    done = host.run(f"curl -s --unix-socket {SOCKET} -X POST -w '\\n%{{http_code}}' http://edge/sync").stdout
    body, _, status = done.rpartition("\n")
    return status, json.loads(body)


def write_states(host, pool, text):
    host.check_output(f"echo {shlex.quote(text)} > {STATES}/.new && mv {STATES}/.new {STATES}/{pool}.json")


def states(state, *ports):
    return json.dumps({"members": {f"test:{port}": {"state": state, "owner": "t"} for port in ports}})


def draining(*ports):
    return states("draining", *ports)


def in_flight(host, pool):
    return {(member["in_flight"], member["websockets"]) for member in members(host, pool).values()}


def by_cookie(host, clients):
    """The member that answers each of these clients, all from one address."""
    ask = f'{CURL} -H "Cookie: a=b; client=$name" https://sticky.test/whoami'
    text = host.check_output(f"for name in {' '.join(map(shlex.quote, clients))}; do {ask}; echo; done")
    return dict(zip(clients, [json.loads(line)["member"] for line in text.splitlines()]))


def test_clients_behind_one_address_are_told_apart_by_their_cookie(host):
    write_states(host, "sticky", draining("3919"))
    assert sync(host)[0] == "200"
    clients = [f"c{number}" for number in range(60)]
    before = by_cookie(host, clients)
    shares = Counter(before.values())
    assert set(shares) == set(PORTS)
    assert min(shares.values()) >= 8
    assert by_cookie(host, clients) == before
    # An empty cookie is none: such clients have their address.
    assert len({by_cookie(host, [""])[""] for _ in range(5)}) == 1
    write_states(host, "sticky", draining("3919", "3911"))
    assert sync(host)[0] == "200"
    after = by_cookie(host, clients)
    assert all(after[name] == member for name, member in before.items() if member != "3911")
    assert {after[name] for name, member in before.items() if member == "3911"} == {"3912", "3913"}


def test_a_file_that_is_not_understood_does_not_keep_others_from_being_taken(host):
    write_states(host, "shop", draining("3911"))
    assert sync(host)[0] == "200"
    write_states(host, "shop", "{")
    write_states(host, "gone", draining("3912"))
    status, said = sync(host)
    assert status == "500"
    assert "/var/lib/slipway/pool/shop.json: is not a JSON object" in said["error"]
    assert members(host, "gone")["3912"]["state"] == "draining"
    assert members(host, "shop")["3911"]["state"] == "draining"


def test_syncs_and_reloads_at_the_same_time_end_with_what_the_files_say(host):
    """Each of them could publish what it read before the other's file was written."""
    ask = f"curl -s -o /dev/null --unix-socket {SOCKET} -X POST http://edge/sync"
    for number in range(12):
        ports = [port for bit, port in enumerate(PORTS) if (number % 7) >> bit & 1]
        text = shlex.quote(draining(*ports))
        reload = "systemctl reload nginx &" if number % 4 == 0 else ""
        host.check_output(
            f"{reload} {ask} & {ask} & echo {text} > {STATES}/.new; mv {STATES}/.new {STATES}/shop.json; {ask}; wait"
        )
        # A reload ends some time after the command; by then it must not have brought an older state back.
        for _ in range(4 if reload else 1):
            drained = [port for port, member in members(host, "shop").items() if member["state"] == "draining"]
            assert drained == ports, number
            time.sleep(0.2 if reload else 0)


@pytest.mark.parametrize(("name", "kind"), [("shop", ""), ("board", UPGRADE)])
def test_requests_whose_members_are_gone_are_counted_down_again(host, name, kind):
    """nginx answers those with an error page, which is an internal redirect."""
    failures = sum(member["failures"] for member in members(host, name).values())
    host.check_output("systemctl stop " + " ".join(f"slipway-test-backend@{port}" for port in PORTS))
    for _ in range(5):
        assert " 502" in answer(host, f"{kind} https://{name}.test/ws")[0]
    await_value(lambda: in_flight(host, name), {(0, 0)})
    assert sum(member["failures"] for member in members(host, name).values()) >= failures + 5


def test_internal_redirects_by_the_application_are_counted_once(host):
    for _ in range(10):
        assert json.loads(curl(host, "'https://shop.test/redirect?to=/whoami'"))["path"] == "/whoami"
        assert curl(host, "'https://shop.test/redirect?to=/assets/site.css'") == "body { color: black }"
    await_value(lambda: in_flight(host, "shop"), {(0, 0)})
