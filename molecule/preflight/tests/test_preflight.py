"""What preflight refuses on a real host: by name, with how to fix it, and with nothing changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GOOD = {"preflight_disk_free_percent_min": 0}


@pytest.fixture
def preflight(request, tmp_path):
    """Runs the playbook refuse.yml against the scenario's host with the given variables; returns code and output."""

    def run(variables: dict, extra_hosts: dict | None = None) -> tuple[int, str]:
        inventories = [f"--inventory={request.config.getoption('ansible_inventory')}"]
        if extra_hosts:
            more = tmp_path / "more.json"
            more.write_text(json.dumps({"all": {"hosts": extra_hosts}}))
            inventories.append(f"--inventory={more}")
        arguments = ["-e", json.dumps({**GOOD, **variables}), "molecule/preflight/refuse.yml"]
        settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        done = subprocess.run(
            ["ansible-playbook", *inventories, *arguments],
            cwd=ROOT,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def assert_refused(outcome: tuple[int, str], *parts: str) -> None:
    code, output = outcome
    assert code == 2, output
    for part in parts:
        assert part in output
    assert "went on after preflight" not in output
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}


def test_a_host_that_is_right_goes_on_with_nothing_changed(preflight):
    code, output = preflight({"preflight_services": []})
    assert code == 0, output
    assert output.count("went on after preflight") >= 2
    assert "changed=0" in output


def test_small_hosts_are_warned_of_and_go_on(preflight):
    code, output = preflight({"preflight_services": ["postgresql"], "preflight_minima": {"postgresql": {"cores": 999}}})
    assert code == 0, output
    assert "WARNING cores on" in output
    assert "at least 999 cores for postgresql" in output


def test_a_port_held_by_something_else_is_refused_with_its_holder(host, preflight):
    host.run_expect([0], "systemd-run --unit=squatter --collect python3 -m http.server 8999")
    try:
        host.run_expect([0], "timeout 10 sh -c 'until ss -Hltn sport = :8999 | grep -q .; do sleep 0.1; done'")
        port = {"port": 8999, "purpose": "nginx_http_port", "unit_pattern": "nginx.service"}
        assert_refused(
            preflight({"preflight_ports": [port]}),
            "ERROR nginx_http_port on ",
            "port 8999, which python3 (squatter.service) listens on",
            "expected: a free port, or one held by nginx.service",
            "fix: stop squatter.service, or choose another port",
        )
        code, output = preflight({"preflight_ports": [{**port, "unit_pattern": "squat*.service"}]})
        assert code == 0, output
    finally:
        host.run_expect([0], "systemctl stop squatter")


def test_a_skewed_clock_is_refused(host, preflight):
    host.run_expect(
        [0], "test -e /usr/share/doc/libfaketime || apt-get install -qq --no-install-recommends libfaketime"
    )
    library = host.check_output("dpkg -L libfaketime | grep '/libfaketime.so.1$'")
    environment = {"LD_PRELOAD": library, "FAKETIME": "-90s"}
    assert_refused(
        preflight({"preflight_test_environment": environment}),
        "ERROR clock on ",
        "behind the controller's",
        "expected: at most 1 s apart",
        "timedatectl set-ntp true",
    )


def test_a_disk_without_room_is_refused(preflight):
    assert_refused(
        preflight({"preflight_disk_free_percent_min": 100}),
        "ERROR disk space on / on ",
        "expected: at least 100 % free",
        "preflight_disk_free_percent_min",
    )


def test_an_unsupported_system_is_refused(host, preflight):
    host.run_expect([0], "printf 'ID=debian\\nVERSION_ID=\"11\"\\n' > /tmp/os-release")
    host.run_expect([0], "mount --bind /tmp/os-release /usr/lib/os-release")
    try:
        assert_refused(preflight({}), "ERROR distribution on ", "received: debian 11", "Debian 12 or 13 (proven)")
    finally:
        host.run_expect([0], "umount /usr/lib/os-release && rm /tmp/os-release")


def test_all_hosts_are_told_of_in_one_message_unreachable_ones_too(preflight):
    outcome = preflight(
        {"preflight_disk_free_percent_min": 100},
        {"ghost": {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-o ConnectTimeout=2"}},
    )
    assert_refused(outcome, "ERROR ansible_host on ghost", "received: unreachable", "ERROR disk space on / on ")
    assert len(re.findall(r"^\[ERROR\]: .*preflight: \d+ errors", outcome[1], re.MULTILINE)) == 1


def test_findings_about_the_inventory_come_in_the_same_message(preflight):
    finding = {
        "level": "error",
        "host": "",
        "variable": "slipway_aps",
        "received": "slipway_aps",
        "expected": "slipway_apps",
        "fix": "rename slipway_aps to slipway_apps",
    }
    assert_refused(
        preflight({"preflight_inventory_findings": [finding], "preflight_disk_free_percent_min": 100}),
        "preflight: 2 errors, 0 warnings; nothing was changed on any host.",
        "ERROR slipway_aps on the inventory",
    )
