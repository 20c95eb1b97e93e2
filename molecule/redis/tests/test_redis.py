"""A cluster and a single server that keep data, keep strangers out, and outlive the death of a master."""

from __future__ import annotations

import time
from shlex import quote

import pytest

PASSWORD = 'it\'s a "test" $%} ü'
CLUSTER = (6379, 6380, 6381, 6382, 6383, 6384)
SINGLE = 6390
HOST_OF = {6379: "data1", 6380: "data1", 6381: "data2", 6382: "data2", 6383: "data3", 6384: "data3"}


@pytest.fixture
def address(host):
    return host.check_output("hostname -I").split()[0]


@pytest.fixture
def redis(host, address):
    """Run a command on one instance; -c follows the cluster to the node that has the key."""

    def run(port, *words):
        command = " ".join(quote(str(word)) for word in words)
        return host.check_output(
            f"REDISCLI_AUTH={quote(PASSWORD)} redis-cli -c -h {address} -p {port} {command}"
        ).strip()

    return run


def wait_for(look, seconds=30):
    """What ``look`` returns once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def topology(redis, port=CLUSTER[0]):
    """Port of each node -> port of its master, or None for a master that serves slots."""
    lines = [line.split() for line in redis(port, "cluster", "nodes").splitlines()]
    ports = {
        line[0]: int(line[1].split("@")[0].rpartition(":")[2]) for line in lines if "fail" not in line[2].split(",")
    }
    return {ports[line[0]]: ports.get(line[3]) for line in lines if line[0] in ports}


@pytest.mark.parametrize("port", [*CLUSTER, SINGLE])
def test_strangers_are_refused(host, address, port):
    assert "NOAUTH" in host.run(f"redis-cli -h {address} -p {port} ping").stdout
    assert "NOAUTH" in host.run(f"redis-cli -p {port} ping").stdout
    assert "WRONGPASS" in host.run(f"REDISCLI_AUTH=wrong redis-cli -h {address} -p {port} ping 2>&1").stdout


def test_it_listens_on_its_own_address_and_localhost_only(host, address):
    listening = host.check_output("ss -Hltn 'sport >= 6379 and sport <= 6390'").splitlines()
    assert {line.split()[3].rpartition(":")[0] for line in listening} == {address, "127.0.0.1"}


def test_three_masters_serve_with_each_replica_on_another_host(redis):
    assert "cluster_state:ok" in redis(6379, "cluster", "info")
    masters = topology(redis)
    assert sorted(masters) == list(CLUSTER)
    assert sum(master is None for master in masters.values()) == 3
    assert all(HOST_OF[replica] != HOST_OF[master] for replica, master in masters.items() if master)


def test_a_key_written_through_one_node_is_read_through_any(redis):
    assert redis(6379, "set", "greeting", "hello") == "OK"
    assert {redis(port, "get", "greeting") for port in CLUSTER} == {"hello"}


def test_the_single_server_serves_plain_clients(redis):
    assert redis(SINGLE, "set", "session", "42") == "OK"
    assert redis(SINGLE, "get", "session") == "42"
    assert "cluster_enabled:0" in redis(SINGLE, "info", "cluster")


def test_persistence_is_as_sized(redis):
    assert redis(6380, "config", "get", "save").splitlines()[1] == "900 1 300 10 60 10000"
    assert redis(SINGLE, "config", "get", "appendonly").splitlines()[1] == "yes"


def test_a_store_that_is_full_refuses_writes_and_loses_nothing(redis):
    limit = int(redis(SINGLE, "config", "get", "maxmemory").splitlines()[1])
    assert limit == 20 * 1024 * 1024
    redis(SINGLE, "set", "kept", "yes")
    try:
        answers = [redis(SINGLE, "setrange", f"filler{number}", 4_000_000, "x") for number in range(8)]
        assert any("OOM" in answer for answer in answers)
        assert redis(SINGLE, "get", "kept") == "yes"
    finally:
        redis(SINGLE, "del", *(f"filler{number}" for number in range(8)))


def test_more_clients_than_set_are_refused(host, address):
    # The descriptor of the last connection, which is one too many.
    script = f"for i in $(seq 60); do exec {{last}}<>/dev/tcp/{address}/{SINGLE}; done; timeout 2 head -1 <&$last"
    assert "max number of clients reached" in host.run(f"bash -c {quote(script)}").stdout


def test_data_outlives_a_kill(host, redis):
    redis(SINGLE, "set", "durable", "yes")
    time.sleep(1.5)  # the append-only file is synced every second
    host.run(f"systemctl kill -s KILL redis-server@{SINGLE}.service")
    assert wait_for(lambda: host.run(f"redis-cli -p {SINGLE} ping").stdout.startswith("NOAUTH"))
    assert wait_for(lambda: redis(SINGLE, "get", "durable") == "yes")


def test_a_replica_takes_over_from_a_frozen_master_which_comes_back_as_its_replica(host, redis):
    redis(6379, "set", "survivor", "yes")
    master = next(port for port, its in topology(redis).items() if its is None)
    replica = next(port for port, its in topology(redis).items() if its == master)
    witness = next(port for port in CLUSTER if port not in (master, replica))
    unit = f"redis-server@{master}.service"
    host.run(f"systemctl kill -s STOP {unit}")
    try:
        began = time.monotonic()
        assert wait_for(lambda: topology(redis, witness).get(replica, 0) is None)
        assert wait_for(lambda: "cluster_state:ok" in redis(witness, "cluster", "info"))
        assert time.monotonic() - began < 20
        assert redis(witness, "get", "survivor") == "yes"
        assert redis(replica, "set", "survivor", "still") == "OK"
    finally:
        host.run(f"systemctl kill -s KILL {unit}")
    assert wait_for(lambda: topology(redis, witness).get(master) == replica)
    assert wait_for(lambda: "master_link_status:up" in redis(master, "info", "replication"))


def test_the_distributions_server_stays_off(host):
    host.run("systemctl start redis-server.service")
    assert not host.service("redis-server").is_running
    assert all(host.service(f"redis-server@{port}").is_enabled for port in (*CLUSTER, SINGLE))


def test_an_instance_can_not_rewrite_its_configuration(redis):
    assert "Read-only file system" in redis(6380, "config", "rewrite")


def test_the_unit_is_well_sandboxed(host):
    report = host.check_output("systemd-analyze security --no-pager redis-server@6379.service")
    exposure = next(line for line in report.splitlines() if "Overall exposure level" in line)
    assert float(exposure.partition(": ")[2].split()[0]) <= 2.0


def test_the_password_is_in_no_command_line_and_no_journal(host):
    assert PASSWORD not in host.check_output("ps -eo args")
    assert PASSWORD not in host.check_output("journalctl -q --no-pager -u 'redis-server@*'")
