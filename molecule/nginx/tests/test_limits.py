"""Limits as clients meet them: exactly as many requests pass as a window, a zone and its burst allow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import shlex
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from tests.support import edge
from tests.support.edge import await_value

SECRET = "of 32 characters, for tests only"
DATABASE = "/srv/slipway-test/countries.mmdb"
WORKERS = "pgrep -P $(cat /run/nginx.pid)"
# A name for port 80 would be taken for that of --interface as well.
CURL = "curl -sk --max-time 90 --resolve '*:443:127.0.0.1'"
RATE_LIMITS = "|".join(f"%header{{ratelimit-{name}}}" for name in ("limit", "remaining", "reset"))
MEMBERS = [{"name": "test:3911", "address": "127.0.0.1", "port": 3911}]


@dataclass(frozen=True)
class Answer:
    """What limits say of one request; 0 for a header that is not there."""

    status: int
    retry_after: int
    limit: int
    remaining: int
    reset: int


def one_of():
    return f"127.{random.randrange(10, 250)}.{random.randrange(256)}.{random.randrange(1, 255)}"


@pytest.fixture
def address():
    """An address that nothing was counted for."""
    return one_of()


@pytest.fixture
def user():
    """A user of whom nobody heard."""
    return f"user{random.randrange(10**12)}"


def command(url, count=1, *, source, options="", http="2", at_once=False):
    """Ask so many times, over one connection or (at once) over as many as curl opens."""
    words = [
        CURL,
        "-Z --parallel-immediate --parallel-max 50" if at_once else "",
        f"--http{http} --interface {source} {options} -o /dev/null -w",
        shlex.quote(f"%{{http_code}}|%header{{retry-after}}|{RATE_LIMITS}\\n"),
        shlex.quote(f"https://{url}{'&' if '?' in url else '?'}n=[1-{count}]"),
    ]
    return " ".join(words)


def answers_to(host, *commands):
    lines = host.run("; ".join(commands)).stdout.split()
    return [Answer(*(int(field or 0) for field in line.split("|"))) for line in lines]


def ask(host, *words, **options):
    return answers_to(host, command(*words, **options))


def answer(host, arguments):
    """Status, headers and body."""
    return edge.parsed(host.check_output(f"{CURL} -i {arguments}"))


def passed(answers):
    counts = Counter(one.status for one in answers)
    assert set(counts) <= {200, 429}, counts
    return counts[200]


def cookie(user, tier):
    return f"-H 'Cookie: other=1; session={user}.{tier}'"


def logged(host, source, field="limited"):
    """That field of the access log, for all requests of a client."""
    time.sleep(1.2)
    lines = host.check_output(f'grep -F \'"client":"{source}"\' /var/log/nginx/access.log').splitlines()
    return [json.loads(line)[field] for line in lines]


# Buckets and windows ---------------------------------------------------------------------------------------------

WAYS = pytest.mark.parametrize(("http", "at_once"), [("1.1", False), ("1.1", True), ("2", False), ("2", True)])


@WAYS
def test_a_bucket_lets_its_burst_and_one_more_through(host, address, http, at_once):
    answers = ask(host, "limited.test/bucket", 30, source=address, http=http, at_once=at_once)
    assert len(answers) == 30
    assert passed(answers) == 5
    assert {one.retry_after for one in answers if one.status == 429} == {10}
    assert Counter(logged(host, address)) == {"": 5, "bucket": 25}


def test_a_full_bucket_lets_one_through_after_retry_after(host, address):
    answers = ask(host, "limited.test/quick", 5, source=address)
    assert [one.status for one in answers] == [200, 200, 429, 429, 429]
    time.sleep(answers[-1].retry_after)
    assert passed(ask(host, "limited.test/quick", 5, source=address)) == 1


@WAYS
def test_a_window_lets_exactly_its_requests_through(host, address, http, at_once):
    answers = ask(host, "limited.test/wide", 40, source=address, http=http, at_once=at_once)
    assert len(answers) == 40
    assert passed(answers) == 10
    assert {one.limit for one in answers} == {10}
    assert sorted(one.remaining for one in answers if one.status == 200) == list(range(10))
    assert {one.remaining for one in answers if one.status == 429} == {0}
    assert all(890 <= one.retry_after == one.reset <= 900 for one in answers if one.status == 429)
    assert Counter(logged(host, address)) == {"": 10, "wide": 30}


def test_a_new_window_begins_after_retry_after(host, address):
    begin = time.monotonic()
    answers = ask(host, "limited.test/short", 12, source=address)
    assert passed(answers) == 10
    assert 1 <= answers[-1].retry_after <= 4
    time.sleep(answers[-1].retry_after)
    assert time.monotonic() - begin >= 4
    assert passed(ask(host, "limited.test/short", 12, source=address)) == 10


def test_all_workers_count_together(host, address):
    workers = host.check_output(WORKERS).split()
    assert len(workers) > 1
    counts = {"quick": 0, "wide": 0, "bucket": 0}
    for running in workers:
        others = " ".join(worker for worker in workers if worker != running)
        host.check_output(f"kill -STOP {others}")
        try:
            for name in counts:
                counts[name] += passed(ask(host, f"limited.test/{name}", 4 if name == "bucket" else 7, source=address))
        finally:
            host.check_output(f"kill -CONT {others}")
    assert counts["wide"] == 10
    assert counts["bucket"] == 5


def test_addresses_are_counted_apart_and_counts_survive_a_reload(host, address):
    other = one_of()
    assert passed(ask(host, "limited.test/wide", 7, source=address)) == 7
    assert passed(ask(host, "limited.test/wide", 12, source=other)) == 10
    host.check_output("systemctl reload nginx")
    time.sleep(1)
    assert passed(ask(host, "limited.test/wide", 12, source=address)) == 3


def test_a_network_of_ipv6_is_one_client(host):
    if not host.file("/proc/net/if_inet6").exists:
        pytest.skip("this kernel has no IPv6")
    prefix = f"fd77:{random.randrange(65536):x}:{random.randrange(65536):x}"
    addresses = [f"{prefix}:1::1", f"{prefix}:1:ffff::2", f"{prefix}:2::1"]
    disabled = "/proc/sys/net/ipv6/conf/lo/disable_ipv6"
    before = host.check_output(f"cat {disabled}")
    host.check_output(f"echo 0 > {disabled}")
    try:
        host.check_output("; ".join(f"ip -6 addr add {one}/128 dev lo" for one in addresses))
        asked = [
            command("limited.test/wide", 6, source=one).replace("*:443:127.0.0.1", f"*:443:[{one}]")
            for one in addresses
        ]
        counts = [passed(answers_to(host, one)) for one in asked]
    finally:
        host.run("; ".join(f"ip -6 addr del {one}/128 dev lo" for one in addresses))
        host.check_output(f"echo {before} > {disabled}")
    assert counts == [6, 4, 6]


def test_what_one_limit_refuses_is_not_counted_by_the_others(host, address):
    assert passed(ask(host, "limited.test/both", 30, source=address, at_once=True)) == 3
    assert passed(ask(host, "limited.test/wide", 30, source=address)) == 7
    other = one_of()
    assert passed(ask(host, "limited.test/bucket_and_wide", 30, source=other, at_once=True)) == 5
    assert passed(ask(host, "limited.test/wide", 30, source=other)) == 5


def test_what_one_window_refuses_waits_for_the_longest(host, address):
    assert passed(ask(host, "limited.test/wide", 10, source=address)) == 10
    refused = ask(host, "limited.test/both", 1, source=address)[0]
    assert (refused.status, refused.limit) == (429, 10)
    assert refused.retry_after > 890


def test_programs_are_refused_in_json_and_people_with_a_page(host, address):
    ask(host, "limited.test/bucket_and_wide", 5, source=address)
    status, headers, body = answer(host, f"--interface {address} https://limited.test/bucket_and_wide")
    assert status == "HTTP/2 429"
    assert ("retry-after", "10") in headers
    assert ("content-type", "application/json") in headers
    assert json.loads(body)["status"] == 429
    ask(host, "limited.test/bucket", 5, source=address)
    status, headers, body = answer(host, f"--interface {address} https://limited.test/bucket")
    assert status == "HTTP/2 429"
    assert "Too many requests" in body
    assert ("content-type", "text/html") in headers


def test_a_refusal_of_the_application_passes_as_it_is(host, address):
    status, headers, body = answer(host, f"--interface {address} 'https://limited.test/wide/busy?code=429'")
    assert status == "HTTP/2 429"
    assert [value for name, value in headers if name == "retry-after"] == ["7"]
    assert json.loads(body)["member"] == "3911"
    assert logged(host, address) == [""]


def test_a_limit_that_tries_out_refuses_nothing_and_is_logged(host, address):
    answers = ask(host, "limited.test/tried", 6, source=address)
    assert passed(answers) == 6
    assert {(one.retry_after, one.limit) for one in answers} == {(0, 0)}
    both = "tried_bucket:dry_run tried_window:dry_run"
    assert logged(host, address) == ["", *["tried_bucket:dry_run"] * 2, *[both] * 3]


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_connections_of_an_address_are_limited(host, address, http):
    answers = ask(host, "crowded.test/slow?seconds=1.5", 8, source=address, http=http, at_once=True)
    assert Counter((one.status, one.retry_after) for one in answers) == {(200, 0): 3, (429, 1): 5}
    assert Counter(logged(host, address)) == {"": 3, "connections": 5}
    assert passed(ask(host, "crowded.test/slow?seconds=0.1", 8, source=address, http=http)) == 8
    answers = ask(host, "crowded.test/livez?seconds=1", 8, source=address, http=http, at_once=True)
    assert passed(answers) == 8


# Users whom the application names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "requests"), [("partner_manager", 100), ("Partner_Employee", 50), ("customer", 20), ("nobody_knows", 20)]
)
def test_a_user_has_the_window_of_the_tier(host, address, user, tier, requests):
    answers = ask(host, "limited.test/visits", requests + 15, source=address, options=cookie(user, tier))
    assert passed(answers) == requests
    assert {one.limit for one in answers} == {requests}
    elsewhere = ask(host, "limited.test/visits", 3, source=one_of(), options=cookie(user, tier))
    assert passed(elsewhere) == 0
    known = tier.lower()
    assert set(logged(host, address, "tier")) == {"anonymous", known}
    assert set(logged(host, address, "user")) == {""}


@WAYS
def test_users_behind_one_address_are_not_mixed(host, address, user, http, at_once):
    way = {"source": address, "http": http}
    sessions = [cookie(f"{user}{number}", "customer") for number in range(10)]
    first = [command("limited.test/visits", **way, options=session) for session in sessions]
    assert passed(answers_to(host, *first)) == 10
    for session in sessions:
        assert passed(ask(host, "limited.test/visits", 30, **way, at_once=at_once, options=session)) == 19
    # What they had been counted as before they were known was given back.
    assert passed(ask(host, "limited.test/visits", 30, **way, at_once=at_once)) == 10


def test_users_without_tiers_have_a_window_each(host, address, user):
    for number in range(3):
        answers = ask(host, "limited.test/each_user", 9, source=address, options=cookie(f"{user}{number}", "x"))
        assert passed(answers) == 5
    assert passed(ask(host, "limited.test/each_user", 9, source=address)) == 5


def test_tiers_of_a_bucket(host, address, user):
    ask(host, "limited.test/each_user", 1, source=address, options=cookie(user, "gold"))
    ask(host, "limited.test/each_user", 1, source=address, options=cookie(f"{user}2", "silver"))
    golden = ask(host, "limited.test/tiered", 6, source=address, options=cookie(user, "gold"))
    silver = ask(host, "limited.test/tiered", 6, source=address, options=cookie(f"{user}2", "silver"))
    nobody = ask(host, "limited.test/tiered", 6, source=address)
    assert [passed(answers) for answers in (golden, silver, nobody)] == [2, 2, 2]
    assert [answers[-1].retry_after for answers in (golden, silver, nobody)] == [5, 10, 31]
    time.sleep(5)
    assert passed(ask(host, "limited.test/tiered", 3, source=address, options=cookie(user, "gold"))) == 1
    assert passed(ask(host, "limited.test/tiered", 3, source=address)) == 0


@pytest.mark.parametrize(
    "forged",
    [
        "-H 'X-User-Id: boss' -H 'X-User-Tier: super_admin'",
        "-H 'x_user_id: boss' -H 'x_user_tier: super_admin'",
        "-H 'Authorization: Bearer x' -H 'X-User-Tier: super_admin'",
        "-H 'Cookie: session=made_up' -H 'X-User-Id: boss'",
    ],
)
def test_who_a_client_says_it_is_changes_nothing(host, address, forged):
    answers = ask(host, "limited.test/visits", 30, source=address, options=forged)
    assert passed(answers) == 10
    assert {one.limit for one in answers} == {10}
    status, headers, body = answer(host, f"{forged} https://limited.test/elsewhere")
    assert status == "HTTP/2 200"
    assert not [name for name in json.loads(body)["headers"] if "user_" in name or "x-user-" in name]
    assert not [name for name, _ in headers if name.startswith("x-user")]


def test_headers_about_users_stay_inside(host, address, user):
    _, headers, body = answer(host, f"{cookie(user, 'admin')} https://limited.test/elsewhere")
    assert f"session={user}.admin" in json.loads(body)["headers"]["cookie"]
    assert not [name for name, _ in headers if name.startswith("x-user")]


def test_a_user_cannot_get_more_with_new_credentials(host, address, user):
    tokens = [f"-H 'Authorization: Bearer {' ' * number}{user}.customer'" for number in range(40)]
    asked = [command("limited.test/visits", source=address, options=one) for one in tokens]
    # Those of the user, and those that anybody has from this address.
    assert passed(answers_to(host, *asked)) == 20 + 10


def test_made_up_credentials_share_what_the_address_has(host, address):
    sessions = [f"-H 'Cookie: session=x{number}'" for number in range(15)]
    asked = [command("limited.test/visits", source=address, options=one) for one in sessions]
    assert passed(answers_to(host, *asked)) == 10


def test_whoever_signs_in_is_known_at_once(host, address, user):
    ask(host, "limited.test/visits", 9, source=address)
    signed_in = ask(host, f"limited.test/visits/login?as={user}.customer", 1, source=address)
    assert (signed_in[0].limit, signed_in[0].remaining) == (20, 19)
    assert passed(ask(host, "limited.test/visits", 5, source=address)) == 1
    assert passed(ask(host, "limited.test/visits", 30, source=address, options=cookie(user, "customer"))) == 19


@pytest.mark.parametrize("end", ["logout", "x?code=401"])
def test_whoever_signs_out_is_forgotten(host, address, user, end):
    session = cookie(user, "customer")
    assert passed(ask(host, "limited.test/visits", 2, source=address, options=session)) == 2
    assert ask(host, "limited.test/visits", 1, source=address, options=session)[0].limit == 20
    ask(host, f"limited.test/visits/{end}", 1, source=address, options=session)
    assert passed(ask(host, "limited.test/visits", 10, source=address)) == 10
    # Not known, so counted with the address, whose window is full.
    assert ask(host, "limited.test/visits", 1, source=address, options=session)[0].status == 429


# Users of tokens -------------------------------------------------------------------------------------------------


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_with_secret(secret):
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def token(sign, algorithm="HS256", header=None, **claims):
    whole = {"aud": "shop", "role": "customer", "exp": time.time() + 600, **claims}
    whole = {name: value for name, value in whole.items() if value is not None}
    head = {"alg": algorithm, "typ": "JWT", **(header or {})}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (head, whole))
    return f"{text}.{encoded(sign(text.encode()))}"


BY_SECRET = signed_with_secret(SECRET.encode())


def allowance(host, address, token, name="tokens", options=""):
    """The window that a token has; 10 is that of nobody."""
    options = options or f"-H 'Authorization: Bearer {token}'"
    return ask(host, f"{name}.test/visits", 1, source=address, options=options)[0].limit


def test_a_token_tells_user_and_tier(host, address, user):
    mine = token(BY_SECRET, sub=user)
    answers = ask(host, "tokens.test/visits", 30, source=address, options=f"-H 'Authorization: bearer {mine}'")
    assert passed(answers) == 20
    renewed = token(BY_SECRET, sub=user, jti="2")
    assert passed(ask(host, "tokens.test/visits", 3, source=address, options=f"-H 'Cookie: token={renewed}'")) == 0
    assert passed(ask(host, "tokens.test/visits", 30, source=address)) == 10
    assert set(logged(host, address, "user")) == {user, ""}
    assert set(logged(host, address, "tier")) == {"customer", "anonymous"}


@WAYS
def test_users_of_tokens_behind_one_address_are_not_mixed(host, address, user, http, at_once):
    for number in range(10):
        mine = f"-H 'Authorization: Bearer {token(BY_SECRET, sub=f'{user}{number}')}'"
        answers = ask(host, "tokens.test/visits", 30, source=address, options=mine, http=http, at_once=at_once)
        assert passed(answers) == 20
    assert passed(ask(host, "tokens.test/visits", 30, source=address, http=http, at_once=at_once)) == 10


@pytest.mark.parametrize(
    ("claims", "limit"),
    [
        ({"role": "super_admin"}, 1000),
        ({"role": "ADMIN"}, 500),
        ({"role": ["unheard_of", "admin"]}, 500),
        ({"role": None}, 20),
        ({"role": {"a": 1}}, 20),
        ({"aud": ["other", "shop"]}, 20),
        ({"sub": 12345}, 20),
        ({"exp": None}, 20),
        ({"sub": None}, 10),
        ({"sub": ""}, 10),
        ({"sub": {"a": 1}}, 10),
        ({"aud": "other"}, 10),
        ({"aud": None}, 10),
        ({"exp": 1}, 10),
        ({"exp": "never"}, 10),
        ({"nbf": 4102444800}, 10),
    ],
)
def test_claims_are_held_to_their_form_and_time(host, address, user, claims, limit):
    assert allowance(host, address, token(BY_SECRET, **{"sub": user, **claims})) == limit


def test_a_token_that_was_good_is_not_when_it_has_expired(host, address, user):
    # Clocks may differ by five seconds.
    mine = token(BY_SECRET, sub=user, exp=time.time() - 3)
    assert allowance(host, address, mine) == 20
    time.sleep(2.5)
    assert allowance(host, address, mine) == 10


def forged_tokens(user):
    good = token(BY_SECRET, sub=user)
    head, body, signature = good.split(".")
    claims = {"sub": user, "role": "super_admin", "aud": "shop", "exp": time.time() + 600}
    other = encoded(json.dumps(claims).encode())
    none = encoded(b'{"alg":"none","typ":"JWT"}')
    capital_none = encoded(b'{"alg":"None"}')
    return {
        "other secret": token(signed_with_secret(b"another secret of 32 characters.."), sub=user),
        "empty secret": token(signed_with_secret(b""), sub=user),
        "other claims": f"{head}.{other}.{signature}",
        "none, unsigned": f"{none}.{other}.",
        "none, signed": f"{none}.{other}.{signature}",
        "None": f"{capital_none}.{other}.{signature}",
        "no signature": f"{head}.{body}.",
        "no third part": f"{head}.{body}",
        "a fourth part": f"{good}.{signature}",
        "cut signature": good[:-4],
        "another algorithm's name": token(BY_SECRET, "HS512", sub=user),
        "an extension that must be understood": token(BY_SECRET, header={"crit": ["b64"], "b64": False}, sub=user),
        "no JSON": f"{encoded(b'x')}.{encoded(b'y')}.{signature}",
        "no base64": "a.b.c",
    }


def test_forged_tokens_are_nobody(host, user):
    forged = forged_tokens(user)
    asked = [
        command("tokens.test/visits", source=one_of(), options=f"-H 'Authorization: Bearer {one}'")
        for one in forged.values()
    ]
    limits = dict(zip(forged, [one.limit for one in answers_to(host, *asked)]))
    assert limits == dict.fromkeys(forged, 10)


# Runs of the role ------------------------------------------------------------------------------------------------


def public(key):
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form).decode()


def signed_with_p256(key):
    def sign(text):
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def signed_with_rsa(key):
    return lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())


@dataclass(frozen=True)
class Keys:
    p256: ec.EllipticCurvePrivateKey
    older_p256: ec.EllipticCurvePrivateKey
    rsa: rsa.RSAPrivateKey


def test_the_admin_socket_tells_the_limits_that_nginx_runs_with(host):
    socket = "/var/lib/slipway/nginx/admin.sock"
    told = json.loads(host.check_output(f"curl -sf --unix-socket {socket} http://localhost/limits"))["applications"]
    assert told["crowded"]["connections_max"] == 3
    limits = told["limited"]["limits"]
    assert (limits["bucket"]["requests"], limits["bucket"]["seconds"]) == (6, 60)
    assert (limits["visits"]["by"], limits["visits"]["tiers"]["admin"]) == ("user", 500)
    assert limits["tried_bucket"]["dry_run"]
    assert limits["tried_window"]["dry_run"]
    # Which the scenario takes away.
    assert "general" not in limits


@pytest.fixture(scope="module")
def further(run_playbook, host, tmp_path_factory):
    """An edge that knows countries and public keys; its limited.test counts by user what it counted by address."""
    keys = Keys(
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
    )
    database = tmp_path_factory.mktemp("countries") / "countries.mmdb"
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-Country")
    for network, country in (("127.251.0.0/16", "DE"), ("127.252.0.0/16", "FR")):
        writer.insert_network(IPSet([network]), {"country": {"iso_code": country}})
    writer.to_db_file(str(database))
    content = base64.b64encode(database.read_bytes()).decode()
    host.check_output(f"echo {content} | base64 -d > {DATABASE}")
    visits = {"kind": "window", "by": "user", "requests": 20, "seconds": 900, "tiers": {"anonymous": 10}}
    locations = [{"path": f"/{name}", "limits": [name]} for name in ("visits", "bucket", "country", "country_bucket")]
    country = {"seconds": 900, "kind": "window", "requests": 4, "regions": {"DE": 7, "default": 2}}
    limits = {
        "visits": visits,
        "bucket": {"requests": 6, "seconds": 60, "burst": 1, "by": "user"},
        "country": country,
        "country_bucket": {**country, "seconds": 60, "kind": "bucket", "regions": {"DE": 60}, "burst": 1},
    }
    common = {"members": MEMBERS, "limits": limits, "locations": locations, "connections_max": 0}
    users = {"es": {"algorithm": "ES256"}, "rs": {"algorithm": "RS256"}, "limited": {"source": "response_header"}}
    done = run_playbook(
        nginx_geoip_database=DATABASE,
        nginx_token_keys={"es": public(keys.older_p256) + public(keys.p256), "rs": public(keys.rsa)},
        nginx_applications=[
            {**common, "name": name, "server_names": [f"{name}.test"], "users": {"source": "token", **of_name}}
            for name, of_name in users.items()
        ],
    )
    assert done.returncode == 0, done.stdout
    yield keys
    assert run_playbook().returncode == 0


def test_tokens_signed_with_keys(host, address, user, further):
    for name, algorithm, sign in (
        ("es", "ES256", signed_with_p256(further.p256)),
        ("es", "ES256", signed_with_p256(further.older_p256)),
        ("rs", "RS256", signed_with_rsa(further.rsa)),
    ):
        for _ in range(10):
            # Numbers of all lengths.
            assert allowance(host, address, token(sign, algorithm, sub=user, jti=str(random.random())), name) == 20


def test_a_public_key_is_no_secret_and_a_key_is_for_one_algorithm(host, user, further):
    another = ec.generate_private_key(ec.SECP256R1())
    for name, forged in (
        ("rs", token(signed_with_secret(public(further.rsa).encode()), "HS256", sub=user)),
        ("rs", token(signed_with_secret(public(further.rsa).encode()), "RS256", sub=user)),
        ("rs", token(signed_with_p256(further.p256), "ES256", sub=user)),
        ("es", token(signed_with_p256(another), "ES256", sub=user)),
        ("es", token(lambda text: bytes(64), "ES256", sub=user)),
        ("es", token(lambda text: further.p256.sign(text, ec.ECDSA(hashes.SHA256())), "ES256", sub=user)),
        ("es", token(signed_with_secret(public(further.p256).encode()), "HS256", sub=user)),
    ):
        assert allowance(host, one_of(), forged, name) == 10


@pytest.mark.parametrize(
    ("network", "in_window", "in_bucket", "retry_after"), [(251, 7, 2, 1), (252, 2, 2, 16), (253, 2, 2, 16)]
)
def test_countries_have_limits_of_their_own(host, further, network, in_window, in_bucket, retry_after):
    source = one_of().replace("127", f"127.{network}", 1).rsplit(".", 1)[0]
    assert passed(ask(host, "limited.test/country", 12, source=source)) == in_window
    answers = ask(host, "limited.test/country_bucket", 12, source=source)
    assert passed(answers) == in_bucket
    assert answers[-1].retry_after == retry_after


def test_a_limit_may_change_whom_it_counts(host, address, user, further):
    """nginx refuses to load a zone whose key has changed."""
    mine = f"-H 'Authorization: Bearer {user}.x'"
    ask(host, "limited.test/visits", 1, source=address, options=mine)
    assert passed(ask(host, "limited.test/bucket", 5, source=address, options=mine)) == 2
    assert passed(ask(host, "limited.test/bucket", 5, source=address)) == 2


def test_keys_are_for_root_alone(host, further):
    assert host.check_output("stat -c '%a %U' /etc/slipway/nginx /etc/slipway/nginx/es.key") == "700 root\n600 root"
    assert not host.file("/etc/slipway/nginx/tokens.key").exists
    assert "BEGIN" not in host.check_output("cat /etc/nginx/slipway/limits.json")


def test_a_new_key_is_taken(converge, host, address, user):
    other = "another secret, of 32 characters"
    done = converge(nginx_token_keys={"tokens": other})
    try:
        assert done.returncode == 0
        assert other not in done.stdout
        assert allowance(host, address, token(signed_with_secret(other.encode()), sub=user)) == 20
        assert allowance(host, address, token(BY_SECRET, sub=user)) == 10
    finally:
        assert converge(nginx_token_keys={"tokens": f"{other}\n{SECRET}\n"}).returncode == 0
    for secret in (other, SECRET):
        assert allowance(host, one_of(), token(signed_with_secret(secret.encode()), sub=user)) == 20
    assert converge().returncode == 0


def test_bad_limits_are_refused_by_name_and_nothing_is_touched(converge, host):
    look = "sha256sum $(find /etc/nginx/slipway /etc/slipway/nginx -type f | sort); cat /run/nginx.pid"
    before = host.check_output(look)
    shop = {"name": "shop", "members": MEMBERS, "locations": [{"path": "/", "limits": ["orders"]}]}
    board = {"name": "board", "server_names": ["board.test"], "users": {"source": "token", "algorithm": "HS256"}}
    refused = converge(
        nginx_limits={
            "none": {"requests": 0, "seconds": 60},
            "here": {"requests": 1, "seconds": 60, "regions": {"DE": 1}},
        },
        nginx_applications=[shop, {**board, "limits": {"x": {"requests": 1, "seconds": 60, "tiers": {"gold": 5}}}}],
        nginx_token_keys={"board": "short"},
    )
    assert refused.returncode != 0
    told = " ".join((refused.stdout + refused.stderr).split())
    for text in (
        "nginx_limits.none.requests: 0; expected a whole number of requests from 1",
        "nginx_limits.here.regions: this edge has no database of countries",
        "nginx_applications[1] (board).limits.x.tiers: tiers are of users",
        "nginx_token_keys.board: is not what board needs; expected a secret of at least 32 bytes",
    ):
        assert text in told
    assert "short" not in told.replace("shortest", "")
    assert host.check_output(look) == before
    await_value(lambda: answer(host, "https://shop.test/whoami")[0], "HTTP/2 200")
