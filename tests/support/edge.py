"""Clients on an edge host itself, for scenarios of the role nginx; molecule/nginx/files/client.py has to be there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CURL = "curl -sk --max-time 90 --resolve '*:443:127.0.0.1' --resolve '*:80:127.0.0.1'"

Words = tuple[Any, ...]


def curl(host: Any, arguments: str) -> str:
    """What curl prints."""
    return str(host.check_output(f"{CURL} {arguments}"))


def answer(host: Any, arguments: str) -> tuple[str, list[tuple[str, str]], str]:
    """Status, headers and body."""
    return parsed(curl(host, f"-i {arguments}"))


def parsed(text: str) -> tuple[str, list[tuple[str, str]], str]:
    """Status, headers and body of an answer as curl prints it."""
    head, _, body = text.replace("\r", "").partition("\n\n")
    lines = head.splitlines()
    headers = [line.split(": ", 1) for line in lines[1:]]
    return lines[0].strip(), [(name.lower(), value) for name, value in headers], body


def await_value(look: Callable[[], Any], wanted: Any, seconds: float = 10) -> None:
    """Look until the wanted value is seen, and fail with what was seen last."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < end, f"{seen} instead of {wanted} for {seconds} s"
        time.sleep(0.1)


@contextmanager
def meanwhile_all(host: Any, *clients: Words, until_the_end: bool = True) -> Iterator[list[dict[str, Any]]]:
    """Run clients while the body of the block runs; what each saw is in its mapping afterwards.

    All of them must still run when the body ends, or else what they saw would not be of all of it.
    """
    units = [f"slipway-test-client-{time.monotonic_ns()}-{number}" for number in range(len(clients))]
    seen: list[dict[str, Any]] = [{} for _ in clients]

    def state(unit: str) -> str:
        return str(host.check_output(f"systemctl show -p SubState --value {unit}"))

    try:
        for unit, words in zip(units, clients, strict=True):
            host.check_output(
                f"systemd-run --quiet --unit={unit} --property=StandardOutput=file:/run/{unit}.json "
                "--property=RemainAfterExit=true "
                f"/usr/bin/python3 /opt/slipway-test/client.py {' '.join(map(str, words))}"
            )
        yield seen
        if until_the_end:
            assert [state(unit) for unit in units] == ["running"] * len(units), "a client ended before the body did"
        for unit, found in zip(units, seen, strict=True):
            await_value(lambda unit=unit: state(unit) == "running", False, 90)
            found.update(json.loads(host.check_output(f"cat /run/{unit}.json")))
    finally:
        # A client that failed leaves a failed unit.
        host.run(f"systemctl stop {' '.join(units)}; systemctl reset-failed {' '.join(units)}")
        host.run(f"rm -f {' '.join(f'/run/{unit}.json' for unit in units)}")
