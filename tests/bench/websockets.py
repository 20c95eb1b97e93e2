"""10,000 idle websockets of the demo's shop: four instances on two hosts behind one edge, over TLS.

Makes the three hosts with `site`, opens the websockets from several processes, lets them idle for longer than two of
the shop's pings, and asks each for an answer. Before, and while they idle, requests at a constant rate go through the
same edge. Prints what was seen, and the memory of nginx and of instances by websocket; ends with one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# This folder is searched first when this file is run, and has a module of the same name.
ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)
FOLDER = ROOT / "tests" / "bench" / "websockets"
INVENTORY = FOLDER / "inventory"

import websockets

from tests.support.http import context
from tests.support.load import Load
from tests.support.stack import Stack

SOCKETS = 10_000
# Each keeps to the files that a process may open.
PROCESSES = 4
OPENING = 25
# The shop pings every 30 s and ends sockets that did not answer the ping before.
IDLE_SECONDS = 75
RATE = 50
OPEN_SECONDS = 60
PSS = "for pid in {pids}; do cat /proc/$pid/smaps_rollup; done | awk '/^Pss:/ {{ total += $2 }} END {{ print total }}'"
WORKERS = "$(pgrep --parent $(systemctl show --property MainPID --value nginx))"
INSTANCE = "$(systemctl show --property MainPID --value slipway-shop@{port})"


def run(*command: str) -> None:
    """A command, whose output is shown only where it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


@dataclass
class Report:
    """What a process of clients saw: failures by their text, and open websockets by their instance."""

    failures: Counter[str]
    instances: Counter[str]


class Clients:
    """The websockets of one process."""

    def __init__(self, stack: Stack, first: int, count: int) -> None:
        self._stack = stack
        self._tls = context(stack)
        self._numbers = range(first, first + count)
        self._gate = asyncio.Semaphore(OPENING)
        self._open: list[tuple[Any, str]] = []

    async def open(self) -> Report:
        failures = Counter(await asyncio.gather(*map(self._open_one, self._numbers)))
        del failures[""]
        return Report(failures, Counter(instance for _socket, instance in self._open))

    async def ask(self) -> Report:
        """Every websocket that is alive answers with the text that it was sent."""
        answers = await asyncio.gather(*(self._ask_one(*entry) for entry in self._open))
        failures = Counter(failure for failure, _instance in answers if failure)
        return Report(failures, Counter(instance for failure, instance in answers if not failure))

    async def _open_one(self, number: int) -> str:
        async with self._gate:
            try:
                socket = await websockets.connect(
                    f"wss://{self._stack.server_name}/ws",
                    host=self._stack.edge,
                    ssl=self._tls,
                    # So that each is a client of its own, though all come from one address.
                    additional_headers={"Cookie": f"client=bench-{number}"},
                    compression=None,
                    ping_interval=None,
                    open_timeout=OPEN_SECONDS,
                )
                welcome = json.loads(await asyncio.wait_for(socket.recv(), OPEN_SECONDS))
            except (OSError, websockets.WebSocketException) as error:
                return f"{type(error).__name__}: {error}"
            self._open.append((socket, welcome["instance"]))
            return ""

    async def _ask_one(self, socket: Any, instance: str) -> tuple[str, str]:
        async with self._gate:
            try:
                await socket.send(json.dumps({"type": "echo", "text": instance}))
                answer = json.loads(await asyncio.wait_for(socket.recv(), OPEN_SECONDS))
            except (OSError, websockets.WebSocketException) as error:
                return f"{type(error).__name__}: {error}", instance
            return ("" if answer.get("text") == instance else f"answer {answer}"), instance


def work(orders: Connection, first: int, count: int) -> None:
    """A process of clients: opens, asks and ends when told."""

    async def obey() -> None:
        clients = Clients(Stack(str(INVENTORY)), first, count)
        for step in (clients.open, clients.ask):
            # Pings are answered while the next order is awaited.
            await asyncio.get_running_loop().run_in_executor(None, orders.recv)
            orders.send(await step())

    asyncio.run(obey())
    # Nobody waits for ten thousand closing handshakes.
    os._exit(0)


class Herd:
    """All processes of clients, and what they saw in sum."""

    def __init__(self) -> None:
        share = SOCKETS // PROCESSES
        spawn = multiprocessing.get_context("spawn")
        self._orders = []
        for number in range(PROCESSES):
            ours, theirs = spawn.Pipe()
            spawn.Process(target=work, args=(theirs, number * share, share), daemon=True).start()
            self._orders.append(ours)

    def step(self) -> Report:
        """The next of: open, ask."""
        for orders in self._orders:
            orders.send(None)
        total = Report(Counter(), Counter())
        for orders in self._orders:
            report = orders.recv()
            total.failures += report.failures
            total.instances += report.instances
        return total


def memory(stack: Stack) -> dict[str, int]:
    """KiB (proportional share) of all nginx workers, and of each instance."""
    found = {"edge": int(stack.shell(stack.groups["edge"][0], PSS.format(pids=WORKERS)))}
    for host in stack.groups["shop"]:
        for port in (3000, 3001):
            pids = INSTANCE.format(port=port)
            found[f"{stack.address(host)}:{port}"] = int(stack.shell(host, PSS.format(pids=pids)))
    return found


def requests(stack: Stack, seconds: float) -> Load:
    with Load(stack, path="/livez", rate=RATE, workers=4) as load:
        time.sleep(seconds)
    return load


def tell(failures: Counter[str]) -> None:
    for text, times in failures.most_common(5):
        print(f"  failed         {times} x {text}")


def measure(stack: Stack) -> None:
    requests(stack, 5)
    without = requests(stack, IDLE_SECONDS / 2)
    before = memory(stack)
    herd = Herd()
    begun = time.monotonic()
    opened = herd.step()
    seconds = time.monotonic() - begun
    while_idle = requests(stack, IDLE_SECONDS)
    after = memory(stack)
    alive = herd.step()

    count = sum(opened.instances.values())
    answered = sum(alive.instances.values())
    print(f"opened           {count} of {SOCKETS} in {seconds:.1f} s ({count / seconds:.0f} a second)")
    tell(opened.failures)
    print(f"idle             {IDLE_SECONDS} s, then {answered} answered")
    tell(alive.failures)
    kib_each = {}
    for name, sockets in {"edge": count, **dict(sorted(opened.instances.items()))}.items():
        kib_each[name] = (after[name] - before[name]) / sockets
        change = f"{before[name] / 1024:.0f} to {after[name] / 1024:.0f} MiB"
        print(f"{name:<17}{change} for {sockets}: {kib_each[name]:.1f} KiB each")
    print(f"requests without {without.summary()}")
    print(f"requests with    {while_idle.summary()}")
    ratios = {
        "answered_after_idle": round(answered / SOCKETS, 4),
        "requests_failed": round(len(while_idle.failures) / while_idle.sent, 4),
        "p99_with_over_without": round(while_idle.percentile(99) / without.percentile(99), 2),
    }
    kib = {
        "edge": round(kib_each.pop("edge"), 1),
        "instance": round(max(kib_each.values()), 1),
    }
    print(json.dumps({"bench": "websockets", "ratios": ratios, "kib_per_websocket": kib}))


def main() -> None:
    python = sys.executable
    run(python, "examples/build.py", "sample_app")
    run(python, "tools/testbed", "down", "bench_websockets")
    try:
        run(python, "tools/testbed", "up", str(FOLDER / "fleet.yml"), "--inventory", str(INVENTORY / "addresses.yml"))
        run("ansible-playbook", "-i", str(INVENTORY), "slipway.stack.site")
        measure(Stack(str(INVENTORY)))
    finally:
        run(python, "tools/testbed", "down", "bench_websockets")
        shutil.rmtree(INVENTORY / ".secrets", ignore_errors=True)


if __name__ == "__main__":
    main()
