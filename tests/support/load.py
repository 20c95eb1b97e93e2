"""A constant rate of requests over keep-alive connections, and every failure it saw."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

from tests.support.http import Client
from tests.support.stack import Stack
from tests.support.wait import wait_for


@dataclass
class Load:
    """Requests from `workers` clients, `rate` a second in all, from entering until leaving the context."""

    stack: Stack
    path: str = "/api/health"
    rate: float = 100
    workers: int = 10
    method: str = "GET"
    edge: str = ""
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _instances: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        for _number in range(self.workers):
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def sent(self) -> int:
        return len(self.seconds)

    @property
    def slowest(self) -> float:
        return max(self.seconds, default=0)

    def percentile(self, percent: float) -> float:
        """Seconds within which this part of the requests ended."""
        return sorted(self.seconds)[int(len(self.seconds) * percent / 100)]

    def summary(self) -> str:
        return (
            f"{self.sent} {self.method}s{f' through {self.edge}' if self.edge else ''}, {len(self.failures)} failed,"
            f" 99 % within {self.percentile(99) * 1000:.0f} ms, the slowest took {self.slowest:.2f} s"
        )

    def await_answers(self, instances: set[str], seconds: float) -> float:
        """Seconds until each of the instances, and no other, has answered the load since now."""
        with self._lock:
            self._instances.clear()

        def all_answered() -> bool:
            with self._lock:
                return self._instances == instances

        return wait_for(f"answers of {', '.join(sorted(instances))} to the load", all_answered, seconds)

    def _work(self) -> None:
        client = Client(self.stack, timeout=10, edge=self.edge)
        body = {"text": "a line"} if self.method == "POST" else None
        pause = self.workers / self.rate
        while not self._stop.is_set():
            begun = time.monotonic()
            failure = ""
            try:
                answer = client.request(self.method, self.path, body)
                with self._lock:
                    self.statuses[answer.status] += 1
                if answer.status != 200:
                    failure = f"status {answer.status}"
            except Exception as error:
                failure = f"{type(error).__name__}: {error}"
            took = time.monotonic() - begun
            with self._lock:
                self.seconds.append(took)
                if failure:
                    self.failures.append(failure)
                else:
                    self._instances.add(answer.instance)
            self._stop.wait(max(0, pause - took))
