"""What `verify` found, by its report."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.stack import Run, Stack


def verified(stack: Stack, directory: Path, *arguments: str) -> Run:
    """Run `verify`: every check passes. Disks and load may warn, as they are those of the machine under the hosts."""
    run = stack.playbook("verify", "-e", json.dumps({"slipway_report_directory": str(directory)}), *arguments)
    assert run.status == 0, run.output
    report = json.loads((directory / "verify.json").read_text())
    assert set(report["hosts"]) == set(stack.hosts)
    results = [(host, result) for host, part in report["hosts"].items() for result in part["results"]]
    allowed = {"host": ("ok", "warning")}
    wrong = [
        f"{host}: {result['name']}: {result['status']}: {result['message']}"
        for host, result in results
        if result["status"] not in allowed.get(result["type"], ("ok",))
    ]
    assert wrong == []
    return run
