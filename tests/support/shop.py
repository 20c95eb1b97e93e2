"""The demo's applications: the shop's instances, who of them answers, and the entry of `slipway_apps`."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.support.http import Answer, Client
from tests.support.stack import ROOT, Stack
from tests.support.wait import wait_for

PORTS = (3000, 3001)


def instances(stack: Stack) -> set[str]:
    """The shop's instances by the name that each gives itself."""
    return {f"{stack.address(host)}:{port}" for host in stack.groups["shop"] for port in PORTS}


def answers(stack: Stack, number: int = 100) -> list[Answer]:
    """What one client gets when it asks for the shop's health again and again."""
    client = Client(stack)
    try:
        return [client.get("/api/health") for _number in range(number)]
    finally:
        client.close()


def await_instances(stack: Stack, seconds: float = 90) -> None:
    """Until every instance of the shop answers through the edge, and nothing else does."""

    def all_answer() -> bool:
        try:
            return {(answer.status, answer.headers.get("x-instance")) for answer in answers(stack, 40)} == {
                (200, name) for name in instances(stack)
            }
        except OSError:
            return False

    wait_for(f"answers of {', '.join(sorted(instances(stack)))}", all_answer, seconds)


def shop_with(**changes: Any) -> tuple[str, str]:
    """Arguments of a playbook: the demo's applications with some of the shop's fields changed."""
    path = ROOT / "inventories" / "demo" / "group_vars" / "all" / "stack.yml"
    entry = yaml.safe_load(path.read_text())["slipway_apps"]
    entry["shop"].update(changes)
    return ("-e", json.dumps({"slipway_apps": entry}))
