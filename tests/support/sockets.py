"""Websockets that are used all the time, opened again when they end, and when and at whom each ended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

import websockets

from tests.support.http import context
from tests.support.stack import Stack
from tests.support.wait import wait_for

PAUSE_SECONDS = 0.2


@dataclass
class Sockets:
    """`count` websockets through an edge, each a client of its own by its cookie, while inside the context."""

    stack: Stack
    edge: str
    count: int = 20
    path: str = "/ws"
    ended: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _members: dict[int, str] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Sockets:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    @property
    def members(self) -> Counter[str]:
        """How many open websockets each member has."""
        return Counter(self._members.copy().values())

    def await_all(self, seconds: float = 10) -> None:
        """Until every websocket is open."""
        wait_for(f"{self.count} websockets through {self.edge}", lambda: len(self._members) == self.count, seconds)

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(number) for number in range(self.count)))

    async def _one(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                await self._use(number)
            except (OSError, websockets.WebSocketException) as error:
                member = self._members.pop(number, "")
                if member:
                    self.ended.append((time.time(), member))
                else:
                    self.failures.append(f"{type(error).__name__}: {error}")
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _use(self, number: int) -> None:
        async with websockets.connect(
            f"wss://{self.stack.server_name}{self.path}",
            host=self.stack.address(self.edge),
            port=443,
            ssl=context(self.stack),
            additional_headers={"Cookie": f"client={self.edge}-{number}"},
            ping_interval=None,
            close_timeout=0.1,
            open_timeout=10,
        ) as socket:
            assert socket.response is not None
            member = socket.response.headers["X-Member"]
            self._members[number] = member
            while not self._stop.is_set():
                await socket.send("hi")
                assert await asyncio.wait_for(socket.recv(), 10) == f"{member}:hi"
                await asyncio.sleep(PAUSE_SECONDS)
            del self._members[number]
