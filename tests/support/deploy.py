"""Deploys of the demo's shop: releases to deploy, runs that can be watched and killed, and what hosts say then."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.pools import SOCKET, pool
from tests.support.shop import PORTS
from tests.support.stack import ROOT, Run, Stack
from tests.support.wait import wait_for

APPLICATION = "shop"
OWNER = f"deploy {APPLICATION}"
ROOT_ON_HOSTS = f"/srv/slipway/{APPLICATION}"
STATE = "/var/lib/slipway/deploy"
ARTIFACTS = ROOT / "build" / "artifacts" / "deploys"
# A whole deploy, with time to spare: drains, soaks and migrations of these tests are short.
DEPLOY_SECONDS = 300
PROGRESS = re.compile(r">> (?P<what>\S+ \S+) \| (?P<phase>[^|]+?) \| (?:(?P<hosts>[^|]+?) \| )?[^|]+ elapsed")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Artifact:
    """An archive of the shop on this machine."""

    path: Path
    sha256: str


@cache
def artifact(fault: str = "") -> Artifact:
    """The shop as its sources are, or broken in one of the ways that examples/build.py knows."""
    name = fault or "sound"
    words = [sys.executable, "examples/build.py", "--release", name, "--output", str(ARTIFACTS), "sample_app"]
    words += ["--fault", fault] if fault else []
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
    _program, _release, sha256, path = done.stdout.split()
    return Artifact(Path(path), sha256)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def new_release(word: str) -> str:
    """A release that no host has heard of."""
    return f"{word}-{int(time.time()):x}-{next(_numbers)}"


@dataclass(frozen=True)
class Progress:
    """One line of progress; `at` is in epoch seconds."""

    at: float
    what: str
    phase: str
    hosts: str


@dataclass
class Deploy:
    """A run of a playbook in a process group of its own, as a terminal gives it one."""

    words: list[str]
    lines: list[tuple[float, str]] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    def start(self) -> Deploy:
        self._process = subprocess.Popen(
            self.words,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append((time.time(), line))

    @property
    def output(self) -> str:
        return "".join(line for _at, line in self.lines)

    @property
    def message(self) -> str:
        """All that was printed, however it was wrapped."""
        return " ".join(self.output.split())

    @property
    def progress(self) -> list[Progress]:
        found = ((at, PROGRESS.search(line)) for at, line in list(self.lines))
        return [Progress(at, match["what"], match["phase"], match["hosts"] or "") for at, match in found if match]

    def phase(self, name: str) -> Progress | None:
        """The first line of progress of a phase, once it is there."""
        return next((one for one in self.progress if one.phase.startswith(name)), None)

    def durations(self, ended: float) -> list[tuple[str, float]]:
        """The phases with the seconds that each took."""
        begins = self.progress
        ends = [*(one.at for one in begins[1:]), ended]
        return [(one.phase, end - one.at) for one, end in zip(begins, ends, strict=True)]

    def await_text(self, text: str, seconds: float = 120) -> None:
        """Until it has printed this, which it does where a task begins."""

        def there() -> bool:
            ended = not self.running
            found = text in self.output
            assert found or not ended, f"it ended before {text!r}:\n{self.output}"
            return found

        wait_for(f"output: {text}", there, seconds)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL to the whole process group, as a machine that goes down does it to a run."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def wait(self, seconds: float = DEPLOY_SECONDS) -> Run:
        assert self._process is not None
        assert self._reader is not None
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not done after {seconds} s:\n{self.output}") from None
        # Connections that SSH keeps for later hold the pipe open.
        self._reader.join(2)
        return Run(status, self.output)


def words(stack: Stack, playbook: str, *arguments: str, **variables: Any) -> list[str]:
    given = {"deploy_application": APPLICATION, "deploy_window": "ignore", **variables}
    inventory = ["-i", str(stack.inventory)]
    return ["ansible-playbook", *inventory, f"slipway.stack.{playbook}", "-e", json.dumps(given), *arguments]


def long_tests() -> bool:
    """Whether the tests that take long are wanted, too."""
    return os.environ.get("SLIPWAY_LONG_TESTS", "true") == "true"


LONG = pytest.mark.skipif(not long_tests(), reason="SLIPWAY_LONG_TESTS=false")


def one_of(values: Iterable[Any]) -> list[Any]:
    """Parameters of which only the first is tried where the long tests are left out."""
    first, *rest = values
    return [first, *(pytest.param(value, marks=LONG) for value in rest)]


def start_deploy(stack: Stack, release: str, *arguments: str, of: Artifact | None = None, **variables: Any) -> Deploy:
    """Begin a deploy of the shop's sound release, or another artefact, under a release's name."""
    of = of or artifact()
    given = {"drain_seconds": 8, "soak_seconds": 3, "artifact": str(of.path), "artifact_sha256": of.sha256}
    chosen = {f"deploy_{name}": value for name, value in (given | variables).items()}
    return Deploy(words(stack, "deploy", *arguments, deploy_release=release, **chosen)).start()


def deploy(
    stack: Stack, release: str, *arguments: str, of: Artifact | None = None, **variables: Any
) -> tuple[Run, Deploy]:
    started = start_deploy(stack, release, *arguments, of=of, **variables)
    return started.wait(), started


def rollback(stack: Stack, *arguments: str, **variables: Any) -> tuple[Run, Deploy]:
    """A rollback; variables by their whole names."""
    started = Deploy(words(stack, "rollback", *arguments, deploy_drain_seconds=8, **variables)).start()
    return started.wait(), started


@dataclass(frozen=True)
class HostState:
    """An application host: its current release, those stored, and what each instance runs, None where it stands."""

    current: str
    stored: frozenset[str]
    bad: dict[str, Any]
    history: list[str]
    running: dict[int, str | None]
    debris: tuple[str, ...]

    def runs(self, release: str) -> bool:
        return self.current == release and set(self.running.values()) == {release}


LOOK = f"""
cd {ROOT_ON_HOSTS} || exit 1
readlink current | xargs basename
ls -A releases | tr '\\n' ' '; echo
find . -maxdepth 2 -name '.*' ! -name . ! -name .slipway-state.json | tr '\\n' ' '; echo
for port in {" ".join(map(str, PORTS))}; do
  pid=$(systemctl show --property MainPID --value slipway-{APPLICATION}@$port)
  echo $port $(basename "$(readlink /proc/$pid/cwd)" | sed 's/^$/-/')
done
cat .slipway-state.json
"""


def host_state(stack: Stack, host: str) -> HostState:
    current, stored, debris, *rest = stack.shell(host, LOOK).split("\n")
    running = dict(line.split() for line in rest[: len(PORTS)])
    kept = json.loads("\n".join(rest[len(PORTS) :]))
    return HostState(
        current=current,
        stored=frozenset(name for name in stored.split() if not name.startswith(".")),
        bad=kept.get("bad", {}),
        history=[entry["release"] if isinstance(entry, dict) else entry for entry in kept.get("history", [])],
        running={int(port): None if release == "-" else release for port, release in running.items()},
        debris=tuple(debris.split()),
    )


def hosts(stack: Stack) -> dict[str, HostState]:
    return {host: host_state(stack, host) for host in stack.groups[APPLICATION]}


def coordination_host(stack: Stack) -> str:
    return stack.groups["edge"][0]


def lease(stack: Stack) -> dict[str, Any] | None:
    """Who changes the fleet."""
    text = stack.shell(coordination_host(stack), f"cat {STATE}/lease.json 2> /dev/null || echo '{{}}'")
    held: dict[str, Any] | None = json.loads(text).get("lease")
    return held


def ledger(stack: Stack, release: str | None = None) -> list[dict[str, Any]]:
    """What was done, oldest first; of one release where it is named."""
    text = stack.shell(coordination_host(stack), f"cat {STATE}/ledger.jsonl 2> /dev/null || true")
    entries = [json.loads(line) for line in text.splitlines()]
    return [entry for entry in entries if release in (None, entry["release"])]


def events(stack: Stack, release: str) -> list[str]:
    return [entry["event"] for entry in ledger(stack, release)]


def members(stack: Stack) -> dict[str, tuple[str, str]]:
    """State and owner of each of the shop's members, by EDGE/MEMBER."""
    return {
        f"{edge}/{name}": (member["state"], member.get("owner") or "")
        for edge in stack.groups["edge"]
        for name, member in pool(stack, edge).items()
    }


def drained(stack: Stack) -> dict[str, tuple[str, str]]:
    return {name: found for name, found in members(stack).items() if found[0] != "active"}


def migration_runs(stack: Stack, release: str, kind: str = "expand") -> int:
    """How often the release's migrations were run, as the database tells."""
    question = f"SELECT count(*) FROM migration_runs WHERE release = '{release}' AND kind = '{kind}'"
    return int(stack.shell("data1", f'runuser -u postgres -- psql -AtX shop -c "{question}"'))


def assert_on(stack: Stack, release: str, *, is_free: bool = True) -> None:
    """Every host runs the release, nobody is drained, nothing is half done, and the lease `is_free`."""
    found = hosts(stack)
    assert {name: (state.current, state.running) for name, state in found.items()} == {
        name: (release, dict.fromkeys(PORTS, release)) for name in found
    }
    assert {name: state.debris for name, state in found.items() if state.debris} == {}
    assert drained(stack) == {}
    assert lease(stack) is None or not is_free


def put_in_order(stack: Stack) -> str:
    """The release that all hosts run, after what an earlier test left behind was cleared away without `deploy`."""
    held = lease(stack)
    if held is not None:
        module(stack, coordination_host(stack), "deploy_lease", state="released", run=held["run"])
    entries = ledger(stack)
    ended = {entry["run"] for entry in entries if entry["event"] in ("succeeded", "failed")}
    if any(entry["event"] == "started" and entry["run"] not in ended for entry in entries):
        # A run that did not end is history that the next one would go on with.
        stack.shell(coordination_host(stack), f"rm -f {STATE}/ledger.jsonl")
    found = hosts(stack)
    good = set.intersection(*({*state.stored} - {*state.bad} for state in found.values()))
    current = [state.current for state in found.values()]
    release = next((name for name in reversed(current) if name in good and not broken(name)), None)
    release = release or stack.facts("sample_app")["release"]
    for name, state in found.items():
        if state.current != release:
            module(stack, name, "release", root=ROOT_ON_HOSTS, release=release, activate="always", **ACCOUNT)
        if not state.runs(release) or state.current != release:
            stack.shell(name, f"systemctl restart {' '.join(f'slipway-{APPLICATION}@{port}' for port in PORTS)}")
    if drained(stack):
        for edge in stack.groups["edge"]:
            sync = f"curl -sf -o /dev/null --unix-socket {SOCKET} -X POST http://edge/sync"
            stack.shell(edge, f"rm -f /var/lib/slipway/pool/{APPLICATION}.json; {sync}")
    return release


ACCOUNT = {"owner": "root", "group": f"slipway-{APPLICATION}"}


def broken(release: str) -> bool:
    return release.startswith("broken")


def module(stack: Stack, host: str, name: str, **options: Any) -> None:
    done = stack.module(host, name, **options)
    assert done.status == 0, done.output
