# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks side by side: order, deadlines, and what goes wrong within them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ansible_collections.slipway.stack.plugins.module_utils.health.check import Check
from ansible_collections.slipway.stack.plugins.module_utils.health.model import (
    CouldNotRun,
    Outcome,
    Result,
    Status,
    Unreachable,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.runner import GRACE_SECONDS, Policy, run_checks
from ansible_collections.slipway.stack.plugins.module_utils.health.specification import parse_checks
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Deadline, Tools
from ansible_collections.slipway.stack.plugins.module_utils.health.verdict import Verdict, summarise_results
from ansible_collections.slipway.stack.plugins.module_utils.health.waiter import Patience

FINE = Outcome(Status.OK, "s", "w", "m")
WARN = Outcome(Status.WARNING, "s", "w", "m")


@dataclass(frozen=True)
class Fake(Check):
    """A check that does what a function says."""

    TYPE: ClassVar[str] = "fake"
    act: Any = None

    def target(self) -> str:
        return "nowhere"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        outcome = self.act()
        assert isinstance(outcome, Outcome)
        return outcome


def raising(error: Exception) -> Callable[[], Outcome]:
    def act() -> Outcome:
        raise error

    return act


def quickest(limit_seconds: float, run: Callable[[], list[Result]]) -> tuple[float, list[Result]]:
    """Seconds and results of the first of three runs within the limit, or else of the last.

    What else a machine does only adds to the time: one run within the limit shows that the runner needs no more.
    """
    for _attempt in range(3):
        started = time.monotonic()
        results = run()
        took = time.monotonic() - started
        if took <= limit_seconds:
            break
    return took, results


def test_keeps_the_order_and_runs_all() -> None:
    def slow() -> Outcome:
        time.sleep(0.05)
        return FINE

    checks = [Fake(name=str(number), act=slow if number % 2 else lambda: FINE) for number in range(50)]
    results = run_checks(checks, Tools(), Policy(parallelism=7))
    assert [result.name for result in results] == [str(number) for number in range(50)]


def test_every_way_of_getting_no_answer_is_a_result() -> None:
    checks = [
        Fake(name="library", act=raising(CouldNotRun("psycopg2 is missing", "install python3-psycopg2"))),
        Fake(name="refused", act=raising(Unreachable("refused", "start it"))),
        Fake(name="slow", act=raising(TimeoutError()), timeout_seconds=3),
        Fake(name="old slow", act=raising(socket.timeout())),
        Fake(name="cut", act=raising(ConnectionResetError(104, "Connection reset by peer"))),
        Fake(name="defect", act=raising(ZeroDivisionError("division by zero"))),
        Fake(name="fine", act=lambda: FINE),
    ]
    results = {result.name: result for result in run_checks(checks, Tools(), Policy())}
    statuses = {name: result.status.value for name, result in results.items()}
    assert statuses == {
        "library": "unknown",
        "refused": "critical",
        "slow": "critical",
        "old slow": "critical",
        "cut": "critical",
        "defect": "unknown",
        "fine": "ok",
    }
    assert results["library"].outcome.next_step == "install python3-psycopg2"
    assert results["slow"].outcome.message == "no answer within 3 s"
    assert all(result.outcome.next_step for result in results.values() if result.status is not Status.OK)


def test_a_missing_library_is_not_tried_again() -> None:
    check = Fake(name="x", act=raising(CouldNotRun("missing", "install it")))
    assert run_checks([check], Tools(), Policy(Patience(retries=9)))[0].attempts == 1


def test_retries_and_successes_in_a_row() -> None:
    answers = iter([False, True, False, True, True])

    def act() -> Outcome:
        return FINE if next(answers) else Outcome(Status.CRITICAL, "s", "w", "m", "n")

    policy = Policy(Patience(retries=3, delay_seconds=0, successes=2))
    result = run_checks([Fake(name="x", act=act)], Tools(), policy)[0]
    assert (result.status, result.attempts) == (Status.OK, 5)


def test_a_check_may_have_a_patience_of_its_own() -> None:
    checks = [
        Fake(name="a", retries=2, delay_seconds=0, act=raising(Unreachable("m", "n"))),
        Fake(name="b", act=raising(Unreachable("m", "n"))),
    ]
    assert [result.attempts for result in run_checks(checks, Tools(), Policy())] == [3, 1]


def test_a_warning_is_tried_again_only_where_it_would_fail() -> None:
    for good, attempts in ((True, 1), (False, 3)):
        policy = Policy(Patience(retries=2, delay_seconds=0), warning_is_good=good)
        assert run_checks([Fake(name="x", act=lambda: WARN)], Tools(), policy)[0].attempts == attempts


def test_a_stuck_probe_holds_up_nobody() -> None:
    fine = Fake(name="fine", act=lambda: FINE)

    def run() -> list[Result]:
        release = threading.Event()

        def stuck() -> Outcome:
            release.wait(30)
            return FINE

        checks = [Fake(name=f"stuck {number}", act=stuck, timeout_seconds=0.2) for number in range(4)]
        try:
            # Two places, both of them stuck: the others get their turn all the same.
            return run_checks([*checks, fine], Tools(), Policy(parallelism=2))
        finally:
            release.set()

    limit = 2 * (0.2 + GRACE_SECONDS) + 0.5
    took, results = quickest(limit, run)
    assert [result.status.value for result in results] == ["critical"] * 4 + ["ok"]
    assert took <= limit


def silent(connection: socket.socket) -> None:
    """Accept and say nothing: no answer, no greeting, no TLS handshake."""
    time.sleep(10)


def drip(connection: socket.socket, head: bytes, drop: bytes) -> None:
    connection.sendall(head)
    for _ in range(100):
        connection.sendall(drop)
        time.sleep(0.1)


def drips_headers(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Long: ", b"x")


def drips_many_headers(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")


def drips_body(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\n\r\n", b"x")


def drips_chunks(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")


def drips_a_chunk_size(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0")


def drips_a_handshake(connection: socket.socket) -> None:
    """A TLS record of a handshake that announces more than ever comes."""
    drip(connection, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0", b"\x00")


TALKS = (
    silent, drips_headers, drips_many_headers, drips_body, drips_chunks, drips_a_chunk_size, drips_a_handshake,
)  # fmt: skip


def slow_checks(ports: dict[str, int], full: int) -> list[dict[str, Any]]:
    """A check for each way in which a server can be slow; on ``full`` nobody accepts."""
    plain = [{"type": "http", "url": f"http://127.0.0.1:{port}/"} for port in ports.values()]
    handshakes = [ports["silent"], ports["drips_a_handshake"], full]
    return [
        *plain,
        *({"type": "http", "url": f"https://127.0.0.1:{port}/", "verify": False} for port in handshakes),
        *({"type": "tls", "host": "127.0.0.1", "port": port} for port in handshakes),
        *({"type": "tls", "host": "127.0.0.1", "port": port, "starttls": "postgresql"} for port in handshakes[::2]),
        {"type": "websocket", "url": f"ws://127.0.0.1:{ports['silent']}/"},
        {"type": "websocket", "url": f"ws://127.0.0.1:{ports['drips_headers']}/"},
        {"type": "websocket", "url": f"wss://127.0.0.1:{ports['drips_a_handshake']}/", "verify": False},
        {"type": "tcp", "host": "127.0.0.1", "port": full},
        {"type": "http", "url": f"http://127.0.0.1:{full}/"},
    ]


def test_200_checks_of_slow_servers_end_with_the_slowest_deadline(serve: Callable[..., int]) -> None:
    """No longer than the slowest deadline plus one second, in whichever way a server is slow."""
    ports = {talk.__name__: serve(talk) for talk in TALKS}
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        full = listener.getsockname()[1]
        # Nobody accepts, and these take the places of those who may wait.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", full))
        kinds = slow_checks(ports, full)
        checks = parse_checks(
            [{**kinds[n % len(kinds)], "name": f"{n}", "timeout_seconds": 1 + n % 2} for n in range(200)]
        )
        took, results = quickest(2 + 1, lambda: run_checks(checks, Tools(), Policy()))
    assert took <= 2 + 1
    assert summarise_results(results).verdict is Verdict.FAILED
    assert {result.status for result in results} == {Status.CRITICAL}
    # Each kept to its own time, so that none had to be left behind, and says in its own words what it waited for.
    assert all(result.outcome.next_step for result in results)
    assert {result.target for result in results if result.outcome.message.startswith("no answer within")} == set()


def test_a_slow_import_is_not_the_servers_time() -> None:
    loaded: list[str] = []

    def load(name: str) -> Any:
        loaded.append(name)
        raise ImportError(name)

    @dataclass(frozen=True)
    class NeedsLibrary(Fake):
        LIBRARIES: ClassVar[tuple[str, ...]] = ("slow_library",)

    def act() -> Outcome:
        assert loaded == ["slow_library"]
        return FINE

    results = run_checks([NeedsLibrary(name="x", act=act)] * 3, Tools(load=load), Policy())
    assert {result.status for result in results} == {Status.OK}
    assert loaded == ["slow_library"]
