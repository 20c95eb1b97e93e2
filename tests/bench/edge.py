"""The role's edge against the distribution's own configuration as a plain proxy, side by side on the same host.

Limits, JSON logs and security headers are on in the one, nothing but the distribution's own log in the other. Both
ask the same members, which answer with a few hundred bytes as fast as nginx can. The load generator, the edges and the
members share one machine, so each edge also pays for what it makes the members do, such as opening a connection for
each request.

Rounds of the two alternate; each ratio is the median of the rounds' ratios. `requests_per_second` is over HTTP,
`requests_per_second_tls` over HTTPS, both as fast as can be on 32 connections. `p99_fixed_rate` is of the time from
when a request was due at a constant rate over HTTPS, so that no stall is left out. Prints a table; ends with one JSON
line.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "bench" / "edge"
INVENTORY = ROOT / "build" / "testbed" / "bench_edge" / "inventory.yml"

ROUNDS = 15
SECONDS = 2
CONNECTIONS = 32
# A quarter of what the slower one can do, or less.
RATE = 1000
PORTS = {"http": {"role": 8080, "stock": 9080}, "https": {"role": 443, "stock": 9443}}


def run(*command: str) -> str:
    """What a command prints; all of it is shown where it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Hosts:
    """The three hosts, once they are up."""

    def __init__(self) -> None:
        inventory = yaml.safe_load(INVENTORY.read_text())["all"]
        self._hosts = inventory["hosts"]
        self._access = inventory["vars"]

    def shell(self, host: str, command: str) -> str:
        return run(
            "ssh",
            "-i",
            self._access["ansible_ssh_private_key_file"],
            *shlex.split(self._access["ansible_ssh_common_args"]),
            # Hundreds of commands over one connection to each host.
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=30s", "-o", "ControlPath=/tmp/slipway-bench-%C"),
            f"{self._access['ansible_user']}@{self._hosts[host]['ansible_host']}",
            command,
        )

    def url(self, scheme: str, side: str) -> str:
        return f"{scheme}://{self._hosts['edge1']['testbed_address']}:{PORTS[scheme][side]}/"

    def edge_seconds(self, side: str) -> float:
        """Processor time that the workers of this edge have taken so far."""
        pid_file = "/run/nginx.pid" if side == "role" else "/run/nginx-stock.pid"
        stats = self.shell("edge1", f"for pid in $(pgrep -P $(sudo cat {pid_file})); do cat /proc/$pid/stat; done")
        fields = [line.rpartition(") ")[2].split() for line in stats.splitlines()]
        return sum(int(one[11]) + int(one[12]) for one in fields) / 100


def as_fast_as_can_be(hosts: Hosts, scheme: str, side: str) -> tuple[float, float]:
    """Requests per second, and the edge's processor time for one in microseconds."""
    before = hosts.edge_seconds(side)
    command = f"wrk -t1 -c{CONNECTIONS} -d{SECONDS}s {hosts.url(scheme, side)}"
    printed = hosts.shell("load1", command)
    spent = hosts.edge_seconds(side) - before
    # wrk names these only where there are some.
    if "Non-2xx" in printed or "Socket errors" in printed:
        sys.exit(f"{side}: {command}\n{printed}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])  # type: ignore[index]
    total = int(re.search(r"(\d+) requests in", printed)[1])  # type: ignore[index]
    return rate, spent / total * 1e6


def at_a_constant_rate(hosts: Hosts, side: str) -> dict[str, Any]:
    """The times of answers over HTTPS."""
    url = hosts.url("https", side)
    command = f"python3 /opt/constant_rate.py {url} {RATE} {SECONDS} {CONNECTIONS}"
    found: dict[str, Any] = json.loads(hosts.shell("load1", command))
    if found["missing"] or found["failed"]:
        sys.exit(f"{side}: {command}\n{found}")
    return found


def measure(hosts: Hosts) -> dict[str, dict[str, list[float]]]:
    """For each figure and side, what each round saw."""
    names = ("http, requests/s", "http, edge µs/request", "https, requests/s", "https, edge µs/request")
    late = ("p50, ms", "p99, ms", "p99.9, ms")
    seen: dict[str, dict[str, list[float]]] = {name: {"role": [], "stock": []} for name in (*names, *late)}
    for number in range(ROUNDS):
        # Whoever comes second finds the machine warmer.
        sides = ("role", "stock") if number % 2 else ("stock", "role")
        for scheme in ("http", "https"):
            for side in sides:
                rate, cost = as_fast_as_can_be(hosts, scheme, side)
                seen[f"{scheme}, requests/s"][side].append(rate)
                seen[f"{scheme}, edge µs/request"][side].append(cost)
        for side in sides:
            found = at_a_constant_rate(hosts, side)
            for name, key in zip(late, ("p50_ms", "p99_ms", "p999_ms"), strict=True):
                seen[name][side].append(found[key])
    return seen


def ratio(seen: dict[str, list[float]]) -> float:
    return round(median(a / b for a, b in zip(seen["role"], seen["stock"], strict=True)), 2)


def main() -> None:
    testbed = (sys.executable, "tools/testbed")
    run(*testbed, "down", "bench_edge")
    try:
        run(*testbed, "up", str(FOLDER / "fleet.yml"), "--inventory", str(INVENTORY))
        run("ansible-playbook", "-i", str(INVENTORY), str(FOLDER / "hosts.yml"))
        seen = measure(Hosts())
    finally:
        run(*testbed, "down", "bench_edge")
    print(f"{'medians of ' + str(ROUNDS) + ' rounds':<28}{'role':>10}{'stock':>10}{'ratio':>8}   of the rounds")
    for name, sides in seen.items():
        each = sorted(a / b for a, b in zip(sides["role"], sides["stock"], strict=True))
        role, stock = median(sides["role"]), median(sides["stock"])
        print(f"{name:<28}{role:>10.2f}{stock:>10.2f}{ratio(sides):>8.2f}   {each[0]:.2f} to {each[-1]:.2f}")
    print(f"(percentiles at {RATE} requests/s over HTTPS)")
    ratios = {
        "requests_per_second": ratio(seen["http, requests/s"]),
        "requests_per_second_tls": ratio(seen["https, requests/s"]),
        "p99_fixed_rate": ratio(seen["p99, ms"]),
    }
    print(json.dumps({"bench": "edge", "ratios": ratios}))


if __name__ == "__main__":
    main()
