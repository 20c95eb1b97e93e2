"""Everything on one server: it converges, verifies, and stays as it is."""

from __future__ import annotations

import pytest

from tests.support.shop import answers, instances
from tests.support.stack import Stack
from tests.support.verify import verified


@pytest.fixture(scope="module")
def server() -> Stack:
    return Stack("inventories/single_server")


def test_check_mode_on_a_fresh_host_does_not_fail(server):
    run = server.playbook("site", "--check", "--diff")
    assert run.status == 0, run.output
    assert run.changed["server1"] > 0


def test_site_converges(server):
    run = server.playbook("site")
    assert run.status == 0, run.output


def test_a_second_run_changes_nothing(server):
    run = server.playbook("site")
    assert run.status == 0, run.output
    assert run.changed == {"server1": 0}, run.output


def test_verify_is_healthy(server, tmp_path):
    verified(server, tmp_path)


def test_both_instances_answer_through_the_edge(server):
    assert {answer.instance for answer in answers(server, 40)} == instances(server)
