"""What must be refused before anything is changed, with the variable and the host in the message."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from tests.support.shop import shop_with
from tests.support.wait import wait_for


@pytest.fixture
def with_variables(demo, tmp_path):
    """Run `site` with variables of an inventory of its own on top of the demo's."""

    def run(host_variables=None, groups=None, arguments=()):
        extra = tmp_path / "extra"
        extra.mkdir()
        inventory = {"all": {"hosts": host_variables or {}}}
        for name, hosts in (groups or {}).items():
            inventory[name] = {"hosts": dict.fromkeys(hosts)}
        (extra / "extra.yml").write_text(yaml.safe_dump(inventory))
        return demo.playbook("site", "-i", str(extra / "extra.yml"), *arguments)

    return run


def assert_refused(run, *words):
    assert run.status != 0, run.output
    assert set(run.changed.values()) == {0}, run.output
    for word in words:
        assert word in run.output, f"{word!r} is not in:\n{run.output}"


def test_a_near_miss_of_a_variable(with_variables):
    run = with_variables({"app1": {"nginx_worker_conections": 4096}})
    assert_refused(run, "nginx_worker_conections on app1", "rename nginx_worker_conections to nginx_worker_connections")


def test_a_variable_of_the_users_own_is_allowed(with_variables):
    run = with_variables({"app1": {"slipway_owner_team": "payments"}}, arguments=("--check", "--limit", "app1"))
    assert run.status == 0, run.output


def test_an_unknown_nested_key(with_variables):
    run = with_variables(arguments=shop_with(memory_limit=512))
    assert_refused(run, "slipway_apps.shop.memory_limit", "write memory_limit_mb")


@pytest.mark.parametrize(
    ("groups", "told"),
    [({}, "nobody (is not a group of the inventory)"), ({"nobody": []}, "nobody (has no hosts)")],
    ids=["not declared", "empty"],
)
def test_a_group_of_an_application_without_hosts(with_variables, groups, told):
    run = with_variables(groups=groups, arguments=shop_with(group="nobody"))
    assert_refused(run, "slipway_apps.shop.group", told)


@pytest.mark.parametrize("port", [0, 70000])
def test_a_port_that_is_none(with_variables, port):
    assert_refused(with_variables(arguments=shop_with(port=port)), "slipway_apps.shop.port", str(port), "65535")


def test_a_port_in_use_by_something_else(demo, with_variables):
    try:
        demo.shell("app2", "systemd-run --quiet --unit=squatter python3 -m http.server 3777")
        wait_for("the squatter listens", lambda: ":3777 " in demo.shell("app2", "ss -ltn"), 20)
        run = with_variables(arguments=shop_with(port=3776))
        assert_refused(run, "slipway_apps.shop.port on app2", "3777", "squatter.service")
    finally:
        demo.shell("app2", "systemctl stop squatter", check=False)


@pytest.mark.parametrize("directory", ["/", "", "data/postgresql"])
def test_a_data_directory_that_would_be_a_disaster(with_variables, directory):
    run = with_variables({"data1": {"postgresql_data_directory": directory}})
    assert_refused(run, "postgresql_data_directory", "data1")


def test_a_clock_that_is_off(demo, with_variables):
    # Hosts in containers share the machine's clock, so what tells the time on one host is told another one.
    late = {"/usr/local/bin/python-late": "/usr/bin/python3", "/usr/local/bin/date": "/usr/bin/date"}
    try:
        demo.shell("app1", "DEBIAN_FRONTEND=noninteractive apt-get -qq install faketime > /dev/null 2>&1")
        for wrapper, program in late.items():
            script = f'#!/bin/sh\nexec faketime -f +5s {program} "$@"\n'
            demo.shell("app1", f"printf %s {shlex.quote(script)} > {wrapper} && chmod 755 {wrapper}")
        run = with_variables({"app1": {"ansible_python_interpreter": "/usr/local/bin/python-late"}})
    finally:
        demo.shell("app1", f"rm -f {' '.join(late)}; apt-get -qq purge faketime libfaketime > /dev/null 2>&1")
    assert_refused(run, "clock on app1")
    told = re.search(r"clock on app1\W.{0,20}received: ([0-9.]+) s ahead of", run.output, re.DOTALL)
    assert told, run.output
    assert abs(float(told[1]) - 5) <= 0.5, run.output


def test_a_system_that_is_not_supported(demo, with_variables):
    try:
        demo.shell("data3", "cp --remove-destination /usr/lib/os-release /etc/os-release")
        demo.shell("data3", "sed -i s/VERSION_ID=.*/VERSION_ID=10/ /etc/os-release")
        assert_refused(with_variables(), "data3", "10", "Debian")
    finally:
        demo.shell("data3", "ln -sfn ../usr/lib/os-release /etc/os-release")


def test_a_disk_with_too_little_room(with_variables):
    run = with_variables({"data2": {"preflight_disk_free_percent_min": 100}})
    assert_refused(run, "data2", "preflight_disk_free_percent_min")


def test_all_findings_come_in_one_message(with_variables):
    run = with_variables({"app1": {"redis_polici": "noeviction"}, "data3": {"preflight_disk_free_percent_min": 100}})
    assert_refused(run)
    # Ansible tells the message of a failed task twice: as an error, and in the task's result, which is looked at here.
    _before, *results = run.output[: run.output.index("PLAY RECAP")].split("\nfatal: [")
    assert len(results) == 1, run.output
    told = results[0]
    headers = list(re.finditer(r"preflight: [0-9]+ errors?", told))
    assert len(headers) == 1, run.output
    message = told[headers[0].start() :]
    assert "redis_polici on app1" in message
    assert re.search(r"disk space on \S+ on data3", message), message
