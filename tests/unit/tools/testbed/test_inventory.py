# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory and the known_hosts file, read back as Ansible and ssh read them."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml
from testbed import access, bed, inventory
from testbed.access import Endpoint

DIRECT = Endpoint("172.28.0.10", 22, "172.28.0.10")
PUBLISHED = Endpoint("127.0.0.1", 49153, "172.28.0.11")


def test_a_host_is_reached_at_its_own_address() -> None:
    text = inventory.render({"edge1": DIRECT}, Path("/x/id"), access.arguments(Path("/x/known_hosts")))
    data = yaml.safe_load(text)["all"]
    assert data["hosts"] == {"edge1": {"ansible_host": "172.28.0.10", "testbed_address": "172.28.0.10"}}
    assert data["vars"]["ansible_user"] == "admin"
    assert data["vars"]["ansible_ssh_private_key_file"] == "/x/id"


def test_a_host_behind_a_published_port_tells_both_addresses() -> None:
    hosts = yaml.safe_load(inventory.render({"app1": PUBLISHED}, Path("/k"), []))["all"]["hosts"]
    assert hosts["app1"] == {"ansible_host": "127.0.0.1", "ansible_port": 49153, "testbed_address": "172.28.0.11"}


def test_a_checkout_whose_path_has_spaces_works() -> None:
    arguments = access.arguments(Path("/my files/known_hosts"))
    text = yaml.safe_load(inventory.render({}, Path("/k"), arguments))["all"]["vars"]["ansible_ssh_common_args"]
    assert shlex.split(text) == arguments
    # ssh splits the value of this option itself, so it needs quotes of its own.
    assert 'UserKnownHostsFile="/my files/known_hosts"' in arguments


def test_known_hosts_names_ports_that_are_not_the_usual_one() -> None:
    keys = {"a": "ssh-ed25519 AAAA root@a\n", "b": "ssh-ed25519 BBBB root@b\n"}
    assert access.known_hosts({"a": DIRECT, "b": PUBLISHED}, keys) == (
        "172.28.0.10 ssh-ed25519 AAAA\n[127.0.0.1]:49153 ssh-ed25519 BBBB\n"
    )


def test_ports_are_published_only_where_the_engine_is_in_a_virtual_machine() -> None:
    assert bed.needs_published_ports({"OperatingSystem": "Docker Desktop"})
    assert not bed.needs_published_ports({"OperatingSystem": "Debian GNU/Linux 12 (bookworm)"})
