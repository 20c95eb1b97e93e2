"""What the role promises of an application, seen from its host."""

from __future__ import annotations

import json
import shlex
import time
from urllib.parse import quote

import pytest

PORTS = (18080, 18081)
UNIT = "slipway-molecule_web@18080.service"
WORKER = "slipway-molecule_worker@1.service"


def get(host, path, port=PORTS[0]):
    answer = host.run(f"curl --silent --fail --max-time 10 {shlex.quote(f'http://127.0.0.1:{port}{path}')}")
    return json.loads(answer.stdout) if answer.rc == 0 else None


def until(question, seconds):
    end = time.monotonic() + seconds
    while not question() and time.monotonic() < end:
        time.sleep(0.2)
    return question()


def show(host, unit, name):
    return host.check_output(f"systemctl show --property={name} --value {unit}").strip()


@pytest.mark.parametrize("port", PORTS)
def test_each_instance_answers_at_its_port(host, port):
    assert get(host, "/readyz", port)["ready"]
    assert get(host, "/environment?name=SLIPWAY_INSTANCE", port) == str(port)


@pytest.mark.parametrize("unit", [UNIT, WORKER])
def test_instances_start_at_boot(host, unit):
    assert host.service(unit).is_enabled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GREETING", "quotes \" ' dollar $HOME percent %i braces {{ backslash \\ tick ` end"),
        ("LINES", "first\nsecond"),
        ("DEBUG", "false"),
        ("HOST", "127.0.0.1"),
        ("NODE_OPTIONS", None),
    ],
)
def test_the_environment_arrives_unchanged(host, name, value):
    assert get(host, f"/environment?name={name}") == value


def test_the_environment_file_is_for_root_alone(host):
    file = host.file("/etc/slipway/molecule_web.env")
    assert (file.user, file.mode) == ("root", 0o600)
    assert get(host, "/read?path=/etc/slipway/molecule_web.env") == "Permission denied"


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "/srv/slipway/molecule_web/current/web.py", "/srv/slipway/molecule_web/x", "/home/x", "/var/lib/x"],
)
def test_the_program_cannot_write_elsewhere(host, path):
    assert get(host, f"/write?path={quote(path)}") in ("Read-only file system", "Permission denied")


def test_the_program_can_write_its_state(host):
    assert get(host, "/write?path=/var/lib/slipway-molecule_web/x") == "written"
    assert get(host, "/write?path=/tmp/x") == "written"
    assert not host.file("/tmp/x").exists


@pytest.mark.parametrize("unit", [UNIT, WORKER])
def test_the_sandbox_is_tight(host, unit):
    host.run_expect([0], f"systemd-analyze security --threshold=20 {unit}")


def test_a_memory_hog_is_killed_at_its_limit_and_comes_back(host):
    before = get(host, "/readyz")["pid"]
    began = time.monotonic()
    host.run("curl --silent --max-time 8 http://127.0.0.1:18080/hog")
    assert get(host, "/readyz", PORTS[1])["ready"]
    assert until(lambda: get(host, "/readyz"), 15)
    assert get(host, "/readyz")["pid"] != before
    assert time.monotonic() - began < 20


def test_a_request_in_flight_survives_a_stop(host):
    answer = host.run(
        "curl --silent --fail http://127.0.0.1:18081/slow?seconds=2 & "
        "sleep 0.5; systemctl restart slipway-molecule_web@18081.service; wait $!"
    )
    assert answer.rc == 0
    assert until(lambda: get(host, "/readyz", PORTS[1]), 10)
    assert json.loads(answer.stdout)["pid"] != get(host, "/readyz", PORTS[1])["pid"]


def test_a_worker_that_dies_comes_back_and_its_heart_beats(host):
    before = show(host, WORKER, "MainPID")
    host.run_expect([0], f"systemctl kill --signal=SIGKILL {WORKER}")
    assert until(lambda: show(host, WORKER, "MainPID") not in ("0", before), 10)
    heartbeat = "/run/slipway-molecule_worker/1/heartbeat"
    assert until(lambda: host.file(heartbeat).exists, 5)
    first = host.file(heartbeat).mtime
    assert until(lambda: host.file(heartbeat).mtime > first, 5)
