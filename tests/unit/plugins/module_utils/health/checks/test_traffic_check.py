# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge's access log: errors, answer times, rotation, and what it may look like."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.traffic import (
    Log,
    Request,
    is_error,
    parse_line,
    percentile,
    read_end,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance import Maintenance
from hypothesis import given
from hypothesis import strategies as st

OK, WARNING, CRITICAL, UNKNOWN = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN
NOW = 1_795_531_500.0
ZONE = timezone(timedelta(hours=2))


def requests(count: int, status: int = 200, seconds: float = 0.1, application: str = "shop") -> list[Request]:
    return [Request(NOW - 60, application, status, seconds, "192.0.2.11:3000")] * count


@pytest.mark.parametrize(
    ("options", "found", "status", "words"),
    [
        ({}, requests(100), OK, "shop: 100 requests, 0.0 % errors, 95 % within 100 ms"),
        ({}, [], OK, "no requests in 5 min"),
        ({}, requests(19, status=500), OK, "shop: 19 requests, too few to judge"),
        ({"min_requests": 19}, requests(19, status=500), CRITICAL, "100.0 % of 19 requests"),
        ({}, requests(96) + requests(4, status=500), OK, "4.0 % errors"),
        ({}, requests(95) + requests(5, status=500), WARNING, "5.0 % of 100 requests to shop in 5 min were answered"),
        ({}, requests(90) + requests(6, 502) + requests(4, 504), CRITICAL, "(6 of status 502, 4 of status 504)"),
        ({"error_crit_percent": 0}, requests(50) + requests(50, 500), WARNING, "50.0 %"),
        ({"error_warn_percent": 0, "error_crit_percent": 0}, requests(100, status=500), OK, ""),
        ({}, requests(100, status=404), OK, "0.0 % errors"),
        ({}, requests(100, status=499), OK, "0.0 % errors"),
        ({}, requests(94) + requests(6, seconds=1.2), WARNING, "5 % of the answers of shop took 1200 ms or more"),
        ({}, requests(95) + requests(5, seconds=1.2), OK, "95 % within 100 ms"),
        ({"crit_ms": 2000}, requests(100, seconds=2), CRITICAL, "took 2000 ms or more"),
        ({"warn_ms": 0}, requests(100, seconds=9), OK, ""),
        # How long websockets were open is no answer time.
        ({}, requests(50) + requests(50, status=101, seconds=9999), OK, "95 % within 100 ms"),
        ({}, requests(50, status=101, seconds=9999), OK, "50 requests, 0.0 % errors"),
        # One application is not excused by the other's many requests.
        ({}, requests(1000) + requests(20, 500, application="api"), CRITICAL, "100.0 % of 20 requests to api"),
        ({"application": "blog"}, [], OK, "blog: 0 requests, too few to judge"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], found: list[Request], status: Status, words: str
) -> None:
    outcome = make_check(type="traffic", **options).judge(Log(found, NOW - 300), NOW)
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_measures(make_check: Callable[..., Any]) -> None:
    found = [*requests(98), *requests(1, seconds=5), *requests(1, 500, seconds=5)]
    assert make_check(type="traffic").judge(Log(found, NOW - 300), NOW).measures == {
        "requests": 100,
        "error_percent": 1.0,
        "p50_ms": 100,
        "p95_ms": 100,
        "p99_ms": 5000,
        "answer_ms": 100,
    }
    assert make_check(type="traffic").judge(Log([], NOW - 300), NOW).measures == {"requests": 0, "error_percent": 0}


def test_says_what_it_could_not_read(make_check: Callable[..., Any]) -> None:
    check = make_check(type="traffic")
    outcome = check.judge(Log(requests(50), NOW - 40, malformed=2), NOW)
    assert outcome.status is OK
    assert "of the last 40 s only: 8.0 MB of the log hold no more" in outcome.seen
    assert "2 malformed lines" in outcome.seen
    outcome = check.judge(Log(requests(5), NOW - 300, malformed=6), NOW)
    assert outcome.status is UNKNOWN
    assert "6 lines of /var/log/nginx/access.log are not as the role nginx has them written" in outcome.message


def maintenance(state: str, since: float) -> dict[str, Maintenance]:
    return {"shop": Maintenance(state=state, since=datetime.fromtimestamp(since, timezone.utc))}


@pytest.mark.parametrize(
    ("status", "member", "pages", "error"),
    [
        (200, "", {}, False),
        (499, "", {}, False),
        (500, "192.0.2.11:3000", {}, True),
        (503, "", {}, True),
        (503, "", maintenance("on", NOW - 100), False),
        (503, "", maintenance("on", NOW - 10), True),
        (503, "", maintenance("off", NOW - 10), False),
        (503, "", maintenance("off", NOW - 100), True),
        (503, "", maintenance("announced", NOW - 100), True),
        (503, "", {"shop": Maintenance(state="on")}, True),
        # The application's own 503 stays one.
        (503, "192.0.2.11:3000", maintenance("on", NOW - 100), True),
        (502, "", maintenance("on", NOW - 100), True),
    ],
)
def test_a_maintenance_page_is_no_error(status: int, member: str, pages: dict[str, Maintenance], error: bool) -> None:
    assert is_error(Request(NOW - 60, "shop", status, 0.0, member), pages) is error


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from([50, 95, 99, 100]))
def test_so_many_do_not_exceed_a_percentile(values: list[float], share: float) -> None:
    value = percentile(values, share)
    assert value in values
    assert sum(other <= value for other in values) >= share / 100 * len(values)
    assert sum(other < value for other in values) < share / 100 * len(values)


# The log ---------------------------------------------------------------------------------------------------------


def line(ago: float, **change: Any) -> str:
    """A line as the role nginx has it written."""
    return json.dumps(
        {
            "time": datetime.fromtimestamp(NOW - ago, ZONE).isoformat(timespec="seconds"),
            "request_id": "d2e9",
            "application": "shop",
            "location": "http",
            "client": "192.0.2.7",
            "method": "GET",
            "path": "/",
            "status": 200,
            "seconds": 0.042,
            "member": "192.0.2.11:3000",
            "member_seconds": "0.041",
            "user_agent": "x" * 150,
            **change,
        },
        separators=(",", ":"),
    )


def write(path: Path, lines: list[str], ago: float = 0) -> None:
    path.write_text("".join(f"{text}\n" for text in lines))
    os.utime(path, (NOW - ago,) * 2)


@pytest.fixture
def look_at(make_check: Callable[..., Any], tmp_path: Path) -> Callable[..., Log]:
    def look(read: Callable[[str], str | None] = lambda path: None, **options: Any) -> Log:
        log: Log = make_check(type="traffic", log=str(tmp_path / "access.log"), **options).look(Tools(read=read), NOW)
        return log

    return look


def test_reads_a_line() -> None:
    assert parse_line(line(60).encode()) == Request(NOW - 60, "shop", 200, 0.042, "192.0.2.11:3000")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", "{}", line(1, status=None), line(1, time="yesterday"), line(1, seconds="-")]
)
def test_what_is_no_line_is_none(text: str) -> None:
    assert parse_line(text.encode()) is None


def test_reads_the_window_only(look_at: Callable[..., Log], tmp_path: Path) -> None:
    write(tmp_path / "access.log", [line(ago) for ago in range(5000, 0, -1)])
    log = look_at(window_seconds=300)
    assert len(log.requests) == 300
    assert log.since == NOW - 300


def test_reads_no_more_than_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    write(path, [line(ago) for ago in range(20000, 0, -1)])
    found, malformed, read, more = read_end(str(path), NOW - 100, 8_000_000)
    assert (len(found), malformed, more) == (100, 0, False)
    assert read < 600_000 < path.stat().st_size


def test_says_where_the_window_does_not_fit(look_at: Callable[..., Log], tmp_path: Path) -> None:
    write(tmp_path / "access.log", [line(ago / 100) for ago in range(20000, 0, -1)])
    log = look_at(max_mb=1)
    assert 1000 < len(log.requests) < 5000
    assert NOW - 60 < log.since < NOW


def test_reads_on_in_what_was_rotated(look_at: Callable[..., Log], tmp_path: Path) -> None:
    write(tmp_path / "access.log", [line(ago) for ago in (9, 8)])
    write(tmp_path / "access.log-20261124-1795531480", [line(ago) for ago in (400, 290, 20)], ago=15)
    write(tmp_path / "access.log-20261123-1795445100", [line(280)], ago=86400)
    (tmp_path / "access.log-20261124-1795531400.gz").write_bytes(b"\x1f\x8b")
    write(tmp_path / "access.log.1", [line(50)], ago=30)
    assert len(look_at().requests) == 5


def test_leaves_out_malformed_lines_and_other_applications(look_at: Callable[..., Log], tmp_path: Path) -> None:
    lines = [line(9), '192.0.2.7 - - "GET / HTTP/1.1" 200', line(8, application="api"), "", '{"time":', line(7)]
    (tmp_path / "access.log").write_text("\n".join(lines) + '\n{"time":"2026-11-')
    log = look_at(application="shop")
    assert (len(log.requests), log.malformed) == (2, 3)


def test_a_log_that_is_empty_is_one_without_requests(look_at: Callable[..., Log], tmp_path: Path) -> None:
    write(tmp_path / "access.log", [])
    assert look_at() == Log([], NOW - 300)


def test_a_log_that_is_not_there_could_not_run(look_at: Callable[..., Log]) -> None:
    with pytest.raises(CouldNotRun, match=r"access\.log cannot be read: No such file"):
        look_at()


def test_asks_for_the_maintenance_page_where_503_was_answered(look_at: Callable[..., Log], tmp_path: Path) -> None:
    write(tmp_path / "access.log", [line(9, status=503, member=""), line(8, status=503, application="../x")])
    state = {"/var/lib/slipway/maintenance/shop.json": '{"state": "on", "since": "2026-11-24T10:00:00Z"}'}
    assert list(look_at(read=state.get).pages) == ["shop"]
    for text in ("[]", "{", '{"state": "x"}'):
        assert list(look_at(read=lambda path, text=text: text).pages) == []  # type: ignore[misc]


@given(st.lists(st.integers(0, 700), max_size=60), st.integers(1, 900))
def test_finds_each_line_of_the_window_once(
    tmp_path_factory: pytest.TempPathFactory, ages: list[int], block: int
) -> None:
    """Whatever the blocks cut through."""
    path = tmp_path_factory.mktemp("log") / "access.log"
    ages = sorted(ages, reverse=True)
    path.write_text("".join(f"{line(age)}\n" for age in ages))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ansible_collections.slipway.stack.plugins.module_utils.health.checks.traffic.BLOCK_BYTES", block)
        found, malformed, _read, more = read_end(str(path), NOW - 300, 10_000_000)
    assert sorted(NOW - request.at for request in found) == sorted(age for age in ages if age <= 300)
    assert (malformed, more) == (0, False)
