"""The clients of tests/support/traffic.py, in a process of their own; what to do comes as JSON in the first argument.

Requests are due at fixed moments whatever became of those before (open loop), and each is timed from the moment when it
was due: a server that stalls is charged for all who had to wait. Prints "ready", goes on until its standard input
ends, and then prints what it saw as one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import websockets

TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 200
RETRY_SECONDS = 0.2
# A peer that vanishes without a word is noticed after at most twice this.
PING_SECONDS = 5.0

Asked = tuple[int, float]
"""Which stream asks, and when it was due."""


class Connection(asyncio.Protocol):
    """One kept connection, with at most one request in flight."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self.asked: Asked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, asked: Asked, text: bytes) -> None:
        assert self._transport is not None
        self.asked, self._received = asked, b""
        self._transport.write(text)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _colon, value in (line.partition(": ") for line in lines)}
        if len(body) < int(headers["content-length"]):
            return
        self._done(status.split()[1], headers.get("x-instance", ""))
        if headers.get("connection", "").lower() == "close":
            self.close()
        else:
            self._clients.is_free(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._clients.is_lost(self)
        self._done(f"cut: {type(error).__name__}: {error}" if error else "cut: the server ended the connection")

    def give_up(self) -> None:
        self._done(f"no answer within {TIMEOUT_SECONDS:.0f} s")
        self.close()

    def close(self) -> None:
        assert self._transport is not None
        self._clients.is_lost(self)
        self._transport.abort()

    def _done(self, outcome: str, instance: str = "") -> None:
        asked, self.asked = self.asked, None
        if asked is not None:
            self._clients.note(asked, outcome, instance)


class Clients:
    """All that ask at constant rates, over as many kept connections as that takes."""

    def __init__(self, address: str, port: int, tls: ssl.SSLContext | None, name: str, streams: list[Any]) -> None:
        self._address, self._port, self._tls, self._name = address, port, tls, name
        self._streams = streams
        self._texts = [self._text(**stream) for stream in streams]
        self._all: set[Connection] = set()
        self._free: deque[Connection] = deque()
        self._waiting: deque[Asked] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self.requests: list[tuple[int, float, float, str, str]] = []
        self.late: list[float] = []

    def _text(self, method: str, path: str, body: Any, **_more: Any) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._name}"]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "", ""]).encode() + content

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until told to stop, and wait for the answers of those that ask then."""
        asking = [asyncio.create_task(self._ask(number, stop)) for number in range(len(self._streams))]
        watching = asyncio.create_task(self._watch())
        await asyncio.gather(*asking)
        end = time.time() + TIMEOUT_SECONDS + 1
        while (self._waiting or any(one.asked for one in self._all)) and time.time() < end:
            await asyncio.sleep(0.05)
        watching.cancel()
        for asked in self._waiting:
            self.note(asked, "never sent", "")
        for one in list(self._all):
            one.close()

    async def _ask(self, number: int, stop: asyncio.Event) -> None:
        pause = 1 / self._streams[number]["rate"]
        due = time.time()
        while not stop.is_set():
            due += pause
            await asyncio.sleep(max(0.0, due - time.time()))
            self.late.append(time.time() - due)
            self._waiting.append((number, due))
            self._send()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            now = time.time()
            for one in list(self._all):
                if one.asked and now - one.asked[1] > TIMEOUT_SECONDS:
                    one.give_up()

    def _send(self) -> None:
        while self._waiting and self._free:
            asked = self._waiting.popleft()
            self._free.pop().send(asked, self._texts[asked[0]])
        room = CONNECTIONS_MAX - len(self._all) - len(self._opening)
        for _number in range(min(room, len(self._waiting) - len(self._opening))):
            task = asyncio.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        name = self._name if self._tls else None
        try:
            _transport, one = await asyncio.wait_for(
                asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._address, self._port, ssl=self._tls, server_hostname=name
                ),
                TIMEOUT_SECONDS,
            )
        except OSError as error:
            if self._waiting:
                self.note(self._waiting.popleft(), f"no connection: {type(error).__name__}: {error}", "")
            return
        self._all.add(one)
        self.is_free(one)

    def is_free(self, one: Connection) -> None:
        self._free.append(one)
        self._send()

    def is_lost(self, one: Connection) -> None:
        self._all.discard(one)
        if one in self._free:
            self._free.remove(one)

    def note(self, asked: Asked, outcome: str, instance: str) -> None:
        self.requests.append((*asked, time.time() - asked[1], outcome, instance))


class Sockets:
    """Websockets that are opened again at once when they end, each a client of its own by its cookie."""

    def __init__(self, connect: Callable[[int], Any], count: int) -> None:
        self._connect = connect
        self._count = count
        self.open = 0
        self.lives: list[dict[str, Any]] = []
        self.failures: list[tuple[float, str]] = []

    async def run(self, stop: asyncio.Event) -> None:
        tasks = [asyncio.create_task(self._one(number)) for number in range(self._count)]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def all_open(self) -> None:
        while self.open < self._count:
            await asyncio.sleep(0.05)

    async def _one(self, number: int) -> None:
        while True:
            try:
                await self._use(number)
            except (OSError, websockets.WebSocketException) as error:
                self.failures.append((time.time(), f"{type(error).__name__}: {error}"))
                await asyncio.sleep(RETRY_SECONDS)

    async def _use(self, number: int) -> None:
        async with self._connect(number) as socket:
            welcome = json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT_SECONDS))
            life = {
                "client": number,
                "instance": welcome["instance"],
                "begun": time.time(),
                "ended": None,
                "code": None,
            }
            self.lives.append(life)
            self.open += 1
            try:
                # Whatever comes, until it ends. A ping is answered below this.
                async for _text in socket:
                    pass
            except websockets.ConnectionClosed:
                pass
            finally:
                self.open -= 1
            life |= {"ended": time.time(), "code": socket.close_code}


def _socket(task: dict[str, Any], tls: ssl.SSLContext | None) -> Callable[[int], Any]:
    def connect(number: int) -> Any:
        return websockets.connect(
            f"{'wss' if tls else 'ws'}://{task['name']}{task['socket_path']}",
            host=task["address"],
            port=task["port"],
            ssl=tls,
            additional_headers={"Cookie": f"{task['socket_cookie']}=traffic-{number}"},
            compression=None,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=0.1,
            open_timeout=TIMEOUT_SECONDS,
        )

    return connect


async def main(task: dict[str, Any]) -> None:
    tls = ssl.create_default_context(cafile=task["ca_file"]) if task["ca_file"] else None
    clients = Clients(task["address"], task["port"], tls, task["name"], task["streams"])
    sockets = Sockets(_socket(task, tls), task["sockets"])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    working: Iterable[asyncio.Task[None]] = [asyncio.create_task(one.run(stop)) for one in (clients, sockets)]
    begun = time.monotonic()
    await asyncio.wait_for(sockets.all_open(), 30)
    print("ready", flush=True)
    await asyncio.gather(*working)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seen = {
        "requests": clients.requests,
        "late": clients.late,
        "lives": sockets.lives,
        "socket_failures": sockets.failures,
        "cpu_share": (used.ru_utime + used.ru_stime) / (time.monotonic() - begun),
    }
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
