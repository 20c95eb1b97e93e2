"""Times `site` on the demo: the first run on fresh hosts, and the second, which has nothing to change; then `verify`.

Prints a table of both, module runs per host, the time per role, and that of `verify`; ends with one JSON line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERIFY_RUNS = 5


def run(*command: str, **environment: str) -> float:
    """Seconds that a command took; what it prints is shown only where it fails."""
    begun = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun


def site(name: str) -> tuple[float, Counter[str], dict[str, float]]:
    """One run of the playbook: its seconds, module runs by host, seconds by role."""
    log = ROOT / "build" / "bench" / f"{name}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    seconds = run(
        "ansible-playbook",
        "slipway.stack.site",
        ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "tests" / "support" / "callback"),
        ANSIBLE_CALLBACKS_ENABLED="measure",
        SLIPWAY_MEASURE_FILE=str(log),
    )
    runs: Counter[str] = Counter()
    roles: defaultdict[str, float] = defaultdict(float)
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if "run" in entry:
            runs[entry["run"]] += 1
        else:
            roles[entry["role"].rpartition(".")[2]] += entry["seconds"]
    return seconds, runs, dict(roles)


def main() -> None:
    python = sys.executable
    run(python, "examples/build.py")
    run(python, "tools/testbed", "down", "demo")
    up = ("up", "tools/testbed/fleets/demo.yml", "--inventory", "inventories/demo/addresses.yml")
    try:
        run(python, "tools/testbed", *up)
        first, first_runs, first_roles = site("first")
        second, second_runs, second_roles = site("second")
        verify = [run("ansible-playbook", "slipway.stack.verify") for _number in range(VERIFY_RUNS)]
    finally:
        run(python, "tools/testbed", "down", "demo")
    print(f"{'':<16}{'first':>10}{'second':>10}")
    print(f"{'site, seconds':<16}{first:>10.1f}{second:>10.1f}")
    for role in sorted(first_roles, key=lambda name: -first_roles[name]):
        print(f"  {role:<14}{first_roles[role]:>10.1f}{second_roles.get(role, 0):>10.1f}")
    print("module runs")
    for host in sorted(first_runs):
        print(f"  {host:<14}{first_runs[host]:>10}{second_runs[host]:>10}")
    print(f"verify, seconds: {', '.join(f'{seconds:.1f}' for seconds in sorted(verify))}")
    ratios = {"second_over_first": round(second / first, 3), "module_runs_max": max(second_runs.values())}
    print(json.dumps({"bench": "site", "ratios": ratios}))


if __name__ == "__main__":
    main()
