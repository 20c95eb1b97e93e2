"""Users of an application while something is done to it: requests at constant rates, and websockets that come back.

The clients are in a process of their own (tests/support/traffic_client.py), so that what a test does meanwhile does not
slow them, and what they saw is complete: every request with its outcome, every websocket with its end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from tests.support.stack import ROOT, Stack

END_SECONDS = 30


@dataclass(frozen=True)
class Stream:
    """Requests of one kind, `rate` a second."""

    method: str
    path: str
    rate: float
    body: Any = None


@dataclass(frozen=True)
class Request:
    """`due` is in epoch seconds; `outcome` is the status, or what became of a request without an answer."""

    stream: int
    due: float
    seconds: float
    outcome: str
    instance: str

    @property
    def failed(self) -> bool:
        return not self.outcome.startswith("2")


@dataclass(frozen=True)
class Life:
    """A websocket from its welcome to its end, in epoch seconds; `ended` is None where it lived on."""

    client: int
    instance: str
    begun: float
    ended: float | None
    code: int | None


READS = Stream("GET", "/api/health", 150)
WRITES = Stream("POST", "/api/session", 50, {"user": "traffic"})


@dataclass
class Traffic:
    """While inside the context; what was seen is there after it, and is of all that time."""

    address: str
    name: str
    ca_file: str = ""
    streams: Sequence[Stream] = (READS, WRITES)
    sockets: int = 0
    port: int = 443
    requests: list[Request] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    socket_failures: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    cpu_share: float = 0
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Traffic:
        task = {
            "address": self.address,
            "port": self.port,
            "name": self.name,
            "ca_file": self.ca_file,
            "streams": [asdict(stream) for stream in self.streams],
            "sockets": self.sockets,
            "socket_path": "/ws",
            "socket_cookie": "sid",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.traffic_client", json.dumps(task)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self._process.kill()
            raise AssertionError("the clients did not come up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        try:
            text, _ = self._process.communicate("end\n", timeout=END_SECONDS)
        finally:
            self._process.kill()
        seen = json.loads(text)
        self.requests = [Request(*entry) for entry in seen["requests"]]
        self.lives = [Life(**entry) for entry in seen["lives"]]
        self.socket_failures = [failure for _at, failure in seen["socket_failures"]]
        self.late = seen["late"]
        self.cpu_share = seen["cpu_share"]

    @property
    def failures(self) -> Counter[str]:
        """What went wrong with requests, by what it was."""
        return Counter(f"{self.streams[one.stream].method}: {one.outcome}" for one in self.requests if one.failed)

    @property
    def drops(self) -> list[Life]:
        """The websockets that ended, in the order of their ends."""
        return sorted((life for life in self.lives if life.ended is not None), key=lambda life: life.ended or 0)

    def after(self, drop: Life) -> Life | None:
        """What the client of a websocket that ended got in its place."""
        later = [life for life in self.lives if life.client == drop.client and life.begun > (drop.ended or 0)]
        return min(later, key=lambda life: life.begun, default=None)

    def p(self, percent: float, begin: float = 0, end: float = float("inf")) -> float:
        """Seconds within which this part of the requests due in a time ended, failed ones included."""
        return percentile([one.seconds for one in self.requests if begin <= one.due < end], percent)

    def summary(self, begin: float = 0, end: float = float("inf")) -> str:
        chosen = [one for one in self.requests if begin <= one.due < end]
        took = max(one.due for one in chosen) - min(one.due for one in chosen)
        times = ", ".join(f"p{percent:g} {self.p(percent, begin, end) * 1000:.0f} ms" for percent in (50, 99, 100))
        return (
            f"{len(chosen)} requests in {took:.0f} s ({len(chosen) / took:.0f}/s),"
            f" {sum(one.failed for one in chosen)} failed, {times}"
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def traffic(stack: Stack, streams: Sequence[Stream] = (READS, WRITES), sockets: int = 0) -> Traffic:
    """Users of the stack's application, through its first edge."""
    return Traffic(stack.edge, stack.server_name, str(stack.ca_file), streams, sockets)
