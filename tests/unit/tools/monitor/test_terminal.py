# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program in a terminal, with a playbook that is played: keys, signals, sizes, and what is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from monitor.text import width_of

PROGRAM = Path(__file__).resolve().parents[4] / "tools" / "monitor"
SECONDS = 20
FAKE = f"""#!{sys.executable}
import json, os, pathlib, sys, time
folder = pathlib.Path({{folder!r}})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([os.getpid(), *sys.argv[1:]]) + "\\n")
while (folder / "hang").exists():
    time.sleep(0.05)
if (folder / "report").exists():
    target = pathlib.Path(json.loads(sys.argv[-1])["slipway_status_file"])
    target.write_text((folder / "report").read_text())
else:
    print("[ERROR]: the inventory is not there")
    sys.exit(4)
"""


def report(status: str = "ok", score: int = 100) -> dict[str, Any]:
    bad = status != "ok"
    result = {"name": "nginx", "status": status, "part": "nginx", "type": "systemd"}
    problem = {"host": "edge1", "name": "nginx", "status": status, "message": "it is down", "next_step": "start it"}
    return {
        "verdict": "failed" if bad else "healthy",
        "score": score,
        "counts": {"ok": int(not bad), "critical": int(bad), "warning": 0, "unknown": 0},
        "hosts": {"edge1": {"score": score, "results": [result]}},
        "problems": [problem] if bad else [],
    }


class Played:
    """A folder with a playbook that says what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        program = folder / "bin" / "ansible-playbook"
        program.write_text(FAKE.format(folder=str(folder)))
        program.chmod(0o755)
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")},
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONUTF8": "1",
            "TERM": "xterm-256color",
            "TMPDIR": str(folder),
        }

    def says(self, value: dict[str, Any] | str | None) -> None:
        """The next report; None for a playbook that fails."""
        path = self.folder / "report"
        if value is None:
            path.unlink(missing_ok=True)
            return
        new = self.folder / "new"
        new.write_text(value if isinstance(value, str) else json.dumps(value))
        new.rename(path)

    @property
    def calls(self) -> list[list[Any]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The program without a terminal."""
        words = [sys.executable, str(PROGRAM), *arguments]
        return subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )


class Terminal:
    """The program in a terminal of its own."""

    def __init__(self, played: Played, *arguments: str, program: list[str] | None = None) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(100, 30)
        self.before = termios.tcgetattr(self.slave)
        words = program or [sys.executable, str(PROGRAM)]
        self.process = subprocess.Popen(
            [*words, *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=played.environment,
            start_new_session=True,
        )
        self.output = ""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float = 0.05) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            with contextlib.suppress(OSError):
                self.output += os.read(self.master, 65536).decode(errors="replace")

    def frame(self) -> str:
        """The last whole picture."""
        pictures = self.output.split("\x1b[H")[1:]
        whole = [one for one in pictures if "\x1b[J" in one]
        return whole[-1].split("\x1b[J")[0].replace("\x1b[K", "").replace("\r", "") if whole else ""

    def sees(self, words: str) -> str:
        """Wait until words are in the picture; return it."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.read()
            if words in self.frame():
                return self.frame()
        raise AssertionError(f"{words!r} never came; the last picture was:\n{self.frame() or self.output}")

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self) -> int:
        """Wait for the end, and see that the terminal is as it was before."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it did not end:\n{self.output[-2000:]}"
            self.read()
        self.read(0.2)
        assert termios.tcgetattr(self.slave) == self.before
        assert self.output.rindex("\x1b[?1049l") > self.output.rindex("\x1b[?1049h")
        assert self.output.rindex("\x1b[?25h") > self.output.rindex("\x1b[?25l")
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


@pytest.fixture
def terminal(played: Played) -> Iterator[Terminal]:
    played.says(report())
    opened = Terminal(played, "-i", "inventories/demo", "--interval", "0.1", "--limit", "edge1")
    yield opened
    opened.close()


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_shows_changes_and_ends_on_q(played: Played, terminal: Terminal) -> None:
    terminal.sees("HEALTHY 100")
    played.says(report("critical", 40))
    picture = terminal.sees("+ ")
    for words in ("FAILED 40", "edge1: nginx: it is down", "start it", "Changed"):
        assert words in picture
    played.says(report())
    terminal.sees("nginx: gone")
    played.says(None)
    picture = terminal.sees("the inventory is not there")
    assert "HEALTHY 100" in picture
    terminal.type("q")
    assert terminal.end() == 0
    assert played.calls[0][1:-2] == ["slipway.stack.status", "-i", "inventories/demo", "--limit", "edge1"]
    assert list(played.folder.glob("slipway-monitor-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_playbook_that_runs(played: Played, terminal: Terminal, number: int) -> None:
    terminal.sees("HEALTHY")
    (played.folder / "hang").touch()
    terminal.type("r")
    end = time.monotonic() + SECONDS
    while not (terminal.frame().count("looking") and alive(played.calls[-1][0])):
        assert time.monotonic() < end
        terminal.read()
    terminal.process.send_signal(number)
    assert terminal.end() == 128 + number
    assert not alive(played.calls[-1][0])
    assert "Traceback" not in terminal.output


def test_it_pauses_and_looks_when_asked(played: Played, terminal: Terminal) -> None:
    terminal.sees("HEALTHY")
    terminal.type("p")
    terminal.sees("PAUSED")
    played.says(report("critical", 40))
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        terminal.read()
    assert "HEALTHY" in terminal.frame()
    terminal.type("r")
    terminal.sees("FAILED 40")
    terminal.type("q")
    assert terminal.end() == 0


def test_it_follows_the_size(played: Played, terminal: Terminal) -> None:
    played.says(report("critical", 40))
    terminal.sees("FAILED")
    for columns, lines, whole in ((40, 10, False), (160, 50, True), (12, 4, False)):
        terminal.resize(columns, lines)
        terminal.process.send_signal(signal.SIGWINCH)
        end = time.monotonic() + SECONDS
        while True:
            picture = terminal.frame().split("\n")
            fits = max(map(width_of, picture)) <= columns and len(picture) <= lines
            if fits and ("checks passed on 1 host" in picture[0]) == whole:
                break
            assert time.monotonic() < end, picture
            terminal.read()
    terminal.type("q")
    assert terminal.end() == 0


def test_a_crash_gives_the_terminal_back(played: Played) -> None:
    played.says(report())
    crash = (
        f"import sys; sys.path[0] = {str(PROGRAM.parent)!r}\n"
        "from monitor import cli\n"
        "def broken(*anything): raise RuntimeError('a defect')\n"
        "cli.render = broken\n"
        "cli.main(['--interval', '1'])"
    )
    terminal = Terminal(played, program=[sys.executable, "-c", crash])
    try:
        assert terminal.end() == 1
        assert "RuntimeError: a defect" in terminal.output
        assert terminal.output.index("\x1b[?1049l") < terminal.output.index("Traceback")
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("says", "status", "words"),
    [
        (report(), 0, "✓ HEALTHY 100  1 of 1 checks passed on 1 host"),
        ({**report("warning", 90), "verdict": "degraded"}, 1, "DEGRADED 90"),
        (report("critical", 40), 2, "✗ edge1: nginx: it is down"),
        (None, 3, "[ERROR]: the inventory is not there"),
        ("garbage", 3, "wrote no JSON"),
    ],
)
def test_once_prints_and_its_status_tells(played: Played, says: Any, status: int, words: str) -> None:
    played.says(says)
    done = played.run("--once", "-i", "x")
    assert done.returncode == status, done.stderr
    assert words in done.stdout
    assert "\x1b" not in done.stdout


def test_without_a_terminal_every_look_is_printed(played: Played) -> None:
    played.says(report())
    words = [sys.executable, str(PROGRAM), "--interval", "0"]
    with subprocess.Popen(
        words, env=played.environment, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        heads = []
        while len(heads) < 3:
            line = process.stdout.readline()
            assert line
            heads += [line] if line.startswith("--- ") else []
        process.stdout.close()
        assert process.wait(SECONDS) == 0


def test_no_color_in_a_terminal(played: Played) -> None:
    played.says(report())
    for arguments, coloured in (((), True), (("--no-color",), False)):
        terminal = Terminal(played, *arguments)
        try:
            terminal.sees("HEALTHY")
            assert ("\x1b[1;32m" in terminal.output) == coloured
            terminal.type("q")
            assert terminal.end() == 0
        finally:
            terminal.close()


@pytest.mark.parametrize("interval", ["-1", "soon", "nan", "1e9"])
def test_a_bad_interval_is_refused(played: Played, interval: str) -> None:
    done = played.run(f"--interval={interval}")
    assert done.returncode == 2
    assert "--interval" in done.stderr
    assert "from 0 to 86400" in done.stderr


def test_no_ansible_is_said(played: Played, tmp_path: Path) -> None:
    (played.folder / "bin" / "ansible-playbook").unlink()
    played.environment["PATH"] = "/nowhere"
    code = (
        f"import sys; sys.path[0] = {str(PROGRAM.parent)!r}; sys.executable = '/nowhere/python'\n"
        "from monitor.cli import main; sys.exit(main(['--once']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=played.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "ansible-playbook is neither in PATH nor" in done.stderr
