"""What a host lets in equals what is declared, and no change of it locks anybody out."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
CONVERGE = PROJECT / "molecule" / "firewall" / "converge.yml"
DECLARED = yaml.safe_load(CONVERGE.read_text())[0]["vars"]
RULES = [
    *DECLARED["firewall_rules"],
    *DECLARED["firewall_extra_rules"],
    {"name": "ssh", "sources": DECLARED["firewall_ssh_sources"], "ports": [22]},
]

SPACE = "slipway-scan"
INSIDE = f"ip netns exec {SPACE}"
HERE = {4: "198.51.100.1", 6: "2001:db8:51::1"}
FRIEND = {4: "198.51.100.2", 6: "2001:db8:51::2"}
STRANGER = {4: "198.51.100.3", 6: "2001:db8:51::3"}
UDP_PORTS = [53, 5140, 5141, 5142, 5143]
ALL_PORTS = range(1, 65536)
SOME_PORTS = [*range(1, 4097), 5432, 6379, 16379, *range(59990, 60020), 65535]

# Addresses are told apart by their last digit; names of interfaces are at most 15 long.
BUILD = f"""set -e
ip netns add {SPACE}
ip link add slipway-s0 type veth peer name slipway-s1 netns {SPACE}
echo 0 > /proc/sys/net/ipv6/conf/slipway-s0/disable_ipv6
{INSIDE} sh -c 'echo 0 > /proc/sys/net/ipv6/conf/slipway-s1/disable_ipv6'
{INSIDE} ip link set lo up
ip link set slipway-s0 up
{INSIDE} ip link set slipway-s1 up
ip addr add {HERE[4]}/24 dev slipway-s0
ip addr add {HERE[6]}/64 dev slipway-s0 nodad
for last in 2 3; do
  {INSIDE} ip addr add 198.51.100.$last/24 dev slipway-s1
  {INSIDE} ip addr add 2001:db8:51::$last/64 dev slipway-s1 nodad
done
"""
REMOVE = f"""ip link del slipway-s0 2> /dev/null
ip netns del {SPACE} 2> /dev/null
systemctl stop slipway-test-udp slipway-test-tcp 2> /dev/null
nft delete table ip slipway_test 2> /dev/null
nft delete table inet slipway_test 2> /dev/null
true
"""


class Play:
    """Runs the scenario's playbook against its host, with other variables than its own."""

    def __init__(self, inventory: str) -> None:
        self._inventory = f"--inventory={inventory}"

    def start(self, *command: str | Path, **options) -> subprocess.Popen:
        settings = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        program, *arguments = command
        return subprocess.Popen(
            [program, self._inventory, *arguments],
            cwd=PROJECT,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def __call__(self, *arguments: str, **variables) -> tuple[int, str]:
        run = self.start("ansible-playbook", "-e", json.dumps(variables), *arguments, CONVERGE)
        output, _ = run.communicate(timeout=180)
        return run.returncode, output

    def well(self, *arguments: str, **variables) -> str:
        code, output = self(*arguments, **variables)
        assert code == 0, output
        return output

    def module(self, **options) -> str:
        """Only the module, which leaves rules unconfirmed."""
        run = self.start("ansible", "all", "--become", "-m", "slipway.stack.firewall", "-a", json.dumps(options))
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 0, output
        return output


def changes(output: str) -> set[int]:
    return {int(count) for count in re.findall(r"changed=(\d+)", output)}


@pytest.fixture(scope="module")
def play(request):
    return Play(request.config.getoption("ansible_inventory"))


@pytest.fixture(scope="module", autouse=True)
def firewall(host, play):
    """The host as declared, with a namespace beside it; open again at the end, since others use it."""
    host.run(REMOVE)
    play.well()
    host.check_output(BUILD)
    yield
    host.run(REMOVE)
    output = play.well(firewall_enabled=False)
    assert 0 not in changes(output)
    assert changes(play.well(firewall_enabled=False)) == {0}
    assert host.run("nft list table inet slipway").rc != 0
    assert not host.file("/etc/slipway/firewall.nft").exists
    assert not host.file("/etc/systemd/system/slipway-firewall.service").exists
    assert host.check_output("systemctl list-units --all --no-legend 'slipway-firewall*'") == ""


@pytest.fixture
def as_declared(play):
    """Whatever a test changes is made good after it."""
    yield
    play.well()


def listing(host) -> str:
    return host.check_output("nft --stateless list table inet slipway")


def scan(host, protocol: str, source: str, ports) -> list[int]:
    destination = HERE[ip_address(source).version]
    spans = " ".join(spans_of(ports))
    script = f"{INSIDE} python3 /opt/slipway-test-scan.py {protocol} {source} {destination} {spans}"
    return json.loads(host.check_output(script))


def spans_of(ports) -> list[str]:
    found = []
    for port in ports:
        if found and found[-1][1] == port - 1:
            found[-1][1] = port
        else:
            found.append([port, port])
    return [f"{first}-{last}" for first, last in found]


def declared(protocol: str, source: str, ports) -> list[int]:
    """What the rules in converge.yml say, read as a person would read them."""
    let_in = set()
    for rule in RULES:
        sources = rule["sources"]
        if rule.get("protocol", "tcp") == protocol and (
            sources == ["any"] or any(ip_address(source) in ip_network(one) for one in sources)
        ):
            for span in rule["ports"]:
                first, _, last = str(span).partition("-")
                let_in |= set(range(int(first), int(last or first) + 1))
    return sorted(let_in & set(ports))


def listen(host, protocol: str, ports) -> None:
    unit = f"slipway-test-{protocol}"
    command = f"python3 /opt/slipway-test-listen.py {protocol} {' '.join(map(str, ports))}"
    host.check_output(f"systemctl is-active --quiet {unit} || systemd-run --quiet --collect --unit={unit} {command}")
    flag = {"tcp": "-Htln", "udp": "-Huln"}[protocol]
    host.check_output(
        f"for i in $(seq 50); do ss {flag} 'sport = :{ports[-1]}' | grep -q . && exit; sleep 0.1; done; false"
    )


@pytest.mark.parametrize("source", [FRIEND[4], STRANGER[4]])
def test_every_tcp_port_is_as_declared_over_ipv4(host, source):
    assert scan(host, "tcp", source, ALL_PORTS) == declared("tcp", source, ALL_PORTS)


@pytest.mark.parametrize("source", [FRIEND[6], STRANGER[6]])
def test_tcp_ports_are_as_declared_over_ipv6(host, source):
    assert scan(host, "tcp", source, SOME_PORTS) == declared("tcp", source, SOME_PORTS)


def test_a_friend_gets_further_than_a_stranger():
    """The comparisons above are not of empty lists."""
    assert declared("tcp", FRIEND[4], ALL_PORTS) == [80, 443, 3000, 3001, 6379, *range(60000, 60011), 65535]
    assert declared("tcp", FRIEND[6], ALL_PORTS) == [80, 443, 3000, 3001, 5432]
    assert declared("tcp", STRANGER[4], ALL_PORTS) == [80, 443]
    assert declared("tcp", STRANGER[6], ALL_PORTS) == [80, 443, 5432]


@pytest.mark.parametrize("source", [FRIEND[4], STRANGER[4], FRIEND[6], STRANGER[6]])
def test_udp_ports_are_as_declared(host, source):
    listen(host, "udp", UDP_PORTS)
    assert scan(host, "udp", source, UDP_PORTS) == declared("udp", source, UDP_PORTS)


@pytest.mark.parametrize("version", [4, 6])
def test_anybody_may_ping(host, version):
    host.check_output(f"{INSIDE} python3 -c {shlex.quote(PING)} {STRANGER[version]} {HERE[version]}")


# Debian's ping is not on a small host.
PING = """
import socket, struct, sys
source, destination = sys.argv[1:]
six = ":" in source
family, protocol = (socket.AF_INET6, 58) if six else (socket.AF_INET, 1)
with socket.socket(family, socket.SOCK_RAW, protocol) as echo:
    echo.settimeout(3)
    echo.bind((source, 0))
    packet = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1)
    total = sum(struct.unpack("!4H", packet))
    checksum = ~(total + (total >> 16)) & 0xFFFF
    echo.sendto(struct.pack("!BBHHH", 128 if six else 8, 0, checksum, 7, 1), (destination, 0))
    while True:
        answer = echo.recv(256)
        if answer[0 if six else 20] == (129 if six else 0):
            break
"""


def test_a_host_reaches_its_own_addresses(host):
    listen(host, "tcp", [3000, 9999])
    for address in (HERE[4], "127.0.0.1"):
        host.check_output(f"bash -c 'exec 3<>/dev/tcp/{address}/9999'")


def test_what_is_dropped_is_counted(host):
    command = "nft list counter inet slipway dropped"
    before = int(re.search(r"packets (\d+)", host.check_output(command)).group(1))
    scan(host, "tcp", STRANGER[4], [9001, 9002, 9003])
    after = int(re.search(r"packets (\d+)", host.check_output(command)).group(1))
    assert after >= before + 3


OTHERS = """
table ip slipway_test {
  set banned { type ipv4_addr; elements = { 203.0.113.9 }; }
  chain input { type filter hook input priority -1; policy accept; ip saddr @banned drop; }
}
table inet slipway_test {
  chain forward { type filter hook forward priority 0; policy drop; }
}
"""


def test_tables_of_others_stay_as_they_are(host, play, as_declared):
    host.check_output(f"nft -f - << 'E'\n{OTHERS}E")
    command = "nft --stateless list ruleset"
    before = host.check_output(command)
    play.well(firewall_extra_rules=[{"name": "other", "sources": ["any"], "ports": [9100]}])
    changed = host.check_output(command)
    play.well(firewall_enabled=False)
    without = host.check_output(command)
    mine = r"table inet slipway \{\n.*?\n\}\n?"
    assert changed != before
    assert [re.sub(mine, "", text, flags=re.DOTALL).split() for text in (changed, without)] == [
        re.sub(mine, "", before, flags=re.DOTALL).split()
    ] * 2


def test_a_rule_made_by_hand_does_not_stay(host, play):
    expected = listing(host)
    host.check_output("nft add rule inet slipway input tcp dport 9999 accept")
    assert 0 not in changes(play.well("--check"))
    assert "9999" in listing(host)
    assert 0 not in changes(play.well())
    assert listing(host) == expected
    assert changes(play.well()) == {0}


def test_a_table_that_is_gone_comes_back(host, play):
    expected = listing(host)
    host.check_output("nft delete table inet slipway")
    assert 0 not in changes(play.well())
    assert listing(host) == expected


KEEP_TALKING = """
import pathlib, socket, sys, time
source, destination = sys.argv[1:]
count = 0
with socket.create_connection((destination, 3000), timeout=5, source_address=(source, 0)) as connection:
    while not pathlib.Path("/tmp/slipway-test-enough").exists():
        connection.sendall(b"still there?")
        if not connection.recv(64):
            sys.exit("closed")
        count += 1
        time.sleep(0.05)
print("all the time", count)
"""


def test_an_open_connection_goes_on_when_its_rule_goes(host, play, as_declared):
    listen(host, "tcp", [3000, 9999])
    host.check_output("rm -f /tmp/slipway-test-enough")
    talk = f"{INSIDE} python3 -c {shlex.quote(KEEP_TALKING)} {FRIEND[4]} {HERE[4]}"
    host.check_output(f"(nohup {talk} > /tmp/slipway-test-talk 2>&1 &)")
    play.well(firewall_rules=[rule for rule in DECLARED["firewall_rules"] if rule["name"] != "app-shop"])
    assert 3000 not in scan(host, "tcp", FRIEND[4], [3000])
    host.check_output("sleep 2; touch /tmp/slipway-test-enough; sleep 1")
    told = host.file("/tmp/slipway-test-talk").content_string.strip()
    assert re.fullmatch(r"all the time \d+", told), told
    assert int(told.split()[-1]) > 20


def wait_until(predicate, seconds: float) -> float:
    began = time.monotonic()
    while not predicate():
        assert time.monotonic() - began < seconds
        time.sleep(0.5)
    return time.monotonic() - began


def test_rules_that_drop_ssh_take_themselves_back(host, play):
    expected, file = listing(host), host.file("/etc/slipway/firewall.nft").content_string
    code, output = play(
        firewall_ssh_sources=["192.0.2.1"], firewall_ssh_check_enabled=False, firewall_confirm_seconds=10
    )
    assert code == 2, output
    assert "no new connection confirmed the rules in time" in output
    assert "firewall_ssh_sources" in output
    assert listing(host) == expected
    assert host.file("/etc/slipway/firewall.nft").content_string == file
    # In by a new connection, and not held up by what happened.
    assert changes(play.well()) == {0}


def test_a_controller_that_dies_leaves_the_former_rules(host, play):
    expected, file = listing(host), host.file("/etc/slipway/firewall.nft").content_string
    wrong = {"firewall_ssh_sources": ["192.0.2.1"], "firewall_ssh_check_enabled": False, "firewall_confirm_seconds": 10}
    run = play.start("ansible-playbook", "-e", json.dumps(wrong), CONVERGE, start_new_session=True)
    for line in run.stdout:
        if "Come in anew" in line:
            break
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    time.sleep(12)
    assert listing(host) == expected
    assert host.file("/etc/slipway/firewall.nft").content_string == file
    assert changes(play.well()) == {0}


def test_a_run_takes_over_what_a_dead_one_was_trying(host, play, as_declared):
    file = host.file("/etc/slipway/firewall.nft").content_string
    play.module(rules=[{"name": "other", "sources": ["any"], "ports": [9100]}], confirm_seconds=600)
    assert "9100" in listing(host)
    assert host.file("/etc/slipway/firewall.nft").content_string == file
    play.well(firewall_extra_rules=[{"name": "other", "sources": ["any"], "ports": [9101]}])
    assert "9101" in listing(host)
    assert "9100" not in listing(host)
    assert "9101" in host.file("/etc/slipway/firewall.nft").content_string
    assert host.check_output("systemctl list-units --all --no-legend 'slipway-firewall-revert*'") == ""


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"firewall_ssh_port": 2222}, "ssh_port is 2222, but this connection came in on port 22"),
        ({"firewall_ssh_sources": ["192.0.2.0/24"]}, "ssh_sources leave out"),
        (
            {"firewall_extra_rules": [{"name": "web", "sources": ["10.0.0.300"], "ports": [80]}]},
            "firewall_extra_rules[0] (web).sources has '10.0.0.300'",
        ),
        (
            {"firewall_extra_rules": [{"name": "web", "sources": ["any"], "protocol": "tpc", "ports": [80]}]},
            "value of protocol must be one of: tcp, udp",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_would_lock_out_or_is_no_firewall_is_refused(host, play, variables, told):
    before = listing(host)
    code, output = play(**variables)
    assert code == 2, output
    assert told in " ".join(output.split())
    assert changes(output) == {0}
    assert listing(host) == before


def test_the_unit_loads_the_rules_as_at_boot(host):
    """Before any interface comes up, and as narrowly confined as all units of the collection."""
    expected = listing(host)
    host.check_output("nft delete table inet slipway && systemctl restart slipway-firewall")
    assert listing(host) == expected
    shown = host.check_output("systemctl show -p Before -p WantedBy -p DefaultDependencies slipway-firewall")
    assert re.search(r"^Before=.*\bnetwork-pre\.target\b", shown, re.MULTILINE)
    assert "WantedBy=sysinit.target" in shown
    host.check_output("systemd-analyze security --threshold=20 slipway-firewall.service")


def test_stopping_the_unit_leaves_no_gap(host):
    expected = listing(host)
    host.check_output("systemctl stop slipway-firewall")
    assert listing(host) == expected
    host.check_output("systemctl start slipway-firewall")
