"""Each automatic item passes on a stack that has everything, and fails for each thing that it is about."""

from __future__ import annotations

from datetime import date

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.audit.checklist import AUTOMATIC, BY_ID, ITEMS
from ansible_collections.slipway.stack.plugins.module_utils.audit.judge import judge
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.audit.stacks import (
    APPS,
    CHAT,
    GROUPS,
    OWN,
    about,
    broken,
    gone,
    measuring,
    report,
    spoilt,
    stack,
)
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import (
    MAILER,
    SHOP,
    inventory,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = date(2026, 11, 24)
WHOLE, TOPOLOGY = stack()

# What each automatic item is about: without any of these, or with one broken, it fails.
ABOUT = {
    "S0-1": ("certificate", "redirect"),
    "S0-2": ("limits",),
    "S0-3": ("limits",),
    "S0-4": ("security_headers",),
    "S0-5": ("environment",),
    "S0-7": ("firewall",),
    "S0-8": ("log_rotation",),
    "S0-9": ("monitoring", "alerting"),
    "S1-1": ("environment", "instance"),
    "S1-3": ("certificate",),
    "S1-4": (),
    "S1-5": ("monitoring",),
    "S1-6": ("backup",),
    "S2-1": ("environment", "instance"),
    "S2-2": ("certificate",),
    "S2-4": ("persistence",),
    "S2-5": ("monitoring", "alerting"),
    "S2-6": ("log_aggregation",),
    "S2-9": ("backup", "backup_timer"),
    "S2-12": ("autoscaling",),
    "S2-13": ("restore_drill",),
    "S3-1": ("single_instance",),
    "S3-2": ("database",),
    "S3-3": ("websocket_origin",),
    "S3-4": ("websocket", "pool"),
    "S3-5": ("websocket_metrics",),
    "S3-6": ("resources", "alerting"),
    "S3-7": ("traffic", "alerting"),
    "S3-10": ("limits",),
    "S3-11": ("cors",),
    "S3-12": ("certificate", "websocket"),
    "S4-1": ("instance",),
    "S4-2": ("database", "database_login"),
    "S4-3": ("redis",),
    "S4-4": ("limits",),
    "S4-5": ("security_headers", "cors", "compression"),
    "S4-6": ("autoscaling",),
    "S4-7": ("monitoring", "alerting"),
    "S4-10": ("traffic",),
}
PAIRS = [(identity, word) for identity, words in ABOUT.items() for word in words]


def judged(identity, seen=WHOLE, topology=TOPOLOGY):
    (one,) = judge([BY_ID[identity]], seen, topology, None, None, TODAY).items
    return one


def state_of(identity, seen=WHOLE, topology=TOPOLOGY):
    one = judged(identity, seen, topology)
    if one.state.value == "failed":
        assert one.next_step, "what failed says what would make it pass"
    assert one.evidence
    return one.state.value


def test_the_table_is_of_all_automatic_items():
    assert set(ABOUT) == {item.identity for item in ITEMS if item.rule}
    assert len(ABOUT) == AUTOMATIC


@pytest.mark.parametrize("identity", ABOUT)
def test_it_passes_where_everything_was_seen(identity):
    assert state_of(identity) == "passed"


@pytest.mark.parametrize(("identity", "word"), PAIRS)
def test_it_fails_where_that_is_broken(identity, word):
    seen = spoilt(WHOLE, about(word), broken)
    assert state_of(identity, seen) == "failed"
    assert "it is broken" in judged(identity, seen).evidence
    assert "repair it" in judged(identity, seen).next_step


@pytest.mark.parametrize(("identity", "word"), PAIRS)
def test_it_fails_where_that_was_not_seen(identity, word):
    seen = spoilt(WHOLE, lambda host, one: word in one["proves"] or one["part"] == word, gone)
    assert state_of(identity, seen) == "failed"


@pytest.mark.parametrize(("identity", "word"), PAIRS)
def test_a_check_that_could_not_run_or_warns_has_not_passed(identity, word):
    for status in ("unknown", "warning"):
        seen = spoilt(WHOLE, about(word), lambda one, status=status: {**broken(one), "status": status})
        assert state_of(identity, seen) == "failed"


@pytest.mark.parametrize(("word", "identity"), [(word, identity) for identity, word in PAIRS if word not in OWN])
def test_it_fails_where_one_host_or_application_was_left_out(word, identity):
    places = [
        (host, one["application"])
        for host, part in WHOLE["hosts"].items()
        for one in part["results"]
        if word in one["proves"]
    ]
    if len(set(places)) == 1:
        return
    host, application = places[-1]
    seen = spoilt(
        WHOLE, lambda name, one: name == host and one["application"] == application and word in one["proves"], gone
    )
    if identity == "S3-1":
        host, application = "edge1", "chat"
        seen = spoilt(WHOLE, lambda name, one: name == host and "single_instance" in one["proves"], gone)
    assert state_of(identity, seen) == "failed"
    assert host in judged(identity, seen).evidence


@pytest.mark.parametrize(
    ("identity", "word", "measures", "words"),
    [
        ("S0-2", "limits", {"limits": 0}, "no limit of requests"),
        ("S3-10", "limits", {"limits": 0}, "no limit of requests"),
        ("S0-3", "limits", {"connections_max": 0}, "any number of connections"),
        ("S4-4", "limits", {"limits_by_tier": 0}, "by user and tier"),
        ("S3-1", "pool", {"taking_members": 2, "members": 2}, "2 of 2 members"),
        ("S3-1", "pool", {"taking_members": 0, "members": 1}, "0 of 1 members"),
        ("S4-1", "instance", {"restarts": 1}, "1 restarts"),
        ("S4-1", "instance", {"oom_kills": 2}, "2 processes killed"),
        ("S4-1", "instance", {"active_seconds": 3600}, "1.0 h only"),
        ("S4-10", "traffic", {"p95_ms": 200}, "the targets are 200 ms"),
        ("S4-10", "traffic", {"error_percent": 0.1}, "the targets are"),
        ("S4-10", "traffic", {"requests": 99}, "too few"),
    ],
)
def test_what_was_measured_counts(identity, word, measures, words):
    seen = spoilt(WHOLE, about(word), measuring(**measures))
    assert state_of(identity, seen) == "failed"
    assert words in judged(identity, seen).evidence


@pytest.mark.parametrize(
    ("identity", "word"),
    [("S3-2", "database"), ("S4-1", "instance"), ("S4-10", "traffic"), ("S0-2", "limits")],
)
def test_a_check_that_does_not_measure_it_has_not_passed(identity, word):
    seen = spoilt(WHOLE, about(word), lambda one: {**one, "measures": {}})
    assert state_of(identity, seen) == "failed"


@pytest.mark.parametrize(
    ("identity", "fields", "words"),
    [
        ("S0-4", {"headers": {"X-Content-Type-Options": None}}, "X-Content-Type-Options"),
        ("S0-4", {"headers": {"content-security-policy": None, "x-frame-options": None}}, "or X-Frame-Options"),
        ("S1-1", {"database": False, "redis": False}, "nothing of the environment"),
        ("S3-11", {"cors": {"origins": ["*"]}}, "pages of *"),
        ("S3-11", {"cors": {"origins": ["http://a.example.org"]}}, "http://a.example.org"),
        ("S3-11", {"cors": {"origins": ["https://localhost:3000"]}}, "localhost"),
        ("S3-11", {"websocket_origins": ["https://[::1]"]}, "::1"),
        ("S3-11", {"websocket_origins": ["https://dev.local"]}, "dev.local"),
    ],
)
def test_what_is_declared_counts(identity, fields, words):
    seen, topology = stack({**APPS, "shop": {**SHOP, **fields}})
    assert state_of(identity, seen, topology) == "failed"
    assert words in judged(identity, seen, topology).evidence


def test_origins_of_production_pass():
    cors = {"origins": ["https://admin.example.org:8443"]}
    assert state_of("S3-11", *stack({**APPS, "shop": {**SHOP, "cors": cors}})) == "passed"


def test_no_hsts_is_no_security():
    seen, topology = stack(host_variables={"edge2": {"nginx_hsts_seconds": 0}})
    assert "Strict-Transport-Security" in judged("S0-4", seen, topology).evidence
    assert state_of("S0-4", seen, topology) == "failed"


def test_redis_without_persistence_fails():
    hosts = {name: {"redis_persistence_enabled": False} for name in GROUPS["redis"]}
    assert state_of("S2-4", *stack(host_variables=hosts)) == "failed"


ONE = {group: ["one"] for group in ("edge", "shop", "postgresql", "redis")}
LEAN = {"shop": {**SHOP, "database": False, "redis": False, "locations": []}}


@pytest.mark.parametrize(
    ("identities", "apps", "groups", "words"),
    [
        (["S0-1", "S0-2", "S0-3", "S0-4", "S1-3", "S2-2", "S3-10", "S3-11", "S4-4", "S4-5", "S4-10"],
         {"mailer": MAILER}, {"shop": ["app1", "app2"]}, "reached by clients"),
        (["S0-6", "S1-6", "S2-9", "S2-13"], LEAN, {"edge": ["a"], "shop": ["b"]}, "neither a database nor Redis"),
        (["S1-2", "S2-3", "S3-2", "S4-2"], LEAN, {"edge": ["a"], "shop": ["b"]}, "has a database"),
        (["S2-4", "S4-3"], LEAN, {"edge": ["a"], "shop": ["b"]}, "no Redis"),
        (["S3-3", "S3-4", "S3-5", "S3-7", "S3-9", "S3-12"], LEAN, {"edge": ["a"], "shop": ["b"]}, "websockets"),
        (["S3-1", "S3-13"], {"shop": SHOP}, None, "single_instance"),
        (["S3-4"], {"chat": CHAT}, None, "one member"),
        (["S2-12", "S4-6"], {"chat": CHAT}, None, "a second is refused"),
        (["S2-7", "S2-12", "S4-6"], {"shop": SHOP}, ONE, "one server"),
    ],
)  # fmt: skip
def test_it_does_not_apply(identities, apps, groups, words):
    seen, topology = stack(apps, groups)
    for identity in identities:
        assert state_of(identity, seen, topology) == "not_applicable"
        assert words in judged(identity, seen, topology).evidence


def test_the_part_of_an_application_says_nothing():
    seen, topology = stack({**APPS, "backup": {**MAILER, "group": "chat"}}, own=())
    assert any(one["part"] == "backup" for part in seen["hosts"].values() for one in part["results"])
    assert state_of("S1-6", seen, topology) == "failed"


def test_the_type_of_a_check_that_names_no_part_says_nothing():
    own = {
        **WHOLE["hosts"]["edge1"]["results"][0],
        "type": "redis",
        "part": "redis",
        "proves": [],
        "status": "critical",
    }
    results = {name: part["results"] for name, part in WHOLE["hosts"].items()}
    seen = report({**results, "edge1": [*results["edge1"], own]})
    assert state_of("S4-3", seen) == "passed"
    assert state_of("S1-4", seen) == "failed"


def test_a_check_of_the_operators_own_stands_for_a_part():
    seen, topology = stack(own=())
    assert state_of("S1-5", seen, topology) == "failed"
    own = {**WHOLE["hosts"]["edge1"]["results"][0], "part": "monitoring", "application": "", "proves": []}
    seen["hosts"]["edge1"]["results"].append(own)
    assert state_of("S1-5", seen, topology) == "passed"


def test_health_needs_every_host():
    assert state_of("S1-4", report({"edge1": []})) == "failed"
    lacking = {name: part["results"] for name, part in WHOLE["hosts"].items() if name != "data3"}
    assert "data3" in judged("S1-4", report(lacking)).evidence
    assert state_of("S1-4", report(lacking)) == "failed"
    assert state_of("S1-4", spoilt(WHOLE, about("redirect"), broken)) == "failed"


@settings(max_examples=40, deadline=None)
@given(
    edge=st.integers(1, 2),
    apps=st.lists(st.sampled_from(sorted(APPS)), unique=True),
    spare=st.booleans(),
)
def test_nothing_passes_where_nothing_was_seen(edge, apps, spare):
    groups = {**GROUPS, "edge": GROUPS["edge"][:edge]}
    topology = build(inventory({name: APPS[name] for name in apps}, groups))
    empty = {"hosts": {name: {"results": []} for name in topology.hosts}} if spare else {}
    for one in judge(ITEMS, empty, topology, None, None, TODAY).items:
        assert one.state.value != "passed", one


def test_no_stack_at_all_passes_nothing():
    topology = build(inventory({}, {"spare": ["a"]}))
    states = {one.state.value for one in judge(ITEMS, {}, topology, None, None, TODAY).items}
    assert "passed" not in states
