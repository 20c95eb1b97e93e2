"""Two edges share an address: the one that holds it dies in several ways, and clients notice for less than 3 s."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import docker
import pytest

from tests.support.http import context
from tests.support.say import say
from tests.support.stack import ROOT, Stack
from tests.support.wait import wait_for

GAP_SECONDS = 3.0
PLAYBOOK = ROOT / "tests" / "edge" / "keepalived.yml"


class Edge:
    """One of the edges, also when it has just begun to boot: reached through the engine, not over SSH."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.container = docker.from_env().containers.get(f"slipway-edges-{name}")

    def shell(self, command: str) -> str:
        done = self.container.exec_run(["sh", "-c", command])
        assert done.exit_code == 0, f"{self.name}: {command}: {done.output.decode()}"
        return done.output.decode()

    def holds(self, address: str) -> bool:
        return f" {address}/" in self.shell("ip -oneline address")

    def serves(self) -> bool:
        self.container.reload()
        if self.container.status != "running":
            return False
        return self.shell("systemctl is-active nginx keepalived || true").split() == ["active", "active"]


class Shared:
    """The address, and who holds it."""

    def __init__(self, stack: Stack, address: str) -> None:
        self.address = address
        self.edges = [Edge(name) for name in stack.groups["edge"]]

    def holders(self) -> list[Edge]:
        return [edge for edge in self.edges if edge.holds(self.address)]

    def holder(self) -> Edge:
        """The one that holds it, once that is settled and the other one is fit to take over."""
        wait_for("nginx and keepalived on both edges, and one holder", self._settled, 60)
        # Both checks of an edge have to succeed twice before it counts as fit.
        time.sleep(3)
        (holder,) = self.holders()
        return holder

    def other(self, edge: Edge) -> Edge:
        (other,) = [candidate for candidate in self.edges if candidate is not edge]
        return other

    def _settled(self) -> bool:
        return all(edge.serves() for edge in self.edges) and len(self.holders()) == 1


class Requests:
    """A request over a new connection, again and again, as from clients that come; notes when one succeeded."""

    def __init__(self, stack: Stack, address: str) -> None:
        self._name = stack.server_name
        self._address = address
        self._tls = context(stack)
        self._successes: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Requests:
        self._thread.start()
        wait_for("a first answer", lambda: bool(self._successes), 10)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def gap(self) -> float:
        """The longest time without an answer so far, also if it still lasts."""
        seen = [*self._successes, time.monotonic()]
        return max(after - before for before, after in zip(seen, seen[1:], strict=False))

    def forget(self) -> None:
        self._successes = [time.monotonic()]

    def answered_since(self, moment: float) -> bool:
        return self._successes[-1] > moment

    def _work(self) -> None:
        while not self._stop.wait(0.02):
            try:
                answer = self._ask()
            except OSError:
                continue
            if answer.startswith(b"HTTP/1.1 200 "):
                self._successes.append(time.monotonic())

    def _ask(self) -> bytes:
        # Shorter than what is measured, so that a request that got lost does not stand for a gap.
        with (
            socket.create_connection((self._address, 443), timeout=0.5) as plain,
            self._tls.wrap_socket(plain, server_hostname=self._name) as secured,
        ):
            secured.sendall(f"GET / HTTP/1.1\r\nHost: {self._name}\r\nConnection: close\r\n\r\n".encode())
            return secured.recv(4096)


def converge(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        ["ansible-playbook", "-i", str(stack.inventory), str(PLAYBOOK), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shared(edges):
    """The role on both edges, in front of the nginx that is there."""
    converge(edges)
    shared = Shared(edges, f"{edges.edge.rpartition('.')[0]}.253")
    yield shared
    for edge in shared.edges:
        edge.shell("systemctl disable --now --quiet keepalived")


@contextmanager
def killed(edge: Edge):
    edge.container.kill()
    try:
        yield
    finally:
        edge.container.start()


@contextmanager
def paused(edge: Edge):
    edge.container.pause()
    try:
        yield
    finally:
        edge.container.unpause()


@contextmanager
def without_nginx(edge: Edge):
    edge.shell("systemctl stop nginx")
    try:
        yield
    finally:
        edge.shell("systemctl start nginx")


@contextmanager
def nginx_hangs(edge: Edge):
    edge.shell("systemctl kill --signal=SIGSTOP nginx")
    try:
        yield
    finally:
        edge.shell("systemctl kill --signal=SIGCONT nginx")


FAULTS = [
    # Nobody can take a connection to this edge.
    (killed, GAP_SECONDS),
    # Its kernel still answers, but no process does.
    (paused, GAP_SECONDS),
    (without_nginx, GAP_SECONDS),
    # Its kernel takes connections. Three attempts of 3 s in vain, then as for a dead host.
    (nginx_hangs, 16.0),
]


@pytest.mark.parametrize(("fault", "seconds"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_holder_is_lost_and_comes_back(shared, edges, fault, seconds):
    holder = shared.holder()
    other = shared.other(holder)
    with Requests(edges, shared.address) as requests:
        time.sleep(1)
        with fault(holder):
            time.sleep(seconds + 2)
            lost = requests.gap()
            assert requests.answered_since(time.monotonic() - 1), "nobody answers"
            assert other.holds(shared.address)
            requests.forget()
        last = shared.holder()
        back = requests.gap()
    say(
        f"did: {fault.__name__}, {holder.name}, which held the address; saw: nobody answered for {lost:.2f} s; "
        f"when it came back, for {back:.2f} s, and {last.name} has the address"
    )
    assert lost < seconds
    assert back < GAP_SECONDS / 2
    if fault is not paused:
        assert last is other


def test_a_crashed_keepalived_and_a_restarted_one_leave_one_holder(shared, edges):
    for command in ("systemctl kill --signal=SIGKILL keepalived", "systemctl restart keepalived"):
        holder = shared.holder()
        with Requests(edges, shared.address) as requests:
            time.sleep(1)
            holder.shell(command)
            time.sleep(3)
            last = shared.holder()
            gap = requests.gap()
        say(f"did: {command} on {holder.name}; saw: nobody answered for {gap:.2f} s, {last.name} has the address")
        assert gap < GAP_SECONDS


def test_a_changed_configuration_does_not_move_the_address(shared, edges):
    holder = shared.holder()
    moves = "journalctl --unit keepalived --output cat | grep --count 'Entering [A-Z]* STATE'"
    before = [edge.shell(moves) for edge in shared.edges]
    with Requests(edges, shared.address) as requests:
        time.sleep(1)
        changed = converge(edges, "-e", "keepalived_advert_interval_seconds=0.4")
        assert "RUNNING HANDLER [slipway.stack.keepalived : Reload keepalived]" in changed
        time.sleep(3)
        back = converge(edges)
        assert shared.holder() is holder
        gap = requests.gap()
    assert [edge.shell(moves) for edge in shared.edges] == before
    assert "RUNNING HANDLER [slipway.stack.keepalived : Reload keepalived]" in back
    assert "changed=0" in converge(edges)
    say(f"did: two reloads with another interval; saw: nobody answered for {gap:.2f} s, the address stayed")


def test_when_no_edge_answers_the_address_is_still_held(shared):
    holder = shared.holder()
    with nginx_hangs(holder), nginx_hangs(shared.other(holder)):
        time.sleep(16)
        assert len(shared.holders()) == 1
    shared.holder()
