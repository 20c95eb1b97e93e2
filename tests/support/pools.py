"""What an edge says of the shop's members."""

from __future__ import annotations

import json
from typing import Any

from tests.support.stack import Stack

SOCKET = "/var/lib/slipway/nginx/admin.sock"


def pool(stack: Stack, edge: str) -> dict[str, dict[str, Any]]:
    """What nginx says of the members, by name."""
    text = stack.shell(edge, f"curl -sf --max-time 5 --unix-socket {SOCKET} http://edge/pools")
    return {member["name"]: member for member in json.loads(text)["pools"]["shop"]["members"]}


def states(stack: Stack, edge: str) -> dict[str, str]:
    return {name: member["state"] for name, member in pool(stack, edge).items()}
