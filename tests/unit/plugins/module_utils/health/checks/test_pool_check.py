# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pools of an edge, as its nginx tells them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.pool import EdgeState
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import Admin
from ansible_collections.slipway.stack.plugins.module_utils.nginx.pool import parse
from ansible_collections.slipway.stack.plugins.module_utils.nginx.pool_host import PoolHost

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
DECLARED = {
    "shop": {
        "members": [
            {"name": "app1:3000", "address": "192.0.2.11", "port": 3000},
            {"name": "app2:3000", "address": "192.0.2.12", "port": 3000},
        ]
    }
}
DRAINED = {"state": "draining", "owner": "ops", "reason": "new memory", "since": "2026-03-01T10:15:04Z"}
OUT = {**DRAINED, "state": "out", "owner": "", "reason": ""}


def member(name: str, **change: Any) -> dict[str, Any]:
    return {"name": name, "state": "active", "in_flight": 2, "websockets": 1, "failures": 0, "failing": False, **change}


def edge(
    states: dict[str, Any],
    failing: tuple[str, ...] = (),
    stale: tuple[str, ...] = (),
    page: dict[str, Any] | None = None,
) -> EdgeState:
    """An edge whose nginx runs what its files tell."""
    members = [member(name, failing=name in failing, **states.get(name, {})) for name in ("app1:3000", "app2:3000")]
    return EdgeState(
        [parse("shop", DECLARED, {"members": states})],
        {"pools": {"shop": {"members": members}}, "stale_files": list(stale)},
        {"shop": page or {"state": "off"}},
    )


ON = {"state": "on", "owner": "ops", "reason": "larger database", "since": "2026-03-01T11:00:00Z"}
ANNOUNCED = {"state": "announced", "owner": "ops", "starts": "2026-03-01T11:00:00Z"}


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        (edge({}), OK, "members that take requests: shop 2 of 2"),
        (
            edge({"app1:3000": DRAINED}),
            WARNING,
            "app1:3000 of shop is draining by ops since 2026-03-01T10:15:04Z (new memory)",
        ),
        (edge({"app1:3000": OUT}), WARNING, "app1:3000 of shop is out by nobody named since 2026-03-01T10:15:04Z"),
        (edge({"app1:3000": DRAINED, "app2:3000": OUT}), CRITICAL, "no member of shop takes requests"),
        (edge({}, failing=("app1:3000",)), WARNING, "app1:3000 of shop is passed over, since it failed"),
        (edge({}, failing=("app1:3000", "app2:3000")), CRITICAL, "every active member of shop fails"),
        (edge({"app1:3000": OUT}, failing=("app2:3000",)), CRITICAL, "every active member of shop fails"),
        (edge({}, stale=("/etc/nginx/nginx.conf",)), WARNING, "newer than what nginx runs: /etc/nginx/nginx.conf"),
        (
            edge({}, page=ON),
            WARNING,
            "maintenance page of shop is on by ops since 2026-03-01T11:00:00Z (larger database)",
        ),
        (edge({}, page={**ON, "ends": "2026-03-01T11:30:00Z"}), WARNING, "which was to end 30 minutes ago"),
        (edge({}, page={**ON, "ends": "2026-03-01T12:30:00Z"}), WARNING, "is on by ops"),
        (edge({}, page=ANNOUNCED), OK, ""),
        (
            edge({}, page={**ANNOUNCED, "ends": "2026-03-01T11:50:00Z"}),
            WARNING,
            "that was to end 10 minutes ago is still announced by ops",
        ),
        (edge({}, page={"state": "perhaps"}), WARNING, "the maintenance page of shop: state is 'perhaps'"),
    ],
)
def test_judges(make_check: Callable[..., Any], state: EdgeState, status: Status, words: str) -> None:
    outcome = make_check(type="pool").judge(state, NOW)
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_nginx_may_run_other_states_than_the_files_tell(make_check: Callable[..., Any]) -> None:
    state = EdgeState([parse("shop", DECLARED, {"members": {"app1:3000": OUT}})], edge({}).report)
    outcome = make_check(type="pool").judge(state, NOW)
    assert outcome.status is WARNING
    assert "nginx does not run the states that the files of shop tell" in outcome.message
    assert "-X POST http://localhost/sync" in outcome.next_step


def test_counts(make_check: Callable[..., Any]) -> None:
    outcome = make_check(type="pool").judge(edge({"app1:3000": DRAINED}), NOW)
    assert outcome.measures == {"members": 2, "taking_members": 1, "in_flight": 4, "websockets": 2}
    assert "4 requests and 2 websockets in flight" in outcome.seen


@pytest.fixture
def files(tmp_path: Path) -> PoolHost:
    (tmp_path / "pools.json").write_text(json.dumps({**DECLARED, "api": {"members": []}}))
    return PoolHost(str(tmp_path / "pools.json"), str(tmp_path), Admin(str(tmp_path / "admin.sock"), 5))


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[list[str]]:
    """Something that answers at the admin socket, and the paths that it was asked for."""
    asked: list[str] = []
    answers = {"/pools": edge({}).report, "/maintenance": {"applications": {"shop": ON}}}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "admin.sock"))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(65536).decode().split()[1])
                    body = json.dumps(answers[asked[-1]])
                    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

        threading.Thread(target=serve, daemon=True).start()
        yield asked
        listener.shutdown(socket.SHUT_RDWR)


def test_asks_nginx(make_check: Callable[..., Any], files: PoolHost, nginx: list[str]) -> None:
    check = make_check(type="pool", application="shop")
    state = check.look(files)
    assert [pool.application for pool in state.pools] == ["shop"]
    assert state.maintenance == {"shop": ON}
    assert nginx == ["/pools", "/maintenance"]
    assert check.target() == "pool of shop"
    assert [pool.application for pool in make_check(type="pool").look(files).pools] == ["api", "shop"]


def test_nginx_that_is_stopped_is_critical(make_check: Callable[..., Any], files: PoolHost) -> None:
    with pytest.raises(Unreachable, match="nginx is not running") as caught:
        make_check(type="pool").look(files)
    assert "systemctl start nginx" in caught.value.next_step


def test_what_is_no_edge_could_not_run(make_check: Callable[..., Any], files: PoolHost, tmp_path: Path) -> None:
    with pytest.raises(CouldNotRun, match="'blog' has no pool on this host"):
        make_check(type="pool", application="blog").look(files)
    (tmp_path / "pools.json").unlink()
    with pytest.raises(CouldNotRun, match="this host is no edge"):
        make_check(type="pool").look(files)


def test_what_answers_nonsense_could_not_run(make_check: Callable[..., Any], tmp_path: Path, files: PoolHost) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "admin.sock"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(CouldNotRun, match="500"):
            make_check(type="pool").look(files)
