"""Two edges share an address: the one that holds it dies in several ways, and clients notice for less than 3 s."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
import yaml

from tests.support.say import say
from tests.support.stack import ROOT
from tests.support.wait import wait_for

FLEET = "edges"
INVENTORY = ROOT / "build" / "testbed" / FLEET / "inventory.yml"
EDGES = ("edge1", "edge2")
# The testbed gives hosts the addresses up to 250.
LAST_BYTE = 253
GAP_SECONDS = 3.0

PLAYBOOK = """
- hosts: edge1,edge2
  become: true
  gather_facts: false
  roles:
    - role: slipway.stack.keepalived
      vars:
        keepalived_address: "{address}/24"
        keepalived_own_address: "{{{{ testbed_address }}}}"
        keepalived_peers: >-
          {{{{ ['edge1', 'edge2'] | difference([inventory_hostname])
               | map('extract', hostvars, 'testbed_address') | list }}}}
"""


class Edge:
    """One of the hosts, from the outside."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.container = docker.from_env().containers.get(f"slipway-{FLEET}-{name}")

    def holds(self, address: str) -> bool:
        return f" {address}/" in self.shell("ip -oneline address")

    def shell(self, command: str) -> str:
        done = self.container.exec_run(["sh", "-c", command])
        assert done.exit_code == 0, f"{self.name}: {command}: {done.output.decode()}"
        return done.output.decode()


class Shared:
    """The address, and who holds it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.edges = [Edge(name) for name in EDGES]

    def holders(self) -> list[Edge]:
        found = []
        for edge in self.edges:
            edge.container.reload()
            if edge.container.status == "running" and edge.holds(self.address):
                found.append(edge)
        return found

    def holder(self) -> Edge:
        """The one that holds it, once that is settled and the other one is fit to take over."""
        wait_for("one holder, and nginx and keepalived on both edges", self._settled, 30)
        # Both checks of an edge have to succeed twice before it counts as fit.
        time.sleep(3)
        (holder,) = self.holders()
        return holder

    def other(self, edge: Edge) -> Edge:
        (other,) = [candidate for candidate in self.edges if candidate is not edge]
        return other

    def _settled(self) -> bool:
        for edge in self.edges:
            edge.container.reload()
            if edge.container.status != "running":
                return False
            if edge.container.exec_run(["systemctl", "is-active", "--quiet", "nginx", "keepalived"]).exit_code != 0:
                return False
        return len(self.holders()) == 1


class Client:
    """Shakes hands over TLS anew, again and again, as clients that come do; notes when it worked."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self._successes: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Client:
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
            # Only whether somebody answers counts here, not what: any answer in TLS will do, a refusal too.
            try:
                self._ask()
            except OSError:
                continue
            self._successes.append(time.monotonic())

    def _ask(self) -> None:
        with socket.create_connection((self._address, 443), timeout=0.25) as plain:
            try:
                with self._tls.wrap_socket(plain, server_hostname="any.test"):
                    pass
            except ssl.SSLError as error:
                if error.reason != "TLSV1_UNRECOGNIZED_NAME":
                    raise


def converge(directory: Path, address: str, *arguments: str) -> str:
    playbook = directory / "keepalived.yml"
    playbook.write_text(PLAYBOOK.format(address=address))
    done = subprocess.run(
        ["ansible-playbook", "-i", str(INVENTORY), str(playbook), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The role on both edges, in front of the nginx that is there."""
    hosts = yaml.safe_load(INVENTORY.read_text())["all"]["hosts"]
    network = ipaddress.ip_network(f"{hosts['edge1']['testbed_address']}/24", strict=False)
    address = str(network[LAST_BYTE])
    converge(tmp_path_factory.mktemp("keepalived"), address)
    shared = Shared(address)
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
    # Its kernel takes connections. Two attempts of 2 s in vain, then as for a dead host.
    (nginx_hangs, 10.0),
]


@pytest.mark.parametrize(("fault", "seconds"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_holder_is_lost_and_comes_back(shared, fault, seconds):
    holder = shared.holder()
    other = shared.other(holder)
    with Client(shared.address) as client:
        time.sleep(1)
        with fault(holder):
            time.sleep(seconds + 2)
            lost = client.gap()
            assert client.answered_since(time.monotonic() - 1), "nobody answers"
            assert other.holds(shared.address)
            client.forget()
        last = shared.holder()
        back = client.gap()
    say(
        f"did: {fault.__name__}, {holder.name}, which held the address; saw: nobody answered for {lost:.2f} s; "
        f"when it came back, for {back:.2f} s, and {last.name} has the address"
    )
    assert lost < seconds
    assert back < 1
    if fault is not paused:
        assert last is other


def test_a_crashed_keepalived_and_a_restarted_one_leave_one_holder(shared):
    for command in ("systemctl kill --signal=SIGKILL keepalived", "systemctl restart keepalived"):
        holder = shared.holder()
        with Client(shared.address) as client:
            time.sleep(1)
            holder.shell(command)
            time.sleep(3)
            last = shared.holder()
            gap = client.gap()
        say(f"did: {command} on {holder.name}; saw: nobody answered for {gap:.2f} s, {last.name} has the address")
        assert gap < GAP_SECONDS


def test_a_changed_configuration_does_not_move_the_address(shared, tmp_path):
    holder = shared.holder()
    with Client(shared.address) as client:
        time.sleep(1)
        changed = converge(tmp_path, shared.address, "-e", "keepalived_advert_interval_seconds=0.4")
        assert "RUNNING HANDLER [slipway.stack.keepalived : Reload keepalived]" in changed
        time.sleep(3)
        back = converge(tmp_path, shared.address)
        assert shared.holder() is holder
        gap = client.gap()
    assert "RUNNING HANDLER [slipway.stack.keepalived : Reload keepalived]" in back
    assert "changed=0" in converge(tmp_path, shared.address)
    say(f"did: two reloads with another interval; saw: nobody answered for {gap:.2f} s")
    assert gap < 1


def test_when_no_edge_answers_the_address_is_still_held(shared):
    holder = shared.holder()
    with nginx_hangs(holder), nginx_hangs(shared.other(holder)):
        time.sleep(12)
        assert len(shared.holders()) == 1
    shared.holder()
