"""What must be refused before anything is changed, with the variable and the host in the message."""

from __future__ import annotations

import json
import shlex

import pytest
import yaml


@pytest.fixture
def with_variables(demo, tmp_path):
    """Run `site` with variables of an inventory of its own on top of the demo's."""

    def run(host_variables=None, variables=None, groups=None, arguments=()):
        extra = tmp_path / "extra"
        extra.mkdir()
        inventory = {"all": {"hosts": {}, "vars": variables or {}}}
        inventory["all"]["hosts"] = host_variables or {}
        for name, hosts in (groups or {}).items():
            inventory[name] = {"hosts": dict.fromkeys(hosts)}
        (extra / "extra.yml").write_text(yaml.safe_dump(inventory))
        return demo.playbook("site", "-i", str(extra / "extra.yml"), *arguments)

    return run


def apps(demo, **changes):
    """The demo's applications with some of the shop's fields changed, as an extra variable."""
    entry = yaml.safe_load((demo.inventory / "group_vars/all/stack.yml").read_text())["slipway_apps"]
    entry["shop"].update(changes)
    return ("-e", json.dumps({"slipway_apps": entry}))


def assert_refused(demo, run, *words):
    assert run.status != 0, run.output
    assert set(run.changed.values()) == {0}, run.output
    for word in words:
        assert word in run.output, f"{word!r} is not in:\n{run.output}"


def test_a_near_miss_of_a_variable(demo, with_variables):
    run = with_variables({"app1": {"nginx_worker_conections": 4096}})
    assert_refused(
        demo, run, "nginx_worker_conections on app1", "rename nginx_worker_conections to nginx_worker_connections"
    )


def test_a_variable_of_the_users_own_is_allowed(demo, with_variables):
    run = with_variables({"app1": {"slipway_owner_team": "payments"}}, arguments=("--check", "--limit", "app1"))
    assert run.status == 0, run.output


def test_an_unknown_nested_key(demo, with_variables):
    run = with_variables(arguments=apps(demo, memory_limit=512))
    assert_refused(demo, run, "slipway_apps.shop.memory_limit", "write memory_limit_mb")


def test_an_empty_group_of_an_application(demo, with_variables):
    run = with_variables(arguments=apps(demo, group="nobody"))
    assert_refused(demo, run, "slipway_apps.shop.group", "nobody")


@pytest.mark.parametrize("port", [0, 70000])
def test_a_port_that_is_none(demo, with_variables, port):
    assert_refused(demo, with_variables(arguments=apps(demo, port=port)), "slipway_apps.shop.port", str(port), "65535")


def test_a_port_in_use_by_something_else(demo, with_variables):
    demo.shell("app2", "systemd-run --quiet --unit=squatter python3 -m http.server 3777")
    try:
        for _attempt in range(50):
            if "3777" in demo.shell("app2", "ss -ltn"):
                break
        run = with_variables(arguments=apps(demo, port=3776))
        assert_refused(demo, run, "slipway_apps.shop.port on app2", "3777", "squatter.service")
    finally:
        demo.shell("app2", "systemctl stop squatter")


@pytest.mark.parametrize("directory", ["/", "", "data/postgresql"])
def test_a_data_directory_that_would_be_a_disaster(demo, with_variables, directory):
    run = with_variables({"data1": {"postgresql_data_directory": directory}})
    assert_refused(demo, run, "postgresql_data_directory", "data1")


def test_a_clock_that_is_off(demo, with_variables):
    # Hosts in containers share the machine's clock, so what tells the time on one host is told another one.
    late = {"/usr/local/bin/python-late": "/usr/bin/python3", "/usr/local/bin/date": "/usr/bin/date"}
    demo.shell("app1", "DEBIAN_FRONTEND=noninteractive apt-get -qq install faketime > /dev/null 2>&1")
    for wrapper, program in late.items():
        script = f'#!/bin/sh\nexec faketime -f +5s {program} "$@"\n'
        demo.shell("app1", f"printf %s {shlex.quote(script)} > {wrapper} && chmod 755 {wrapper}")
    try:
        run = with_variables({"app1": {"ansible_python_interpreter": "/usr/local/bin/python-late"}})
        assert_refused(demo, run, "clock on app1", "5.0 s ahead")
    finally:
        demo.shell("app1", f"rm {' '.join(late)}; apt-get -qq purge faketime libfaketime > /dev/null 2>&1")


def test_a_system_that_is_not_supported(demo, with_variables):
    demo.shell("data3", "cp --remove-destination /usr/lib/os-release /etc/os-release")
    demo.shell("data3", "sed -i s/VERSION_ID=.*/VERSION_ID=10/ /etc/os-release")
    try:
        assert_refused(demo, with_variables(), "data3", "10", "Debian")
    finally:
        demo.shell("data3", "ln -sfn ../usr/lib/os-release /etc/os-release")


def test_a_disk_with_too_little_room(demo, with_variables):
    run = with_variables({"data2": {"preflight_disk_free_percent_min": 100}})
    assert_refused(demo, run, "data2", "preflight_disk_free_percent_min")


def test_all_findings_come_in_one_message(demo, with_variables):
    run = with_variables({"app1": {"redis_polici": "noeviction"}, "data3": {"preflight_disk_free_percent_min": 100}})
    assert_refused(demo, run, "redis_polici on app1", "data3")
