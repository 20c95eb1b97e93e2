# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fleet files: what is taken, what is refused, and how the refusal reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed import fleet, labels
from testbed.errors import BedError
from testbed.fleet import Fleet, HostSpec

FLEETS = sorted((Path(__file__).resolve().parents[4] / "tools" / "testbed" / "fleets").glob("*.yml"))


def test_hosts_keep_their_order_and_take_defaults() -> None:
    text = "name: demo\nhosts:\n  edge1: {release: bookworm, memory_mb: 512}\n  app-1:\n  app-2: {}\n"
    assert fleet.parse(text, "f.yml") == Fleet(
        "demo",
        (HostSpec("edge1", "bookworm", 512), HostSpec("app-1", "trixie", 1024), HostSpec("app-2", "trixie", 1024)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yml: got None, expected a mapping with the keys hosts, name"),
        ("- a", "f.yml: got ['a'], expected a mapping"),
        ("name: [", "f.yml: not valid YAML"),
        ("name: a\nhosts: {b: {}}\nhost: {}", "f.yml: unknown key 'host', expected only hosts, name"),
        ("hosts: {b: {}}", "f.yml: name: got None, expected 1 to 32"),
        ("name: a-b\nhosts: {c: {}}", "f.yml: name: got 'a-b', expected"),
        ("name: 7\nhosts: {c: {}}", "f.yml: name: got 7, expected"),
        ("name: ../x\nhosts: {c: {}}", "f.yml: name: got '../x', expected"),
        ("name: a", "f.yml: hosts: got None, expected a mapping with at least one"),
        ("name: a\nhosts: {}", "f.yml: hosts: got {}, expected a mapping with at least one"),
        ("name: a\nhosts: [b]", "f.yml: hosts: got ['b'], expected a mapping with at least one"),
        ("name: a\nhosts: {B: {}}", "f.yml: hosts: got the name 'B', expected"),
        ("name: a\nhosts: {b-: {}}", "f.yml: hosts: got the name 'b-', expected"),
        ("name: a\nhosts: {1: {}}", "f.yml: hosts: got the name 1, expected"),
        ("name: a\nhosts: {b: {memory: 1}}", "f.yml: hosts.b: unknown key 'memory', expected only memory_mb, release"),
        ("name: a\nhosts: {b: 7}", "f.yml: hosts.b: got 7, expected a mapping"),
        ("name: a\nhosts: {b: {release: sid}}", "hosts.b.release: got 'sid', expected one of bookworm, trixie"),
        ("name: a\nhosts: {b: {release: [x]}}", "hosts.b.release: got ['x'], expected one of bookworm, trixie"),
        ("name: a\nhosts: {b: {memory_mb: 1g}}", "hosts.b.memory_mb: got '1g', expected a whole number of MiB, 128"),
        ("name: a\nhosts: {b: {memory_mb: true}}", "hosts.b.memory_mb: got True, expected a whole number"),
        ("name: a\nhosts: {b: {memory_mb: 127}}", "hosts.b.memory_mb: got 127, expected a whole number"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(BedError) as error:
        fleet.parse(text, "f.yml")
    assert message in str(error.value)


def test_more_hosts_than_addresses_are_refused() -> None:
    hosts = "".join(f"  h{number}:\n" for number in range(fleet.MAXIMUM_HOSTS + 1))
    with pytest.raises(BedError, match="expected at most 241"):
        fleet.parse(f"name: a\nhosts:\n{hosts}", "f.yml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BedError, match=r"none\.yml: can not read the fleet file: No such file"):
        fleet.load(tmp_path / "none.yml")


def test_no_two_hosts_share_a_container_name() -> None:
    taken = fleet.parse("name: a\nhosts: {b-c: {}}", "f.yml")
    assert labels.container_name(taken.name, taken.hosts[0].name) == "slipway-a-b-c"
    with pytest.raises(BedError):
        fleet.parse("name: a-b\nhosts: {c: {}}", "f.yml")


@pytest.mark.parametrize("path", FLEETS, ids=lambda path: path.stem)
def test_the_fleets_of_this_repository_are_valid(path: Path) -> None:
    assert fleet.load(path).name == path.stem
