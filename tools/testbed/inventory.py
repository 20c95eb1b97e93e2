"""The Ansible inventory of a fleet."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .access import USER, Endpoint

HEADER = "# Made by tools/testbed; made anew by each `up`.\n"


def render(endpoints: Mapping[str, Endpoint], key: Path, ssh_arguments: Sequence[str]) -> str:
    """Render the inventory as YAML.

    Each host has ``testbed_address``, its address on the fleet's network, beside Ansible's connection variables.
    They differ only where the engine runs in a virtual machine and SSH goes through a published port.
    """
    hosts: dict[str, dict[str, Any]] = {}
    for name, endpoint in endpoints.items():
        hosts[name] = {"ansible_host": endpoint.host, "testbed_address": endpoint.address}
        if endpoint.port != 22:
            hosts[name]["ansible_port"] = endpoint.port
    shared = {
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": shlex.join(ssh_arguments),
    }
    data = {"all": {"hosts": hosts, "vars": shared}}
    return HEADER + "---\n" + yaml.safe_dump(data, sort_keys=False, width=1000)
