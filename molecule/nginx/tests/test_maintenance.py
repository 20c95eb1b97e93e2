"""The maintenance page as visitors, programs and operators meet it, by requests to the edge."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shlex
import subprocess
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from html import unescape
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
SOCKET = "/var/lib/slipway/nginx/admin.sock"
STATES = "/var/lib/slipway/maintenance"
STATUS = "https://window.test/status/maintenance"
CURL = "curl -sk --max-time 30 --resolve '*:443:127.0.0.1'"
BROWSER = ("-H", "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8")
VISITORS, END_OF_VISITS = "/run/slipway-test-visitors.py", "/run/slipway-test-visitors.end"

END = "=== end of answer ==="
OFF = f"rm -f {STATES}/*.json; curl -sf --unix-socket {SOCKET} -X POST http://edge/sync > /dev/null"


@pytest.fixture(autouse=True)
def nothing_is_in_maintenance(host):
    """Nothing is, whatever the test before left."""
    host.check_output(f"systemctl start nginx; {OFF}")


@pytest.fixture(scope="module", autouse=True)
def nothing_stays_in_maintenance(host):
    yield
    host.check_output(OFF)


def putting(text, application="window"):
    """The command that makes this text the state of an application."""
    return f"echo {shlex.quote(text)} > {STATES}/.new && mv {STATES}/.new {STATES}/{application}.json"


def switching(state, application="window", **values):
    """The command that switches an application to a state."""
    text = putting(json.dumps({"state": state, **values}), application)
    return f"{text} && curl -sf --unix-socket {SOCKET} -X POST http://edge/sync > /dev/null || exit 9"


def switch(host, state, application="window", **values):
    host.check_output(switching(state, application, **values))


def answers(host, *requests):
    """Status, headers and body for each, asked one after another; what is not a tuple is a command in between."""
    steps = [
        f"{CURL} -i {shlex.join(step)}; echo; echo '{END}'" if isinstance(step, tuple) else step for step in requests
    ]
    found = []
    for text in host.check_output("\n".join(steps)).replace("\r", "").split(END)[:-1]:
        head, _, body = text.lstrip("\n").partition("\n\n")
        lines = head.splitlines()
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        found.append((int(lines[0].split()[1]), headers, body[:-1]))
    return found


def answer(host, *words):
    return answers(host, words)[0]


def asking(*sources, words=()):
    """The command that prints the status that each of these addresses gets, over a connection of its own."""
    return "; ".join(
        f"curl -sk -o /dev/null -w '%{{http_code}} ' --interface {source} --connect-to"
        f" ::{'[::1]' if ':' in source else '127.0.0.1'}:443 {shlex.join(words)} https://window.test/whoami"
        for source in sources
    )


def statuses(host, *commands):
    return [int(status) for status in host.check_output("\n".join(commands)).split()]


def sync(host):
    body, _, status = host.check_output(
        f"curl -s --unix-socket {SOCKET} -X POST -w '\n%{{http_code}}' http://edge/sync"
    ).rpartition("\n")
    return int(status), json.loads(body)


def in_seconds(seconds):
    moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# The command that waits until nginx answers.
AWAIT_EDGE = (
    f"for number in $(seq 100); do curl -sf --unix-socket {SOCKET} http://edge/maintenance > /dev/null && break;"
    " sleep 0.1; done"
)


@contextmanager
def meanwhile(host, until_the_end=True, **commands):
    """Run commands while the body of the block runs; what each printed is in the mapping afterwards."""
    seen = {}
    units = {name: f"slipway-test-{name}-{time.monotonic_ns()}" for name in commands}
    try:
        for name, command in commands.items():
            host.check_output(
                f"systemd-run --quiet --unit={units[name]} --property=StandardOutput=file:/run/{units[name]} "
                f"--property=RemainAfterExit=true sh -c {shlex.quote(command)}"
            )
        yield seen
        for name, unit in units.items():
            look = f"systemctl show -p SubState --value {unit}"
            if until_the_end:
                assert host.check_output(look) == "running", f"{name} ended before the body did"
            for _ in range(300):
                if host.check_output(look) != "running":
                    break
                time.sleep(0.1)
            seen[name] = host.check_output(f"cat /run/{unit}")
    finally:
        names = " ".join(units.values())
        host.run(f"systemctl stop {names}; systemctl reset-failed {names}; cd /run && rm -f {names}")


# What visitors get -----------------------------------------------------------------------------------------------


def test_every_request_gets_the_page_and_only_of_this_application(host):
    paths = ("/", "/whoami", "/api/x", "/auth/x", "/livez", "/assets/site.css", "/ws")
    requests = [("-X", method, f"https://window.test{path}") for method in ("GET", "POST", "DELETE") for path in paths]
    off = switching("off")
    *refused, other, after = answers(
        host, switching("on"), *requests, ("https://shop.test/whoami",), off, ("https://window.test/whoami",)
    )
    assert len(refused) == len(requests)
    for status, headers, body in refused:
        assert status == 503
        assert (headers["retry-after"], headers["cache-control"]) == ("300", "no-store")
        assert json.loads(body)["error"] == "maintenance"
    assert (other[0], after[0]) == (200, 200)


def test_people_get_a_page_and_programs_json(host):
    html, program = "text/html; charset=utf-8", "application/json"
    kinds = {
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8": html,
        "TEXT/HTML": html,
        "text/html; charset=utf-8 ; q=0.3, application/json;q=0.2": html,
        "application/json, text/html;q=0.9": program,
        "application/vnd.api+json, text/html;q=0.5": program,
        "application/json": program,
        "text/html;q=0": program,
        "image/avif,image/webp,*/*": program,
        "*/*": program,
        "": program,
        ";;,=q,,/": program,
    }
    requests = [("-H", f"Accept: {accept}", "https://window.test/x") for accept in kinds]
    for accept, (status, headers, _) in zip(kinds, answers(host, switching("on"), *requests)):
        assert (status, headers["content-type"]) == (503, kinds[accept]), accept
        assert "Accept" in headers["vary"]


def test_locations_of_programs_answer_as_json_whoever_asks(host):
    requests = [(*BROWSER, f"https://window.test{path}") for path in ("/api/x", "/auth/x")]
    for _, headers, body in answers(host, switching("on"), *requests):
        assert headers["content-type"] == "application/json"
        assert json.loads(body)["error"] == "maintenance"


def test_json_says_all_that_a_program_needs(host):
    ends, message = in_seconds(1800), 'A "new" database.\nSoon.'
    url = ("https://window.test/x",)
    first, second = answers(host, switching("on", message=message, ends=ends), url, switching("on"), url)
    _, headers, body = first
    assert json.loads(body) == {
        "error": "maintenance",
        "message": message,
        "ends": ends,
        "request_id": headers["x-request-id"],
    }
    assert json.loads(second[2])["ends"] is None


def test_the_page_brings_all_it_needs_and_two_visitors_get_two_nonces(host):
    state = switching("on", message="A new database.", ends="2036-02-29T21:05:00Z")
    (_, headers, page), (_, again, _) = answers(host, state, *[(*BROWSER, "https://window.test/x")] * 2)
    nonce = re.search(r"style-src 'nonce-(\w+)'", headers["content-security-policy"])[1]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert nonce not in again["content-security-policy"]
    assert re.findall(r"<(?:style|script)[^>]*>", page) == [f'<style nonce="{nonce}">', f'<script nonce="{nonce}">']
    assert not re.search(r"(?:src|href)=\"?[^\s\">]", page)
    assert "url(" not in page
    assert '<time datetime="2036-02-29T21:05:00Z">29 February 2036, 21:05 UTC</time>' in page
    assert "A new database." in page
    assert headers["x-request-id"] in page
    assert not re.search(r"@[a-z_]+@", page)
    assert len(page) < 8000


def test_what_operators_and_visitors_write_stays_text(host):
    message = "</p><script>alert(1)</script> & \"quotes\" 'too' @nonce@ @host@"
    url = "https://window.test/%3Cscript%3Ealert(1)%3C/script%3E?%22%3E%3Cscript%3E"
    page = answers(host, switching("on", message=message), (*BROWSER, url))[0][2]
    assert page.count("<script") == 1
    assert unescape(re.search(r'<p class="message" dir="auto">(.*?)</p>', page, re.DOTALL)[1]) == message


def test_head_gets_the_headers_alone(host):
    status, headers, body = answers(host, switching("on"), ("-I", *BROWSER, "https://window.test/x"))[0]
    assert (status, body.strip()) == (503, "")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert int(headers["content-length"]) > 3000


def test_retry_after_goes_by_the_end_across_leap_days_and_centuries(host):
    steps, expected = [], []
    for epoch in (0, 951782400, 951868800, time.time() - 60, time.time() + 1800, 4107542399, 4107542400, 13569465600):
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=epoch)
        steps += [switching("on", ends=moment.strftime("%Y-%m-%dT%H:%M:%SZ")), ("https://window.test/x",)]
        left = epoch - time.time()
        expected.append(left if left > 0 else 300)
    found = [int(headers["retry-after"]) for _, headers, _ in answers(host, *steps)]
    assert found == pytest.approx(expected, abs=15)


def test_an_end_that_has_passed_is_told_but_changes_nothing(host):
    told, page, in_time = answers(
        host,
        switching("on", ends=in_seconds(-60)),
        (STATUS,),
        (*BROWSER, "https://window.test/x"),
        switching("on", ends=in_seconds(600)),
        (*BROWSER, "https://window.test/x"),
    )
    assert json.loads(told[2])["overdue"] is True
    assert page[0] == 503
    assert 'data-overdue="true"' in page[2]
    assert 'data-overdue="false"' in in_time[2]


def test_a_websocket_handshake_is_refused_as_json_and_open_ones_stay(host):
    sockets = "/usr/bin/python3 /opt/slipway-test/client.py sockets window.test /ws"
    handshake = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    with meanwhile(host, sockets=f"exec {sockets} 10 10") as seen:
        time.sleep(2)
        switch(host, "on")
        assert json.loads(host.check_output(f"{sockets} 3 0.1"))["broke"] == {
            "HTTP/1.1 503 Service Temporarily Unavailable": 3
        }
        words = [word for header in handshake for word in ("-H", header)]
        _, headers, body = answer(host, *BROWSER, *words, "--http1.1", "https://window.test/ws")
        assert headers["content-type"] == "application/json"
        assert json.loads(body)["error"] == "maintenance"
    found = json.loads(seen["sockets"])
    assert (sum(found["lasted"].values()), found["broke"]) == (10, {})


def test_what_is_in_flight_ends_as_it_would_have(host):
    with meanwhile(host, slow=f"{CURL} -w ' %{{http_code}}' 'https://window.test/slow?seconds=10'") as seen:
        time.sleep(2)
        assert answers(host, switching("on"), ("https://window.test/x",))[0][0] == 503
    assert seen["slow"].endswith(" 200")


def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(host):
    body = "/run/slipway-test-body"
    host.check_output(f"head -c 30000 /dev/zero > {body}; {switching('on')}")
    for protocol in ("--http1.1", "--http2"):
        one = f"{CURL[5:]} {protocol} -o /dev/null -w '%{{http_code}} %{{num_connects}};' -H Expect:"
        one += f" --data-binary @{body} https://window.test/x"
        assert host.check_output(f"curl {one} --next {one} --next {one}") == "503 1;503 0;503 0;", protocol
    host.check_output(f"rm {body}")


# Who still reaches the application ---------------------------------------------------------------------------------


def test_the_allow_list_reaches_the_application_and_is_told_that_others_do_not(host):
    passed, off = answers(
        host,
        switching("on", allow=["127.9.0.0/16", "127.0.0.5"]),
        ("--interface", "127.9.8.7", "https://window.test/livez"),
        switching("off"),
        ("https://window.test/whoami",),
    )
    assert (passed[0], json.loads(passed[2])["path"], passed[1]["maintenance"]) == (200, "/livez", "on")
    assert "maintenance" not in off[1]
    on = switching("on", allow=["127.9.0.0/16", "127.0.0.5"])
    assert statuses(host, on, asking("127.9.8.7", "127.0.0.5")) == [200, 200]
    assert statuses(host, asking("127.10.0.1", "127.0.0.6", "127.8.255.255", "127.0.0.1")) == [503] * 4
    forged = ("X-Forwarded-For: 127.9.8.7", "X-Real-IP: 127.9.8.7", "Forwarded: for=127.9.8.7")
    assert statuses(host, asking("127.0.0.1", words=[word for header in forged for word in ("-H", header)])) == [503]


def test_networks_of_ipv4_contain_what_they_contain(host):
    """As Python's ipaddress judges, for networks and clients that differ in any bit."""
    chance = random.Random(17)
    commands, expected = [], []
    for bits in (8, 9, 12, 15, 16, 17, 20, 23, 24, 25, 29, 31, 32):
        base = int(ip_address("127.0.0.0")) + chance.getrandbits(24)
        network = ip_network((base, bits), strict=False)
        sources = [ip_address(base ^ (1 << bit)) for bit in chance.sample(range(24), 4)]
        sources += [
            source for bit in (31 - bits, 32 - bits) if 0 <= bit < 24 for source in [ip_address(base ^ 1 << bit)]
        ]
        sources = [source for source in sources if str(source) not in ("127.0.0.0", "127.255.255.255")]
        commands += [switching("on", allow=[str(network)]), asking(*map(str, sources))]
        expected += [200 if source in network else 503 for source in sources]
    assert {200, 503} == set(expected)
    assert statuses(host, *commands) == expected


@pytest.fixture
def ipv6_addresses(host):
    """Addresses of this host, on an interface whose IPv6 may have been disabled."""
    sources = ("2001:db8:16::1", "2001:db8:17::c000:207", "2001:db8:18::1")
    setting = "/proc/sys/net/ipv6/conf/lo/disable_ipv6"
    before = host.check_output(f"cat {setting}; echo 0 > {setting}")
    for source in sources:
        host.check_output(f"ip -6 addr replace {source}/128 dev lo")
    yield (*sources, "::1")
    for source in sources:
        host.check_output(f"ip -6 addr del {source}/128 dev lo")
    host.check_output(f"echo {before} > {setting}")


def test_networks_of_ipv6_contain_what_they_contain(host, ipv6_addresses):
    cases = {
        "2001:db8:16::/47": [200, 200, 503, 503],
        "2001:db8:17::/48": [503, 200, 503, 503],
        "2001:DB8:16:0:0:0:0:1": [200, 503, 503, 503],
        "2001:db8::/32": [200, 200, 200, 503],
        "2001:db8:17::c000:201": [503, 503, 503, 503],
        "2001:db8:17::192.0.2.0/120": [503, 200, 503, 503],
        "::/0": [200, 200, 200, 200],
        "::/1": [200, 200, 200, 200],
        "8000::/1": [503, 503, 503, 503],
        "::1": [503, 503, 503, 200],
        # All of IPv4 is nothing of IPv6.
        "0.0.0.0/0": [503, 503, 503, 503],
    }
    commands = [text for allow in cases for text in (switching("on", allow=[allow]), asking(*ipv6_addresses))]
    assert statuses(host, *commands) == [status for expected in cases.values() for status in expected]


# Announcements ---------------------------------------------------------------------------------------------------


def test_an_announcement_is_told_and_the_application_answers(host):
    starts, ends = "2036-11-24T21:00:00Z", "2036-11-24T21:30:00Z"
    urls = [f"https://window.test{path}" for path in ("/whoami", "/api/x", "/auth/x", "/livez", "/assets/site.css")]
    *everywhere, told, endless, after, status_after = answers(
        host,
        switching("announced", message="A new database.", starts=starts, ends=ends),
        *((url,) for url in urls),
        (STATUS,),
        switching("announced", starts=starts),
        ("https://window.test/x",),
        switching("off"),
        ("https://window.test/whoami",),
        (STATUS,),
    )
    for url, (status, headers, _) in zip(urls, everywhere):
        assert (status, headers["maintenance-announcement"]) == (200, f"{starts}/{ends}"), url
    status, headers, body = told
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/json", "no-store")
    assert json.loads(body) == {
        "state": "announced",
        "message": "A new database.",
        "starts": starts,
        "ends": ends,
        "overdue": False,
    }
    assert endless[1]["maintenance-announcement"] == f"{starts}/.."
    assert "maintenance-announcement" not in after[1]
    assert json.loads(status_after[2])["state"] == "off"


def test_an_announced_time_that_comes_switches_nothing(host):
    state = switching("announced", starts=in_seconds(-60), ends=in_seconds(-30))
    found, status = answers(host, state, ("https://window.test/whoami",), (STATUS,))
    assert found[0] == 200
    assert json.loads(status[2])["overdue"] is True


def test_status_and_script_answer_while_the_page_is_on_but_not_to_writing(host):
    status, head, posted, elsewhere, script = answers(
        host,
        switching("on"),
        (STATUS,),
        ("-I", STATUS),
        ("-d", "x", STATUS),
        ("https://shop.test/.well-known/slipway/maintenance",),
        (f"{STATUS}.js",),
    )
    assert json.loads(status[2])["state"] == "on"
    assert head[0] == 200
    assert (posted[0], posted[1]["allow"]) == (405, "GET, HEAD")
    assert json.loads(elsewhere[2])["state"] == "off"
    assert (script[0], script[1]["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert script[1]["x-content-type-options"] == "nosniff"
    assert "role" in script[2]
    assert not re.search(r"innerHTML|eval\(|https?://", script[2])


# Operation -------------------------------------------------------------------------------------------------------


def test_on_and_off_under_load_gives_the_application_or_the_page_and_nothing_else(host):
    source = base64.b64encode((PROJECT / "molecule/nginx/files/visitors.py").read_bytes()).decode()
    host.check_output(f"rm -f {END_OF_VISITS}; echo {source} | base64 -d > {VISITORS}")
    visitors = f"exec /usr/bin/python3 {VISITORS} window.test {END_OF_VISITS}"
    # Fewer than keepalive_requests, so that one connection lasts.
    streams = (
        "stdbuf -oL curl -sk --http2 --rate 25/s -o /dev/null --resolve '*:443:127.0.0.1'"
        " -w '%{http_code} %{http_version} %{exitcode} %{num_connects} %header{x-member} %header{retry-after}\\n'"
    )
    until = f"& while [ ! -e {END_OF_VISITS} ]; do sleep 0.1; done; kill $!"
    toggle = f"""
      for number in $(seq 20); do
        {switching("on", message="m")}
        sleep 0.2
        {switching("off")}
        sleep 0.2
      done"""
    workers = host.check_output("pgrep -P $(cat /run/nginx.pid)")
    with meanwhile(
        host,
        until_the_end=False,
        gets=f"{visitors} 4",
        posts=f"{visitors} 2 2000",
        streams=f"{streams} 'https://window.test/whoami?[1-950]' {until}",
        sent=f"{streams} -d x 'https://window.test/whoami?[1-950]' {until}",
    ) as seen:
        time.sleep(0.5)
        host.check_output(toggle)
        host.check_output(f"touch {END_OF_VISITS}; sleep 0.5")
    host.check_output(f"rm {VISITORS} {END_OF_VISITS}")
    assert host.check_output("pgrep -P $(cat /run/nginx.pid)") == workers
    for name, connections in (("gets", 4), ("posts", 2)):
        found = json.loads(seen[name])
        assert set(found) == {"application", "page", "connections"}, found
        assert min(found["application"], found["page"]) > 100, found
        assert found["connections"] == connections, found
    for name in ("streams", "sent"):
        # The last line may be of a request that was cut off by the end.
        lines = [line.split() for line in seen[name].splitlines()[:-1]]
        assert len(lines) > 50
        assert {(line[0], line[1], line[2]) for line in lines} == {("200", "2", "0"), ("503", "2", "0")}
        assert sum(int(line[3]) for line in lines) == 1, "a connection was lost"
        assert all(line[4] in ("3911", "3912") if line[0] == "200" else line[4] == "300" for line in lines)


def test_all_workers_follow_at_once(host):
    sources = ["127.0.0.1"] * 8
    commands = [switching("on"), asking(*sources), switching("off"), asking(*sources)] * 4
    assert statuses(host, *commands) == ([503] * 8 + [200] * 8) * 4


@pytest.mark.parametrize(
    "disturbance",
    [
        "systemctl reload nginx",
        "systemctl restart nginx",
        "kill -9 $(pgrep -P $(cat /run/nginx.pid))",
        "kill -9 $(cat /run/nginx.pid)",
    ],
)
def test_the_state_survives(host, disturbance):
    on = switching("on", allow=["127.9.0.0/16"], message="still")
    announced = switching("announced", "shop", starts="2036-11-24T21:00:00Z")
    host.check_output("\n".join([on, announced, disturbance, "sleep 1", AWAIT_EDGE]))
    assert statuses(host, asking(*["127.0.0.1"] * 4, "127.9.0.1")) == [503] * 4 + [200]
    page, shop = answers(host, ("https://window.test/x",), ("https://shop.test/whoami",))
    assert json.loads(page[2])["message"] == "still"
    assert "maintenance-announcement" in shop[1]


NOT_UNDERSTOOD = {
    "{": "is not a JSON object",
    "[]": "state is none of off, announced, on",
    '{"state": "maybe"}': "state is none of off, announced, on",
    '{"state": "on", "ends": "2026-11-24 22:00"}': "ends is 2026-11-24 22:00; expected a time such as",
    '{"state": "on", "starts": "2026-13-24T22:00:00Z"}': "starts is 2026-13-24T22:00:00Z",
    '{"state": "on", "allow": "127.0.0.1"}': "allow is not a list",
    '{"state": "on", "allow": {"a": "127.0.0.1"}}': "allow is not a list",
    '{"state": "on", "allow": ["127.0.0.1", "office"]}': "allow: office is neither",
    '{"state": "on", "allow": ["127.0.0.256"]}': "is neither",
    '{"state": "on", "allow": ["127.0.0.1/33"]}': "is neither",
    '{"state": "on", "allow": ["127.1"]}': "is neither",
    '{"state": "on", "allow": ["1::2::3"]}': "is neither",
    '{"state": "on", "allow": ["1:2:3:4:5:6:7"]}': "is neither",
    '{"state": "on", "allow": ["1:2:3:4:5:6:7:8:9"]}': "is neither",
    '{"state": "on", "allow": ["::12345"]}': "is neither",
    '{"state": "on", "allow": [7]}': "is neither",
}


def test_a_file_that_is_not_understood_changes_nothing(host):
    url = ("https://window.test/x",)
    steps = [switching("on", message="before", allow=["127.9.0.0/16"])]
    for text in NOT_UNDERSTOOD:
        steps += [putting(text), ("--unix-socket", SOCKET, "-X", "POST", "http://edge/sync"), url]
    found = answers(host, *steps)
    for (text, told), refused, page in zip(NOT_UNDERSTOOD.items(), found[::2], found[1::2]):
        assert refused[0] == 500, text
        assert f"{STATES}/window.json: " in json.loads(refused[2])["error"]
        assert told in json.loads(refused[2])["error"]
        assert json.loads(page[2])["message"] == "before"


def test_beside_a_broken_file_others_are_taken_and_a_reload_keeps_what_was(host):
    host.check_output(
        "\n".join(
            [
                switching("on", allow=["127.9.0.0/16"]),
                putting("{"),
                putting('{"state": "on"}', "board"),
                f"curl -s --unix-socket {SOCKET} -X POST http://edge/sync",
            ]
        )
    )
    assert answer(host, "https://board.test/x")[0] == 503
    assert statuses(host, "systemctl reload nginx; sleep 1", asking("127.0.0.1", "127.9.0.1")) == [503, 200]


def test_after_a_restart_beside_a_broken_file_the_application_answers_and_the_log_tells(host):
    host.check_output(f"{putting('{')}; systemctl restart nginx; {AWAIT_EDGE}")
    assert answer(host, "https://window.test/whoami")[0] == 200
    assert f"{STATES}/window.json: is not a JSON object" in host.check_output("tail -n 9 /var/log/nginx/error.log")


def test_a_state_of_no_application_is_passed_over(host):
    host.check_output(putting('{"state": "on"}', "removed"))
    assert sync(host)[0] == 200


# The modules -----------------------------------------------------------------------------------------------------


@pytest.fixture
def module(host, request):
    """Run a module on the host."""

    def run(name, *arguments, **options):
        inventory = request.config.getoption("ansible_inventory")
        words = ["ansible", host.backend.get_hostname(), "-i", inventory, "-b", "-m", f"slipway.stack.{name}"]
        words += ["-a", json.dumps(options), *arguments] if options else arguments
        environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=120, env=environment)
        found = re.search(r"(?:SUCCESS|CHANGED|FAILED!) => (\{.*\})", done.stdout, re.DOTALL)
        assert found, done.stdout + done.stderr
        return {**json.loads(found[1]), "failed": done.returncode != 0, "printed": " ".join(done.stderr.split())}

    return run


def page(module, *arguments, **options):
    return module("maintenance_page", *arguments, application="window", owner="Ada", **options)


def test_the_module_switches_nginx_at_once_and_only_when_it_has_to(host, module):
    foreseen = page(module, "--check", state="on", allow=["127.9.0.0/16"], ends=in_seconds(600))
    assert (foreseen["changed"], foreseen["maintenance"]["state"], foreseen["running"]) == (True, "on", True)
    assert answer(host, "https://window.test/whoami")[0] == 200
    assert page(module, state="on", allow=["127.9.0.0/16"], ends="2036-11-24T22:00:00+01:00")["changed"] is True
    assert statuses(host, asking("127.0.0.1", "127.9.0.1")) == [503, 200]
    assert json.loads(answer(host, "https://window.test/x")[2])["ends"] == "2036-11-24T21:00:00Z"
    assert page(module, state="on", ends="2036-11-24T21:00:00Z")["changed"] is False
    info = module("maintenance_page_info")
    assert info["applications"]["window"]["owner"] == "Ada"
    assert (info["applications"]["shop"]["state"], info["synced"], info["running"]) == ("off", True, True)
    assert page(module, state="off")["changed"] is True
    assert answer(host, "https://window.test/whoami")[0] == 200


def test_the_module_makes_good_what_nginx_did_not_hear_of(host, module):
    host.check_output(putting('{"state": "on", "owner": "Ada"}'))
    assert module("maintenance_page_info", application="window")["synced"] is False
    assert page(module, "--check", state="on")["changed"] is True
    assert answer(host, "https://window.test/whoami")[0] == 200
    assert page(module, state="on")["changed"] is True
    assert answer(host, "https://window.test/whoami")[0] == 503
    assert page(module, state="on")["changed"] is False


def test_where_nginx_does_not_run_the_file_is_enough(host, module):
    host.check_output("systemctl stop nginx")
    done = page(module, state="on")
    assert (done["changed"], done["running"]) == (True, False)
    host.check_output(f"systemctl start nginx; {AWAIT_EDGE}")
    assert answer(host, "https://window.test/whoami")[0] == 503


def test_a_broken_file_of_another_application_is_told_but_keeps_nothing_back(host, module):
    host.check_output(putting("{", "shop"))
    done = page(module, state="on")
    assert done["changed"] is True
    assert f"{STATES}/shop.json" in done["printed"]
    assert answer(host, "https://window.test/whoami")[0] == 503


def test_an_end_that_has_passed_is_warned_of(host, module):
    switch(host, "on", ends=in_seconds(-7200), owner="Ada")
    done = page(module, state="on")
    assert done["changed"] is False
    assert "passed 2 hours ago and the page is still on" in done["printed"]


def test_an_unknown_application_is_refused_with_those_there_are(module):
    done = module("maintenance_page", application="widnow", state="off")
    assert done["failed"] is True
    assert "'widnow' is not served by this host; expected one of " in done["msg"]
    assert ", shop, " in done["msg"]
    assert done["msg"].endswith(", window")


# Runs of the role ------------------------------------------------------------------------------------------------


def test_the_role_leaves_states_as_they_are(host, converge):
    switch(host, "on")
    assert converge().returncode == 0
    assert answer(host, "https://window.test/whoami")[0] == 503


@pytest.fixture(scope="class")
def own_page_behind_a_cdn(run_playbook, host, tmp_path_factory):
    own = tmp_path_factory.mktemp("page") / "own.html"
    own.write_text(
        "<h1>{{ Wartung }}</h1>\n<i>@message@ @unknown@ a@b.example @ends_text@ {% raw</i>\n", encoding="utf-8"
    )
    cdn = {"provider": "custom", "ranges": ["127.7.0.0/16"], "header": "X-Forwarded-For"}
    other = {"nginx_maintenance_page": str(own), "nginx_maintenance_retry_after_seconds": 17, "nginx_cdn": cdn}
    assert run_playbook(**other).returncode == 0
    yield
    assert run_playbook().returncode == 0


@pytest.mark.usefixtures("own_page_behind_a_cdn")
class TestWithAPageOfOnesOwnBehindACdn:
    """One run of the role for both."""

    def test_the_page_is_sent_as_it_is_but_for_its_values(self, host):
        page, endless = answers(
            host,
            switching("on", message="<&>", ends="2036-11-04T05:06:07Z"),
            (*BROWSER, "https://window.test/x"),
            switching("on"),
            ("https://window.test/x",),
        )
        assert page[2].strip() == (
            "<h1>{{ Wartung }}</h1>\n<i>&lt;&amp;&gt; @unknown@ a@b.example 4 November 2036, 05:06 UTC {% raw</i>"
        )
        assert page[1]["content-security-policy"] == "frame-ancestors 'self'"
        assert endless[1]["retry-after"] == "17"

    def test_the_allow_list_is_held_against_the_client_behind_the_cdn(self, host):
        on = switching("on", allow=["203.0.113.0/24", "2001:db8:17::/48"])
        for client, passes in (("203.0.113.9", True), ("2001:db8:17::9", True), ("198.51.100.9", False)):
            words = ["-H", f"X-Forwarded-For: {client}"]
            expected = [200 if passes else 503, 503]
            assert statuses(host, on, asking("127.7.0.1", "127.8.0.1", words=words)) == expected, client

    def test_an_address_of_the_cdn_itself_opens_nothing_to_its_clients(self, host):
        on = switching("on", allow=["127.7.0.0/16"])
        assert statuses(host, on, asking("127.7.0.1", words=["-H", "X-Forwarded-For: 198.51.100.9"])) == [503]


def test_a_page_that_is_not_there_is_refused_and_nothing_is_touched(host, converge):
    before = host.check_output("sha256sum /etc/nginx/slipway/maintenance.html; cat /run/nginx.pid")
    refused = converge(nginx_maintenance_page="/nowhere/page.html")
    assert refused.returncode != 0
    assert "/nowhere/page.html" in refused.stdout + refused.stderr
    assert host.check_output("sha256sum /etc/nginx/slipway/maintenance.html; cat /run/nginx.pid") == before
