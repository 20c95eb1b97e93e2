"""Locations of every kind, headers, origins, the CDN and the logs, as clients and operators meet them."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from tests.support import edge
from tests.support.edge import await_value
from tests.support.playbook import message

MEMBER = {"name": "test:3911", "address": "127.0.0.1", "port": 3911}
UPGRADE = (
    "--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' "
    "-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='"
)


@pytest.fixture(scope="module")
def ask(host):
    """Asks, and tells status, headers (each with all its values) and body."""

    def asked(arguments):
        status, lines, body = edge.answer(host, arguments)
        headers = {}
        for name, value in lines:
            headers.setdefault(name, []).append(value)
        return int(status.split(" ")[1]), headers, body

    return asked


# Locations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "http"),
        ("/api", "api"),
        ("/api/x", "api"),
        ("/apix", "http"),
        ("/api/reports", "http"),
        ("/api/reports/1", "api"),
        ("/assets/live/now", "api"),
        ("/auth/login", "auth"),
        ("/ws", "websocket"),
        ("/wsx", "http"),
        ("/assets/none.css", "static"),
    ],
)
def test_the_longest_path_counts_and_is_a_whole_part_of_the_url(host, ask, path, kind):
    mark = f"m{time.monotonic_ns()}"
    assert ask(f"https://pages.test{path} -A {mark}")[0] == 200
    entry = {}

    def look():
        found = host.run(f"tail -n 100 /var/log/nginx/access.log | grep -F {mark}").stdout
        entry.update(json.loads(found) if found else {})
        return found != ""

    await_value(look, True)
    assert (entry["application"], entry["path"], entry["location"]) == ("pages", path, kind)


def test_an_api_is_asked_to_be_quick_and_small_and_tells_its_errors_in_json(host, ask):
    host.check_output("head -c 3000000 /dev/zero > /tmp/slipway-test-body")
    host.check_output("head -c 1500000 /dev/zero > /tmp/slipway-test-small-body")
    assert ask("--data-binary @/tmp/slipway-test-small-body https://pages.test/api/x")[0] == 200
    assert ask("--data-binary @/tmp/slipway-test-small-body https://pages.test/x")[0] == 413
    told = {
        413: ask("--data-binary @/tmp/slipway-test-body https://pages.test/api/x"),
        504: ask("'https://pages.test/api/slow?seconds=3'"),
    }
    for status, (seen, headers, body) in told.items():
        assert seen == status
        assert headers["content-type"] == ["application/json"]
        assert headers["cache-control"] == ["no-store"]
        error = json.loads(body)
        assert (error["status"], error["request_id"]) == (status, headers["x-request-id"][0])
        assert error["error"]
        assert headers["x-frame-options"] == ["DENY"]
    host.check_output("systemctl stop slipway-test-backend@3911")
    try:
        for path, kind in (("/api/x", "application/json"), ("/auth/x", "application/json"), ("/x", "text/html")):
            status, headers, body = ask(f"https://pages.test{path}")
            assert (status, headers["content-type"]) == (502, [kind])
            assert headers["x-request-id"][0] in body
    finally:
        host.check_output("systemctl start slipway-test-backend@3911")
        await_value(lambda: host.run("curl -s http://127.0.0.1:3911/").rc, 0)
    assert ask("https://empty.test/")[0] == 503
    assert ask("'https://pages.test/api/x?code=502'")[2].startswith('{"member"')


def test_only_the_methods_that_are_named_are_let_in(ask):
    status, headers, _ = ask("-X POST https://pages.test/api/reports")
    assert (status, headers["allow"]) == (405, ["GET, HEAD"])
    assert ask("-I https://pages.test/api/reports")[0] == 200
    status, headers, _ = ask("https://pages.test/api/reports")
    assert (status, "allow" in headers) == (200, False)


def test_caches_are_told_what_the_location_says_unless_the_application_does(ask):
    def cache(path):
        return ask(f"'https://pages.test{path}'")[1].get("cache-control")

    assert cache("/") is None
    assert cache("/api/reports") == ["public, max-age=60"]
    assert cache("/api/reports?header=Cache-Control:private") == ["private"]
    assert cache("/api/reports?code=500") is None
    assert cache("/auth/login") == ["no-store"]
    assert cache("/auth/login?code=403") == ["no-store"]
    assert cache("/auth/key?header=Cache-Control:max-age=5") == ["max-age=5"]
    assert cache("/assets/site.css") == ["public, max-age=31536000, immutable"]
    assert cache("/assets/none.css?code=404") is None
    assert cache("/media/site.css") == ["public, max-age=60"]


def test_files_that_are_not_here_are_asked_of_the_application(ask):
    assert ask("https://pages.test/assets/site.css")[2] == "body { color: black }"
    status, headers, body = ask("https://pages.test/assets/none.css")
    assert (status, json.loads(body)["path"]) == (200, "/assets/none.css")
    assert headers["x-member"] == ["3911"]
    assert json.loads(ask("--path-as-is https://pages.test/assets/../x")[2])["path"] == "/assets/../x"
    assert "root:" not in ask("--path-as-is https://pages.test/assets..%2f..%2f..%2f..%2fetc/passwd")[2]


@pytest.mark.parametrize(
    ("url", "body", "cache"),
    [
        ("https://pages.test/app/", "the page", "no-cache"),
        ("https://pages.test/app/orders/7", "the page", "no-cache"),
        ("https://pages.test/app/index.html", "the page", "no-cache"),
        ("https://pages.test/app/app.js", "the program", "no-cache"),
        ("https://page.test/", "the page", "no-cache"),
        ("https://page.test/orders/7", "the page", "no-cache"),
        ("https://page.test/index.html", "the page", "no-cache"),
        ("https://page.test/app.js", "the program", "public, max-age=60"),
    ],
)
def test_a_single_page_application_answers_all_its_paths(ask, url, body, cache):
    status, headers, seen = ask(url)
    assert (status, seen, headers["cache-control"]) == (200, body, [cache])
    assert headers["strict-transport-security"] == ["max-age=63072000"]


@pytest.mark.parametrize("path", ["/app/.env", "/app/%2eenv", "/app/x/../.env", "/app/.git/config"])
def test_hidden_files_are_not_sent(ask, path):
    status, _, body = ask(f"--path-as-is https://pages.test{path}")
    assert (status, "SECRET" in body) == (404, False)


def test_nothing_but_websockets_is_upgraded_to(ask):
    status, _, body = ask("--http1.1 -H 'Connection: Upgrade, HTTP2-Settings' -H 'Upgrade: h2c' https://pages.test/ws")
    assert status == 200
    assert not {"upgrade", "connection", "http2-settings"} & set(json.loads(body)["headers"]) - {"http2-settings"}


def test_a_new_page_is_sent_at_once(host, ask):
    file = "/srv/slipway-test/page/index.html"
    ask("https://page.test/orders")
    host.check_output(f"echo 'the new page' > {file}.new && mv {file}.new {file}")
    try:
        await_value(lambda: ask("https://page.test/orders")[2], "the new page", 2)
    finally:
        host.check_output(f"echo 'the page' > {file}")


def test_answers_are_packed_as_the_client_likes(host, ask):
    for accepted in ("br", "gzip"):
        status, headers, _ = ask(f"-H 'Accept-Encoding: {accepted}' -o /dev/null -D - 'https://pages.test/x?size=5000'")
        assert (status, headers["content-encoding"]) == (200, [accepted])
        assert "Accept-Encoding" in headers["vary"]
    packed = "curl -sk --resolve '*:443:127.0.0.1' https://pages.test/assets/packed.txt -H 'Accept-Encoding: "
    assert host.check_output(f"{packed}br'") == "packed with brotli"
    assert host.check_output(f"{packed}gzip'") == "packed with gzip"
    assert host.check_output(f"{packed}identity'") == "as it is"
    assert gzip.decompress(
        bytes.fromhex(
            host.check_output(
                "curl -sk --resolve '*:443:127.0.0.1' 'https://pages.test/x?size=5000' -H 'Accept-Encoding: gzip'"
                " | od -An -v -tx1 | tr -d ' \\n'"
            )
        )
    ).startswith(b" " * 5000)


def test_snippets_are_part_of_their_server_and_location(ask):
    assert ask("https://pages.test/raw")[2] == "raw pages.test"
    status, headers, body = ask("https://pages.test/marked")
    assert (status, headers["x-marked"], headers["x-frame-options"]) == (200, ["yes"], ["DENY"])
    assert json.loads(body)["headers"]["x-marked"] == "yes"
    assert json.loads(body)["headers"]["host"] == "pages.test"


# Headers and origins ---------------------------------------------------------------------------------------------


def test_headers_are_the_roles_the_applications_or_left_out(ask):
    headers = ask("https://pages.test/whoami")[1]
    assert headers["x-frame-options"] == ["DENY"]
    assert headers["x-team"] == ['edge "7" \\o/']
    assert headers["content-security-policy"] == ["frame-ancestors 'self'"]
    assert headers["permissions-policy"] == ["camera=(), geolocation=(), microphone=(), usb=()"]
    assert headers["x-content-type-options"] == ["nosniff"]
    assert "referrer-policy" not in headers
    own = "header=X-Team:own&header=Permissions-Policy:usb=*&header=X-Frame-Options:SAMEORIGIN"
    headers = ask(f"'https://pages.test/whoami?{own}'")[1]
    assert headers["x-team"] == ["own"]
    assert headers["permissions-policy"] == ["usb=*"]
    assert headers["x-frame-options"] == ["SAMEORIGIN"]
    # Browsers would let the edge's word about frames win over the application's.
    assert "content-security-policy" not in headers


def test_the_release_is_logged_and_not_told(host, ask):
    mark = f"m{time.monotonic_ns()}"
    headers = ask(f"'https://pages.test/{mark}?header=X-Release:r42'")[1]
    assert "x-release" not in headers
    logged = f"grep -F {mark} /var/log/nginx/access.log"
    await_value(lambda: host.run(logged).rc, 0)
    entry = json.loads(host.check_output(logged))
    assert (entry["release"], entry["request_id"]) == ("r42", headers["x-request-id"][0])


def test_pages_of_allowed_origins_may_ask_and_no_others(ask):
    preflight = "-X OPTIONS -H 'Access-Control-Request-Method: PUT' https://pages.test/api/x -H 'Origin: "
    status, headers, body = ask(f"{preflight}https://friend.test'")
    assert (status, body) == (204, "")
    assert headers["access-control-allow-origin"] == ["https://friend.test"]
    assert headers["access-control-allow-credentials"] == ["true"]
    assert headers["access-control-allow-methods"] == ["GET, HEAD, POST, PUT, PATCH, DELETE"]
    assert headers["access-control-allow-headers"] == ["Authorization, Content-Type"]
    assert headers["access-control-max-age"] == ["7200"]
    assert "Origin" in headers["vary"]
    for origin in (
        "https://friend.test.evil.test",
        "https://evil.test",
        "http://friend.test",
        "null",
        "https://xfriend.test",
    ):
        status, headers, body = ask(f"{preflight}{origin}'")
        assert json.loads(body)["method"] == "OPTIONS"
        assert [name for name in headers if name.startswith("access-control-allow")] == []
        assert "Origin" in headers["vary"]
    forged = "header=Access-Control-Allow-Origin:*&header=Access-Control-Allow-Credentials:true"
    status, headers, _ = ask(f"-H 'Origin: http://localhost:5173' 'https://pages.test/api/x?{forged}'")
    assert (status, headers["access-control-allow-origin"]) == (200, ["http://localhost:5173"])
    assert headers["access-control-expose-headers"] == ["X-Request-ID"]
    assert "access-control-allow-methods" not in headers
    assert (
        "access-control-allow-origin" not in ask(f"-H 'Origin: https://evil.test' 'https://pages.test/x?{forged}'")[1]
    )
    assert ask("-H 'Origin: https://any.test' https://page.test/app.js")[1]["access-control-allow-origin"] == ["*"]


@pytest.mark.parametrize(
    ("host_name", "origin", "status"),
    [
        ("pages.test", "https://pages.test", 101),
        ("pages.test", "https://www.pages.test", 101),
        ("pages.test", "https://friend.test", 101),
        ("pages.test", None, 101),
        ("pages.test", "https://evil.test", 403),
        ("pages.test", "https://pages.test.evil.test", 403),
        ("pages.test", "https://evilpages.test", 403),
        ("pages.test", "http://pages.test", 403),
        ("pages.test", "null", 403),
        ("page.test", "https://page.test", 101),
        ("page.test", "https://friend.test", 403),
        ("page.test", None, 403),
    ],
)
def test_websockets_open_for_the_pages_they_belong_to(host, host_name, origin, status):
    sent = f"-H 'Origin: {origin}'" if origin else ""
    seen = host.run(
        f"curl -sk --max-time 0.7 -o /dev/null -w '%{{http_code}}' --resolve '*:443:127.0.0.1' {UPGRADE} {sent}"
        f" https://{host_name}/ws"
    ).stdout
    assert int(seen) == status
    assert (
        host.check_output(
            f"curl -sk -o /dev/null -w '%{{http_code}}' --resolve '*:443:127.0.0.1' {sent} https://{host_name}/ws"
        )
        == "200"
    )


# The CDN ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="class")
def own_address(host):
    return host.check_output("hostname -I").split()[0]


@pytest.fixture(scope="class")
def behind_a_cdn(run_playbook):
    """The edge is told of a CDN, and of none in the end."""
    cdn = {"provider": "custom", "ranges": ["127.9.0.0/16", "2001:db8::/32"], "direct_access": "refused"}
    assert run_playbook(nginx_cdn=cdn).returncode == 0
    yield
    assert run_playbook().returncode == 0


@pytest.mark.usefixtures("behind_a_cdn")
class TestCdn:
    """127.9.0.0/16 are the CDN's, the host's own address is a client's that asks past it."""

    def seen(self, host, source, target, forwarded):
        """Status, and the client's address as the application is told it."""
        done = host.check_output(
            f"curl -sk -w '\\n%{{http_code}}' --interface {source} --resolve 'pages.test:443:{target}'"
            f" -H 'X-Forwarded-For: {forwarded}' https://pages.test/api/x"
        )
        body, _, status = done.rpartition("\n")
        return int(status), json.loads(body)["headers"]["x-real-ip"] if status == "200" else None

    def test_the_cdn_tells_the_client(self, host):
        assert self.seen(host, "127.9.0.1", "127.0.0.1", "198.51.100.7") == (200, "198.51.100.7")
        # What the client itself wrote stands before what the CDN saw.
        assert self.seen(host, "127.9.0.1", "127.0.0.1", "10.9.9.9, 198.51.100.7") == (200, "198.51.100.7")
        assert self.seen(host, "127.9.0.1", "127.0.0.1", "198.51.100.7, 127.9.3.3") == (200, "198.51.100.7")

    def test_others_are_refused_whatever_they_say(self, host, own_address):
        assert self.seen(host, own_address, own_address, "198.51.100.7") == (403, None)
        assert self.seen(host, own_address, own_address, "127.9.0.1") == (403, None)

    def test_the_host_itself_may_ask_and_is_not_believed(self, host):
        assert self.seen(host, "127.0.0.1", "127.0.0.1", "198.51.100.7") == (200, "127.0.0.1")


def test_without_a_cdn_nobody_is_believed(host):
    done = host.check_output(
        "curl -sk --resolve '*:443:127.0.0.1' -H 'X-Forwarded-For: 198.51.100.7' -H 'CF-Connecting-IP: 198.51.100.7'"
        " https://pages.test/x"
    )
    assert json.loads(done)["headers"]["x-real-ip"] == "127.0.0.1"


# Logs ------------------------------------------------------------------------------------------------------------


def test_a_log_that_grew_too_large_is_set_aside_and_the_next_line_is_in_a_new_one(host, ask, converge):
    assert host.check_output("systemctl is-active slipway-nginx-logs.timer") == "active"
    assert not host.file("/etc/logrotate.d/nginx").exists
    host.check_output("systemctl start slipway-nginx-logs")
    before = host.check_output("ls -i /var/log/nginx/access.log")
    files = int(host.check_output("ls /var/log/nginx | wc -l"))
    host.check_output("head -c 110000000 /dev/zero | tr '\\0' x >> /var/log/nginx/access.log")
    workers = host.check_output("pgrep -P $(cat /run/nginx.pid)")
    host.check_output("systemctl start slipway-nginx-logs")
    assert host.check_output("ls -i /var/log/nginx/access.log") != before
    assert int(host.check_output("ls /var/log/nginx | wc -l")) == files + 1
    mark = f"m{time.monotonic_ns()}"
    assert ask(f"https://pages.test/{mark}")[0] == 200
    await_value(lambda: host.run(f"grep -qF {mark} /var/log/nginx/access.log").rc, 0)
    assert host.check_output("stat -c '%U %G %a' /var/log/nginx/access.log") == "www-data adm 640"
    assert host.check_output("pgrep -P $(cat /run/nginx.pid)") == workers
    host.check_output("find /var/log/nginx -name 'access.log-*' -size +90M -delete")


# What is refused -------------------------------------------------------------------------------------------------

LOOK = "sha256sum $(find /etc/nginx/slipway /etc/nginx/nginx.conf -type f | sort); cat /run/nginx.pid"


def one(**options):
    return [{"name": "shop", "server_names": ["shop.test"], "members": [MEMBER], **options}]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"nginx_applications": one(snippet="proxy_bufering off;")}, ["proxy_bufering", "applications/shop.conf"]),
        ({"nginx_applications": one(snippet="gzip off; }")}, ["nginx_applications[0] (shop).snippet", "braces"]),
        (
            {"nginx_applications": one(locations=[{"path": "/media", "kind": "static", "directory": "/srv/nowhere"}])},
            ["/srv/nowhere", "Make it first"],
        ),
        (
            {"nginx_applications": one(locations=[{"path": "/a b"}])},
            ["nginx_applications[0] (shop).locations[0].path: '/a b'"],
        ),
        (
            {"nginx_applications": one(certificate="/nowhere/a.crt", certificate_key="/nowhere/a.key")},
            ["/nowhere/a.crt"],
        ),
        ({"nginx_certificate": "/etc/a.crt; }"}, ["nginx_certificate: '/etc/a.crt; }'; expected an absolute path"]),
        ({"nginx_cdn": {"provider": "custom"}}, ["nginx_cdn.ranges: missing"]),
        ({"nginx_cdn": {"provider": "custom", "ranges": ["0.0.0.0/0"]}}, ["nginx_cdn.ranges[0]: '0.0.0.0/0'"]),
    ],
)
def test_what_cannot_be_served_is_refused_and_nothing_is_touched(host, converge, ask, variables, told):
    before = host.check_output(LOOK)
    refused = converge(**variables, nginx_token_keys={}, nginx_assets=[])
    assert refused.returncode != 0
    for text in told:
        assert text in message(refused)
    assert host.check_output(LOOK) == before
    assert ask("https://shop.test/whoami")[0] == 200


def test_the_next_run_is_not_blocked(converge):
    done = converge()
    assert done.returncode == 0, message(done)[-2000:]
    assert "changed=0 " in done.stdout
