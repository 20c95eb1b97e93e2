"""The maintenance page: what may be asked for, what comes of it, and that asking again changes nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address, ip_network

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance import (
    ANNOUNCED,
    OFF,
    ON,
    SKIP,
    STATES,
    TAKE,
    Maintenance,
    MaintenanceError,
    Request,
    applied,
    describe,
    differs,
    parse,
    parse_network,
    parse_request,
    plan,
    render,
    report_state,
    require,
    wanted,
    warnings,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=timezone.utc)
LATER, LATEST = NOW + timedelta(hours=1), NOW + timedelta(hours=2)

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1971, 1, 2), datetime(2200, 1, 1), timezones=zones)
seconds = moments.map(lambda moment: moment.astimezone(timezone.utc).replace(microsecond=0))
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip)
networks = st.sampled_from(["192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "::1", "0.0.0.0/0"])
allows = st.lists(networks, unique=True, max_size=3).map(tuple)
owners = st.sampled_from(["Ada", "deploy 7"])
requests = st.builds(
    Request,
    state=st.sampled_from(STATES),
    message=st.none() | texts,
    starts=st.none() | st.just(LATER),
    ends=st.none() | st.just(LATEST),
    allow=st.none() | allows,
    owner=owners,
    reason=texts,
    others=st.just(TAKE),
    without=st.sampled_from([frozenset(), frozenset({"starts"}), frozenset({"ends"})]),
)
not_off = st.builds(
    Maintenance,
    state=st.sampled_from([ANNOUNCED, ON]),
    message=texts,
    starts=st.just(LATER),
    ends=st.none() | st.just(LATEST),
    allow=allows,
    owner=owners,
    reason=texts,
    since=seconds,
)
states = st.just(Maintenance()) | not_off


def asked(**options):
    return parse_request({"state": ON, "owner": "Ada", **options})


# Networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        (" 2001:DB8:0::/48 ", "2001:db8::/48"),
        ("::1/128", "::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_a_network_has_one_form(text, usual):
    assert parse_network(text) == usual


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("192.0.2.7/24", "expected the network 192.0.2.0/24, or the address 192.0.2.7 alone"),
        ("2001:db8::7/32", "expected the network 2001:db8::/32, or the address 2001:db8::7 alone"),
        ("192.0.2.0/33", "expected an address or a network"),
        ("192.0.2", "expected an address or a network"),
        ("office.example.com", "expected an address or a network"),
        ("", "expected an address or a network"),
        ("192.0.2.1, 192.0.2.2", "expected an address or a network"),
    ],
)
def test_what_is_no_network_is_refused(text, told):
    with pytest.raises(ValueError, match=told):
        parse_network(text)


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_keeps_what_it_contains(address, prefix):
    network = ip_network(f"{address}/{min(prefix, address.max_prefixlen)}", strict=False)
    found = ip_network(parse_network(str(network)))
    if found.version == network.version:
        assert found == network
        assert ip_address(str(address)) in found
    else:
        assert found.version == 4


# What is asked for -----------------------------------------------------------------------------------------------


def test_each_option_that_cannot_be_is_told_by_its_name():
    with pytest.raises(MaintenanceError) as refused:
        parse_request(
            {
                "state": ON,
                "owner": " ",
                "starts": "2026-11-24T22:00:00",
                "ends": "later",
                "allow": ["10.0.0.1/8", "all"],
                "text": "a\x1b[0m",
                "reason": "r" * 2001,
            }
        )
    told = [line.partition(":")[0] for line in str(refused.value).splitlines()]
    assert told == ["starts", "ends", "text", "reason", "allow", "allow", "owner"]


def test_a_long_allow_list_is_refused():
    with pytest.raises(MaintenanceError, match="allow: 257 entries; expected at most 256"):
        asked(allow=[f"10.0.{number // 256}.{number % 256}" for number in range(257)])


def test_a_message_may_have_lines_and_an_allow_list_names_each_network_once():
    request = asked(text=" one\r\ntwo\n", allow=["10.0.0.0/8", "10.0.0.0/255.0.0.0"])
    assert request.message == "one\ntwo"
    assert request.allow == ("10.0.0.0/8",)


def test_off_needs_no_owner():
    assert parse_request({"state": OFF}).state == OFF


@pytest.mark.parametrize(
    ("current", "request_", "told"),
    [
        (Maintenance(), asked(state=ANNOUNCED), "starts: missing"),
        (Maintenance(), asked(starts="2026-11-24T22:00Z", ends="2026-11-24T22:00Z"), "is not after starts"),
        (Maintenance(), asked(ends="2026-11-24T19:59Z"), "ends: 2026-11-24T19:59:00Z has passed"),
        (Maintenance(ON, owner="deploy 7"), asked(text="x"), "the page is on by deploy 7"),
        (Maintenance(ON, owner="deploy 7"), parse_request({"state": OFF}), "a call without owner may not make it off"),
    ],
)
def test_what_makes_no_sense_or_belongs_to_others_is_refused(current, request_, told):
    with pytest.raises(MaintenanceError, match=told):
        plan(current, request_, NOW)


def test_what_belongs_to_others_is_left_or_taken_where_that_is_asked_for():
    current = Maintenance(ON, owner="deploy 7")
    left = plan(current, asked(state=OFF, when_owned_by_other=SKIP), NOW)
    assert (left.actions, left.skipped) == ((), True)
    assert plan(current, asked(state=OFF, when_owned_by_other=TAKE), NOW).actions != ()


def test_what_is_off_stays_as_it_is_whoever_asks():
    current = Maintenance(owner="deploy 7", since=NOW)
    assert plan(current, asked(state=OFF), NOW).actions == ()


def test_the_page_shows_what_was_announced():
    announced = Maintenance(ANNOUNCED, "m", LATER, LATEST, ("::1",), "Ada")
    assert wanted(announced, asked()) == Maintenance(ON, "m", LATER, LATEST, ("::1",), "Ada")
    assert wanted(announced, asked(text="", ends="", allow=[])) == Maintenance(ON, "", LATER, None, (), "Ada")


def test_off_forgets_what_was_shown():
    current = Maintenance(ON, "m", LATER, LATEST, ("::1",), "Ada", "because", NOW)
    assert applied(current, asked(state=OFF, reason="done"), LATER) == Maintenance(
        OFF, owner="Ada", reason="done", since=LATER
    )


def test_what_is_so_already_is_not_judged_again():
    """A play that is run again when the end has passed changes nothing, and does not fail."""
    request = asked(ends="2026-11-24T21:00Z")
    current = applied(Maintenance(), request, NOW)
    assert plan(current, request, LATEST).actions == ()
    assert "passed 60 minutes ago and the page is still on" in warnings(current, LATEST)[0]
    assert warnings(current, NOW) == ()


def test_since_is_when_the_state_became_what_it_is():
    current = applied(Maintenance(), asked(), NOW)
    assert current.since == NOW
    assert applied(current, asked(text="more"), LATER).since == NOW
    assert applied(current, asked(state=OFF), LATER).since == LATER


@given(states, requests)
def test_asking_again_changes_nothing(current, request):
    try:
        found = plan(current, request, NOW)
    except MaintenanceError:
        return
    after = applied(current, request, NOW) if found.actions else current
    assert plan(after, request, NOW).actions == ()
    diff = describe(current, found.actions)
    assert (diff["before"] != diff["after"]) == bool(found.actions)


@given(states)
def test_a_state_is_read_back_from_its_file(state):
    assert parse(json.loads(json.dumps(render(state)))) == state


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"state": "maybe"}, "state is 'maybe'"),
        ({"state": ON, "ends": "soon"}, "ends is 'soon'"),
        ({"state": ON, "allow": "10.0.0.1"}, "expected a list"),
        ({"state": ON, "allow": ["office"]}, "allow is"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(raw, told):
    with pytest.raises(MaintenanceError, match=told):
        parse(raw)


def test_a_file_that_is_not_there_is_off():
    assert parse({}) == Maintenance()


# What others say -------------------------------------------------------------------------------------------------


def test_an_unknown_application_is_refused_with_those_there_are():
    with pytest.raises(MaintenanceError, match="'shpo' is not served by this host; expected one of board, shop"):
        require("shpo", {"applications": {"shop": {}, "board": {}}})
    with pytest.raises(MaintenanceError, match="this edge serves no application"):
        require("shop", {})


@given(not_off, not_off)
def test_nginx_follows_only_the_very_state(state, other):
    # As nginx tells it: without what is empty.
    told = {key: value for key, value in render(state).items() if value}
    report = {"applications": {"shop": told}}
    assert not differs(report, "shop", state)
    assert differs(report, "shop", other) == (state != other)
    assert differs(report, "board", state)
    assert differs(report, "shop", Maintenance())


def test_an_application_that_is_off_is_told_without_who_switched_it_off():
    assert not differs({"applications": {"shop": {"state": OFF}}}, "shop", Maintenance(owner="Ada", since=NOW))


def test_modules_say_whether_the_end_has_passed():
    assert report_state(Maintenance(ON, ends=NOW), NOW)["overdue"] is True
    assert report_state(Maintenance(ON, ends=LATER), NOW)["overdue"] is False
    assert report_state(Maintenance(), NOW)["overdue"] is False
