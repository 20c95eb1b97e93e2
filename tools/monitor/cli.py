"""The command line: ``python tools/monitor [--interval 5] [--once] [--no-color] [arguments of ansible-playbook]``."""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from .screen import Screen
from .source import NoAnsible, Reading, Source
from .text import Style
from .view import Change, View, changes, render

SCORES = 60
CHANGES = 50
STATUS = {"healthy": 0, "degraded": 1, "failed": 2}
NO_REPORT = 3
PLAIN_WIDTH = 160
"""Where the output is no terminal, lines end here."""


class Memory:
    """What was seen so far. Times are of a clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        self.reading = Reading(None)
        self.scores: list[float] = []
        self.changes: list[Change] = []
        self.trouble = ""
        self.report_at: float | None = None

    def take(self, reading: Reading, now: float, at: str) -> None:
        """Keep a new reading; one without a report leaves the last report in sight."""
        self.trouble = reading.trouble
        if reading.report is None:
            return
        self.changes = [*changes(self.reading.report, reading.report, at), *self.changes][:CHANGES]
        self.scores = [*self.scores, float(reading.report["score"])][-SCORES:]
        self.reading, self.report_at = reading, now

    def view(self, now: float, running: bool = False, paused: bool = False) -> View:
        age = None if self.report_at is None else now - self.report_at
        return View(self.reading.report, age, self.scores, self.changes, self.trouble, running, paused)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to end. Return the exit status."""
    options, others = _parser().parse_known_args(arguments)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    colour = sys.stdout.isatty() and not options.no_color and "NO_COLOR" not in os.environ
    style = Style(colour, unicode)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="slipway-monitor-") as folder:
        try:
            source = Source(others, Path(folder))
        except NoAnsible as error:
            print(f"monitor: {error}", file=sys.stderr)
            return NO_REPORT
        try:
            if terminal and not options.once:
                return _live(source, options.interval, style)
            return _plain(source, options.interval, options.once, style)
        finally:
            source.stop()


def _plain(source: Source, interval: float, once: bool, style: Style) -> int:
    """Print every reading, below one another."""
    memory = Memory()
    width = shutil.get_terminal_size((PLAIN_WIDTH, 0)).columns if sys.stdout.isatty() else PLAIN_WIDTH
    try:
        while True:
            memory.changes = []
            reading = source.read()
            memory.take(reading, time.monotonic(), time.strftime("%H:%M:%S"))
            view = memory.view(time.monotonic())
            if not once:
                print(time.strftime("--- %Y-%m-%d %H:%M:%S"))
            print("\n".join(render(view, width, None, style)).rstrip(), flush=True)
            if once:
                return NO_REPORT if reading.report is None else STATUS.get(reading.report["verdict"], NO_REPORT)
            print(flush=True)
            time.sleep(interval)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader, such as head, has had enough; Python must not complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _live(source: Source, interval: float, style: Style) -> int:
    """Redraw in place until a key or a signal ends it."""
    memory = Memory()
    readings: queue.SimpleQueue[Reading] = queue.SimpleQueue()
    running, paused = False, False
    due = time.monotonic()
    with Screen() as screen:

        def look() -> None:
            try:
                reading = source.read()
            except Exception as error:
                reading = Reading(None, f"{type(error).__name__}: {error}")
            readings.put(reading)
            screen.wake()

        while screen.ended_by is None:
            now = time.monotonic()
            if not running and not paused and now >= due:
                running = True
                threading.Thread(target=look, daemon=True, name="look").start()
            width, height = screen.size()
            screen.draw(render(memory.view(now, running, paused), width, height, style))
            typed = screen.keys(1.0 if running or paused else min(1.0, max(0.0, due - now)))
            if "q" in typed:
                break
            if "r" in typed and not running:
                due, paused = now, False
            if "p" in typed:
                paused = not paused
            while not readings.empty():
                memory.take(readings.get(), time.monotonic(), time.strftime("%H:%M:%S"))
                running = False
                due = time.monotonic() + interval
        ended_by = screen.ended_by
    source.stop()
    return 0 if ended_by is None else 128 + ended_by


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86400:
        raise ValueError
    return value


_seconds.__name__ = "number of seconds from 0 to 86400"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="monitor",
        allow_abbrev=False,
        usage="python tools/monitor [--interval SECONDS] [--once] [--no-color] [ARGUMENTS OF ansible-playbook]",
        description="Shows the stack's state, live: runs the playbook slipway.stack.status again and again.",
        epilog="All other arguments go to ansible-playbook, such as -i inventories/demo or --limit app1. "
        "With --once the exit status is 0 where the stack is healthy, 1 degraded, 2 failed, 3 without a report. "
        "Keys: q ends, r looks at once, p pauses.",
    )
    parser.add_argument(
        "--interval", type=_seconds, default=5, metavar="SECONDS", help="pause between two looks (default: 5)"
    )
    parser.add_argument("--once", action="store_true", help="look once, print it and end")
    parser.add_argument("--no-color", action="store_true", help="no colours; the variable NO_COLOR does the same")
    return parser
