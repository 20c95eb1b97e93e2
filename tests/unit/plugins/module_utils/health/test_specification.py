# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks are refused before any of them runs, with all that is wrong in one message."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.specification import (
    SpecificationError,
    parse_checks,
    parse_policy,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.table import CHECK_TYPES
from hypothesis import given
from hypothesis import strategies as st

MINIMAL: dict[str, dict[str, Any]] = {
    "http": {"url": "http://127.0.0.1/"},
    "websocket": {"url": "ws://127.0.0.1/ws"},
    "tcp": {"host": "127.0.0.1", "port": 80},
    "tls": {"host": "127.0.0.1"},
    "postgresql": {},
    "redis": {},
    "redis_cluster": {"nodes": ["10.0.0.1:6379", "10.0.0.2:6379"]},
    "mongodb": {},
    "systemd": {},
    "release": {"root": "/srv/slipway/shop"},
    "host": {},
    "firewall": {},
    "limits": {"application": "shop"},
    "file": {"path": "/etc/hostname"},
    "dns": {"host": "example.org"},
    "pool": {},
    "traffic": {},
}


def problems_of(*raw: Any) -> list[str]:
    with pytest.raises(SpecificationError) as caught:
        parse_checks(list(raw))
    return list(caught.value.problems)


@pytest.mark.parametrize("kind", CHECK_TYPES)
def test_every_type_has_a_minimal_form_and_a_name(kind: str) -> None:
    check = parse_checks([{"type": kind, **MINIMAL[kind]}])[0]
    assert kind == check.TYPE
    assert check.name.startswith(kind)
    assert check.target()


@pytest.mark.parametrize("kind", CHECK_TYPES)
def test_every_option_is_documented(kind: str) -> None:
    page = (Path(__file__).resolve().parents[5] / "docs" / "health.md").read_text(encoding="utf-8")
    own = page.split(f"### `{kind}`", 1)[1].split("\n### ", 1)[0]
    every = page.split("## Options of every check", 1)[1].split("\n## ", 1)[0]
    for field in dataclasses.fields(CHECK_TYPES[kind]):
        assert f"`{field.name}`" in own + every, f"{field.name} of {kind} is not in docs/health.md"
        assert field.metadata["about"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"type": "htp", "url": "http://a/"}, ["unknown type 'htp'", "did you mean http?"]),
        ({"url": "http://a/"}, ["has no type"]),
        ("http://a/", ["expected a dictionary"]),
        ({"type": "tcp", "host": "a", "port": 80, "timeout_seconds": -1}, ["timeout_seconds", "0.01 to 3600", "-1"]),
        ({"type": "tcp", "host": "a", "port": 80, "timeout_seconds": 0}, ["timeout_seconds"]),
        ({"type": "tcp", "host": "a", "port": 80, "timeout_seconds": "5 secs"}, ["timeout_seconds", "5 secs"]),
        ({"type": "tcp", "host": "a", "port": 0}, ["port", "1 to 65535"]),
        ({"type": "tcp", "host": "a", "port": 70000}, ["port", "1 to 65535"]),
        ({"type": "tcp", "port": 80}, ["host is missing"]),
        ({"type": "tcp", "host": "", "port": 80}, ["host is missing"]),
        ({"type": "tcp", "host": "a", "prot": 80}, ["unknown key 'prot'", "did you mean port?", "port is missing"]),
        ({"type": "http", "url": "http://a/", "host": "a"}, ["url and host exclude each other"]),
        ({"type": "tcp", "url": "http://a/", "host": "a", "port": 1}, ["url and host exclude each other"]),
        ({"type": "http", "url": "ftp://a/"}, ["url has no scheme of http or https"]),
        ({"type": "http", "url": "http:///x"}, ["has no host"]),
        ({"type": "http", "url": "http://a:99999/"}, ["port"]),
        ({"type": "http", "url": "http://a/x y"}, ["white space"]),
        ({"type": "http", "url": "http://a/", "json": {"a..b": 1}}, ["json path 'a..b'", "a.b[0].c"]),
        ({"type": "http", "url": "http://a/", "json": {"a": {"larger": 1}}}, ["unknown operator 'larger'"]),
        ({"type": "http", "url": "http://a/", "status": []}, ["status"]),
        ({"type": "http", "url": "http://a/", "status": [99]}, ["status", "99"]),
        ({"type": "http", "url": "http://a/", "method": "get it"}, ["method"]),
        ({"type": "http", "url": "http://a/", "headers": {"A B": "c"}}, ["'A B'"]),
        ({"type": "http", "url": "http://a/", "headers": {"A": "c\r\nd"}}, ["line break"]),
        ({"type": "http", "url": "http://a/", "connect_to": "a"}, ["connect_to", "host:port"]),
        ({"type": "http", "url": "http://a/", "crit_ms": 500}, ["warn_ms (1000) is above crit_ms (500)"]),
        ({"type": "websocket", "url": "http://a/"}, ["ws or wss"]),
        ({"type": "tls", "host": "a", "min_protocol": "SSLv3"}, ["min_protocol", "TLSv1.2"]),
        ({"type": "tls", "host": "a", "crit_days": 40}, ["crit_days (40) is above warn_days (30)"]),
        ({"type": "postgresql", "expect": "1"}, ["expect is given without a query"]),
        ({"type": "postgresql", "sslmode": "verify-full"}, ["needs a ca_file"]),
        ({"type": "postgresql", "sslmode": "always"}, ["sslmode"]),
        ({"type": "redis", "memory_warn_percent": 99}, ["memory_warn_percent"]),
        ({"type": "redis", "clients_warn_percent": 99}, ["clients_warn_percent is above clients_crit_percent"]),
        ({"type": "redis", "persistence": "disk"}, ["persistence", "aof, rdb, both, any, none"]),
        ({"type": "redis_cluster", "nodes": ["10.0.0.1"]}, ["nodes: expected host:port", "10.0.0.1"]),
        ({"type": "redis_cluster", "nodes": ["a:1", "b:1"], "size": 1}, ["size (1) is less than the 2 nodes"]),
        ({"type": "postgresql", "slot_warn_mb": 1e6}, ["slot_warn_mb is above slot_crit_mb"]),
        ({"type": "mongodb", "uri": "mongodb://h/", "host": "a"}, ["uri and host exclude each other"]),
        ({"type": "mongodb", "uri": "postgres://h/"}, ["uri: expected mongodb://user:password@host:port"]),
        ({"type": "mongodb", "uri": "mongodb://h/?ssl=false"}, ["uri switches TLS off", "tls: false allows it"]),
        ({"type": "mongodb", "tls": False, "ca_file": "/ca"}, ["ca_file is given without TLS"]),
        ({"type": "mongodb", "password": "x"}, ["password is given without a user"]),
        ({"type": "systemd", "unit": "a b;c"}, ["no unit's name"]),
        ({"type": "systemd", "unit": "--now"}, ["starts with a dash"]),
        ({"type": "release", "root": "../x"}, ["absolute"]),
        ({"type": "host", "disk_warn_percent": 95}, ["disk_warn_percent (95) is above disk_crit_percent (90)"]),
        ({"type": "host", "paths": ["tmp"]}, ["'tmp' is not absolute"]),
        ({"type": "host", "clock_warn_seconds": 60}, ["clock_warn_seconds (60) is above clock_crit_seconds (30)"]),
        ({"type": "host", "controller_epoch": "now"}, ["controller_epoch", "expected a number"]),
        ({"type": "systemd", "restarts_warn": 9}, ["restarts_warn (9) is above restarts_crit (5)"]),
        ({"type": "systemd", "stable_seconds": 9}, ["unknown key 'stable_seconds'"]),
        ({"type": "file", "path": "backup"}, ["expected an absolute path, got 'backup'"]),
        ({"type": "file", "path": "/srv/**/x"}, ["whole trees"]),
        # YAML reads 0640 as a number, which as digits would be other permissions.
        ({"type": "file", "path": "/a", "mode": 416}, ['in quotes, such as "0640", got 416']),
        ({"type": "file", "path": "/a", "mode": "rw-"}, ["octal digits"]),
        ({"type": "file", "path": "/a", "age_warn_seconds": 9, "age_crit_seconds": 5}, ["is above age_crit_seconds"]),
        ({"type": "file", "path": "/a", "min_bytes": 9, "max_bytes": 5}, ["is above max_bytes"]),
        ({"type": "file", "path": "/a", "exists": False, "owner": "root"}, ["exists: false goes without owner"]),
        ({"type": "dns", "host": "http://a/"}, ["is no name"]),
        ({"type": "dns", "host": "192.0.2.1"}, ["is an address; expected a name"]),
        ({"type": "dns", "host": "a", "addresses": ["b"]}, ["'b' is no address"]),
        ({"type": "dns", "host": "a", "match": "only"}, ["match goes with addresses"]),
        ({"type": "dns", "host": "a", "server": "ns1"}, ["server: 'ns1' is no address"]),
        ({"type": "dns", "host": "a", "family": "ipv5"}, ["family", "ipv4, ipv6, both"]),
        ({"type": "traffic", "log": "access.log"}, ["expected an absolute path"]),
        ({"type": "traffic", "error_warn_percent": 20}, ["is above error_crit_percent (10)"]),
        ({"type": "traffic", "crit_ms": 500}, ["warn_ms (1000) is above crit_ms (500)"]),
        ({"type": "traffic", "window_seconds": 0}, ["window_seconds", "1 to 86400"]),
        ({"type": "host", "retries": 1.5}, ["retries", "whole number"]),
    ],
)
def test_refuses_by_name(raw: Any, words: list[str]) -> None:
    text = "\n".join(problems_of(raw))
    assert "checks[0]" in text
    for word in words:
        assert word in text


def test_says_everything_at_once() -> None:
    problems = problems_of(
        {"type": "tcp", "name": "db", "prot": 1},
        {"type": "host"},
        {"type": "nope"},
        {"type": "http", "url": "x", "json": {"a.": 1}, "method": ""},
    )
    assert len(problems) == 6
    assert problems[0].startswith("checks[0] (tcp db): unknown key 'prot'")
    assert problems[-1].startswith("checks[3] (http)")


def test_nothing_to_check_is_refused() -> None:
    assert "empty" in problems_of()[0]


def test_a_refusal_repeats_no_secret() -> None:
    text = "\n".join(
        problems_of(
            {"type": "redis", "password": {"a": "hunter2hunter2"}},
            {"type": "redis", "pasword": "hunter2hunter2"},
            {"type": "http", "url": "gopher://u:hunter2hunter2@h/"},
            {"type": "mongodb", "uri": "mongodb://u:hunter2hunter2/@h/"},
        )
    )
    assert "hunter2" not in text


def test_texts_of_inventories_are_read() -> None:
    check = parse_checks([{"type": "postgresql", "port": "5433", "writable": "yes", "timeout_seconds": "2.5"}])[0]
    assert (check.port, check.writable, check.timeout_seconds) == (5433, True, 2.5)  # type: ignore[attr-defined]


def test_what_is_left_empty_was_not_given() -> None:
    check = parse_checks([{"type": "redis", "password": None, "username": "", "name": ""}])[0]
    assert check.name == "redis 127.0.0.1:6379"


@pytest.mark.parametrize(
    "change", [{"retries": -1}, {"delay_seconds": -0.1}, {"successes": 0}, {"parallelism": 0}, {"parallelism": 5000}]
)
def test_refuses_a_policy(change: dict[str, float]) -> None:
    options = {"retries": 0, "delay_seconds": 1, "successes": 1, "parallelism": 8, "fail_on": "failed", **change}
    with pytest.raises(SpecificationError, match=next(iter(change))):
        parse_policy(options)


@given(
    st.dictionaries(
        st.sampled_from(["type", "url", "host", "port", "json", "status", "timeout_seconds", "name", "headers", "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.lists(st.text())
        | st.dictionaries(st.text(), st.text())
        | st.sampled_from(list(CHECK_TYPES)),
    )
)
def test_whatever_comes_in_is_read_or_refused(raw: dict[str, Any]) -> None:
    try:
        checks = parse_checks([raw])
    except SpecificationError:
        return
    assert checks[0].name
