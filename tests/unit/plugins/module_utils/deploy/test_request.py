# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run asks for: what it says goes before what the application says, and what cannot be is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.request import (
    BACK,
    FORWARD,
    RequestError,
    limit_findings,
    parse,
)
from ansible_collections.slipway.stack.plugins.module_utils.host.findings import Finding
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.deploy.fleets import asked, topology

SUM = "0" * 64
OF_THE_INVENTORY = {"release": "1.0.0", "artifact": "shop-1.0.0.tar.gz", "artifact_sha256": SUM}
SHOP = {"deploy_application": "shop"}


def refused(variables: dict[str, Any], direction: str = FORWARD, **entry: Any) -> tuple[Finding, ...]:
    with pytest.raises(RequestError) as caught:
        parse(topology(**entry), {**SHOP, **variables}, direction)
    return caught.value.findings


def test_without_a_word_the_application_says_it_all() -> None:
    request = parse(topology(), SHOP, FORWARD)
    assert (request.strategy, request.batch, request.drain_seconds, request.soak_seconds) == ("rolling", 1, 30, 10)
    assert (request.announce_seconds, request.rollback, request.window) == (0, "fleet", "enforce")
    assert (request.release, request.artifact, request.artifact_sha256) == (None, None, None)
    assert (request.owner, request.pool_hosts, request.is_alone) == ("deploy shop", 3, False)


def test_the_application_says_it_and_the_run_says_otherwise() -> None:
    settings = {"batch": "25%", "drain_seconds": 60, "soak_seconds": 5, "rollback": "batch", "announce_seconds": 300}
    own = parse(topology(deploy=settings), SHOP, FORWARD)
    assert {name: getattr(own, name) for name in settings} == settings
    said = {"deploy_batch": "2", "deploy_drain_seconds": "7", "deploy_soak_seconds": 0, "deploy_rollback": "fleet"}
    other = parse(topology(deploy=settings), {**SHOP, **said, "deploy_window": "wait"}, FORWARD)
    assert (other.batch, other.drain_seconds, other.soak_seconds, other.rollback) == (2, 7, 0, "fleet")
    assert (other.announce_seconds, other.window) == (300, "wait")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("deploy_release", "../../etc", "1 to 64 letters, digits, dots, dashes and underscores"),
        ("deploy_release", "a;rm -rf /", "1 to 64 letters"),
        ("deploy_release", "", "1 to 64 letters"),
        ("deploy_release", "1.4.0\n", "1 to 64 letters"),
        ("deploy_release", ".", "the first a letter or digit"),
        ("deploy_release", "a" * 65, "1 to 64 letters"),
        ("deploy_release", ["1.0"], "1 to 64 letters"),
        ("deploy_artifact", {}, "the path of a tarball on the controller"),
        ("deploy_artifact_sha256", "abc", "64 hexadecimal digits"),
        ("deploy_batch", 0, 'a whole number of hosts from 1 up, or a share of them such as "25%"'),
        ("deploy_batch", "-1", "a whole number of hosts from 1 up"),
        ("deploy_batch", "0%", "a share of them"),
        ("deploy_batch", "101%", "a share of them"),
        ("deploy_batch", "all", "a share of them"),
        ("deploy_batch", True, "a whole number of hosts"),
        ("deploy_drain_seconds", 0, "a whole number of seconds from 5 to 86400"),
        ("deploy_drain_seconds", "0", "a whole number of seconds from 5 to 86400"),
        ("deploy_drain_seconds", -30, "a whole number of seconds from 5 to 86400"),
        ("deploy_drain_seconds", "-30", "a whole number of seconds from 5 to 86400"),
        ("deploy_drain_seconds", "30 secs", "a whole number of seconds from 5 to 86400"),
        ("deploy_drain_seconds", "--5", "a whole number of seconds from 5 to 86400"),
        ("deploy_drain_seconds", "\u00b2", "a whole number of seconds from 5 to 86400"),
        ("deploy_drain_seconds", 1.5, "a whole number of seconds from 5 to 86400"),
        ("deploy_soak_seconds", -1, "a whole number of seconds from 0 to 86400"),
        ("deploy_announce_seconds", "soon", "a whole number of seconds from 0 to 604800"),
        ("deploy_strategy", "big bang", "rolling or maintenance"),
        ("deploy_rollback", "never", "fleet or batch"),
        ("deploy_window", "ignored", "enforce, wait or ignore"),
    ],
)
def test_bad_values_are_refused_by_name(variable: str, value: Any, expected: str) -> None:
    (found,) = refused({variable: value})
    assert (found.variable, found.fix) == (variable, f"correct {variable}")
    assert found.received == repr(value) or str(value) in found.received
    assert expected in found.expected


def test_a_release_of_digits_stays_text() -> None:
    assert parse(topology(), {**SHOP, "deploy_release": "20261124"}, FORWARD).release == "20261124"
    assert parse(topology(), {**SHOP, "rollback_release": "0123456"}, BACK).release == "0123456"


@pytest.mark.parametrize("release", ["../../etc", "a;rm -rf /", 5])
def test_a_bad_release_to_go_back_to(release: Any) -> None:
    (found,) = refused({"rollback_release": release}, BACK)
    assert (found.variable, found.received) == ("rollback_release", repr(release))


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = refused({"deploy_batch": 0, "deploy_drain_seconds": 0, "deploy_release": "/"})
    assert {one.variable for one in found} == {"deploy_batch", "deploy_drain_seconds", "deploy_release"}


@pytest.mark.parametrize(
    ("name", "received", "expected"),
    [(None, "nothing", "one of shop, mailer"), ("shp", "'shp'", "one of shop, mailer"), (5, "5", "one of shop")],
)
def test_which_application_has_to_be_said(name: Any, received: str, expected: str) -> None:
    (found,) = refused({"deploy_application": name})
    assert (found.variable, found.received) == ("deploy_application", received)
    assert expected in found.expected
    assert found.fix == "say which one: -e deploy_application=NAME"


def test_state_in_memory_has_no_rolling_deploy() -> None:
    own = parse(topology(single_instance=True, instances=1), SHOP, FORWARD)
    assert (own.strategy, own.is_alone, own.pool_hosts) == ("maintenance", False, 1)
    (found,) = refused({"deploy_strategy": "rolling"}, single_instance=True, instances=1)
    assert (found.variable, found.received) == ("deploy_strategy", "rolling")
    assert "shop keeps its state in its memory (single_instance)" in found.expected
    assert "Redis pub/sub" in found.fix


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ("1.0.0", "shop-1.0.0.tar.gz", SUM)),
        ({"release": "1.0.0"}, ("1.0.0", "shop-1.0.0.tar.gz", SUM)),
        ({"artifact_sha256": "1" * 64}, ("1.0.0", "shop-1.0.0.tar.gz", "1" * 64)),
        # Another release has another archive.
        ({"release": "2.0.0"}, ("2.0.0", None, None)),
        ({"artifact": {"type": "git"}}, (None, {"type": "git"}, None)),
        ({"release": "2.0.0", "artifact": "x.tar", "artifact_sha256": "1" * 64}, ("2.0.0", "x.tar", "1" * 64)),
    ],
)
def test_the_archive_is_that_of_the_release(said: dict[str, Any], expected: tuple[Any, ...]) -> None:
    variables = {**SHOP, **{f"deploy_{name}": value for name, value in said.items()}}
    request = parse(topology(**OF_THE_INVENTORY), variables, FORWARD)
    assert (request.release, request.artifact, request.artifact_sha256) == expected


def test_a_rollback_is_not_to_the_release_of_the_inventory() -> None:
    request = parse(topology(**OF_THE_INVENTORY), SHOP, BACK)
    assert (request.release, request.artifact, request.artifact_sha256) == (None, None, None)
    assert parse(topology(), {**SHOP, "rollback_release": "0.9.0"}, BACK).release == "0.9.0"


def test_nobody_watches_a_rollback_unless_asked_to() -> None:
    assert parse(topology(), SHOP, BACK).soak_seconds == 0
    assert parse(topology(), {**SHOP, "deploy_soak_seconds": "20"}, BACK).soak_seconds == 20


def test_one_host_alone_serves_while_it_changes() -> None:
    assert asked(hosts=1).is_alone
    assert not asked(hosts=1, strategy="maintenance").is_alone
    assert not asked(hosts=1, application="mailer").is_alone


# How the playbook was called ----------------------------------------------------------------------------------------

ALL = ["app1", "app2", "app3", "data1", "data2", "data3", "edge1", "edge2"]


def findings(application: str = "shop", hosts: list[str] = ALL) -> list[Finding]:
    built = topology()
    (app,) = [one for one in built.applications if one.name == application]
    return list(limit_findings(built, app, "edge1", hosts))


def test_a_run_of_all_is_as_it_should_be() -> None:
    assert findings() == []
    # Hosts of the application may be left out, and those of the data.
    assert findings(hosts=["app2", "edge1", "edge2"]) == []


@pytest.mark.parametrize(
    ("application", "hosts", "host", "expected"),
    [
        (
            "shop",
            ["app1", "edge1"],
            "edge2",
            "a limit that leaves edge2 in: it is the edge, from which hosts are drained",
        ),
        ("shop", ["app1", "edge2"], "edge1", "a limit that leaves edge1 in: it is the edge"),
        ("mailer", ["app1"], "edge1", "it is the coordination host, which keeps lease and ledger"),
        ("shop", ["edge1", "edge2"], "", "a limit that leaves a host of shop in: app1, app2, app3"),
    ],
)
def test_a_limit_that_hides_who_is_needed(application: str, hosts: list[str], host: str, expected: str) -> None:
    (found,) = findings(application, hosts)
    assert (found.host, found.variable, found.received) == (host, "--limit", ",".join(hosts))
    assert expected in found.expected
    assert found.fix.startswith("leave --limit out")


def test_a_limit_without_any_of_them() -> None:
    assert [found.host for found in findings(hosts=[])] == ["edge1", "edge2", ""]
    assert {found.received for found in findings(hosts=[])} == {"no host"}


@pytest.mark.parametrize(
    ("variable", "direction", "instead"),
    [
        ("rollback_release", FORWARD, "deploy_release, or the playbook rollback"),
        ("deploy_release", BACK, "rollback_release"),
        ("deploy_artifact", BACK, "rollback_release"),
    ],
)
def test_what_the_other_playbook_takes_is_not_passed_over(variable: str, direction: str, instead: str) -> None:
    (finding,) = refused({variable: "1.4.0", "deploy_artifact_sha256": SUM}, direction)
    assert (finding.variable, finding.fix) == (variable, f"say {instead}")


def test_a_tarball_without_its_checksum_is_refused() -> None:
    (finding,) = refused({"deploy_release": "1.4.0", "deploy_artifact": "shop.tar.gz"})
    assert (finding.variable, finding.received) == ("deploy_artifact_sha256", "nothing")
    assert "sha256sum shop.tar.gz" in finding.fix


@pytest.mark.parametrize(("said", "meant"), [("true", True), (True, True), ("False", False), (None, False)])
def test_a_database_is_restored_where_the_run_says_so(said: Any, meant: bool) -> None:
    assert parse(topology(), {**SHOP, "deploy_database_restored": said}, BACK).database_restored is meant
