"""The stack under test as a client sees it: addresses, playbooks, requests through the edge."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVER_NAME = "shop.slipway.test"
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """A finished ansible-playbook."""

    status: int
    output: str

    @property
    def changed(self) -> dict[str, int]:
        """Changed tasks by host, from the recap."""
        return {host: int(changed) for host, _ok, changed, _unreachable, _failed in RECAP.findall(self.output)}


class Stack:
    """An inventory whose hosts are up, and the name by which clients ask for its application."""

    def __init__(self, inventory: str, server_name: str = SERVER_NAME) -> None:
        self.inventory = ROOT / inventory
        self.server_name = server_name
        addresses = yaml.safe_load((self.inventory / "addresses.yml").read_text())["all"]
        self.hosts: dict[str, dict[str, str]] = addresses["hosts"]
        self._access: dict[str, str] = addresses["vars"]
        groups = yaml.safe_load((self.inventory / "hosts.yml").read_text())
        self.groups = {group: list(entry["hosts"]) for group, entry in groups.items()}
        self.ca_file = self.inventory / ".secrets" / "ca" / "ca.crt"

    def address(self, host: str) -> str:
        return self.hosts[host]["ansible_host"]

    @property
    def edge(self) -> str:
        return self.address(self.groups["edge"][0])

    def playbook(self, name: str, *arguments: str) -> Run:
        """Run one of the collection's playbooks, or a file; what it prints is kept, not shown."""
        return self._run("ansible-playbook", name if name.endswith(".yml") else f"slipway.stack.{name}", *arguments)

    def module(self, hosts: str, name: str, *arguments: str, **options: Any) -> Run:
        """Run one of the collection's modules as root on some hosts."""
        words = ["-b", "-m", f"slipway.stack.{name}", "-a", json.dumps(options)]
        return self._run("ansible", hosts, *words, *arguments)

    def _run(self, program: str, *arguments: str) -> Run:
        done = subprocess.run(
            [program, "-i", str(self.inventory), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def _ssh(self, host: str, command: str) -> list[str]:
        return [
            "ssh",
            "-i",
            self._access["ansible_ssh_private_key_file"],
            *shlex.split(self._access["ansible_ssh_common_args"]),
            f"{self._access['ansible_user']}@{self.address(host)}",
            command,
        ]

    def shell(self, host: str, command: str, check: bool = True) -> str:
        """A command as root on a host, over SSH."""
        done = subprocess.run(
            self._ssh(host, f"sudo sh -c {shlex.quote(command)}"),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{host}: {command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, host: str, argv: list[str]) -> subprocess.Popen[str]:
        """A program on a host, over SSH, whose output can be read while it runs."""
        return subprocess.Popen(self._ssh(host, shlex.join(argv)), stdout=subprocess.PIPE, text=True)

    def facts(self, name: str) -> dict[str, str]:
        """What examples/build.py wrote of an artefact."""
        return dict(json.loads((ROOT / "build" / "artifacts" / f"{name}.json").read_text()))
