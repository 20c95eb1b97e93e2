"""The terminal: taken over for a while, and given back as it was, whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import sys
import termios
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Screen:
    """A context in which the terminal shows what `draw` is given, and keys come without Return."""

    def __init__(self) -> None:
        self.ended_by: int | None = None
        """The signal that asked the program to end."""
        self._ear, self._mouth = socket.socketpair()

    def __enter__(self) -> Screen:
        self._input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._input)
        self._mouth.setblocking(False)
        self._ear.setblocking(False)
        self._old_wakeup = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, self._end) for number in _ENDING}
        # Only to be woken: the size is asked for when drawing.
        self._old[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda number, frame: None)
        try:
            tty.setcbreak(self._input)
            settings = termios.tcgetattr(self._input)
            # A suspended program would leave the shell on its screen.
            settings[6][termios.VSUSP] = b"\x00"
            termios.tcsetattr(self._input, termios.TCSADRAIN, settings)
            self._write(_ENTER)
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        # The terminal may have gone away.
        with contextlib.suppress(OSError):
            self._write(_LEAVE)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._input, termios.TCSANOW, self._before)
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._ear.close()
        self._mouth.close()

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ended_by = number

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def wake(self) -> None:
        """End a `keys` that waits. Safe to call from a thread."""
        # It may be awake already, or over.
        with contextlib.suppress(OSError):
            self._mouth.send(b"\x00")

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        columns, lines = shutil.get_terminal_size((80, 24))
        return columns, lines

    def keys(self, seconds: float) -> str:
        """What was typed, after at most so many seconds, or nothing where the time passed or something woke it."""
        ready, _none, _neither = select.select([self._input, self._ear], [], [], max(0, seconds))
        if self._ear in ready:
            self._ear.recv(4096)
        if self._input not in ready:
            return ""
        typed = os.read(self._input, 1024)
        if not typed:
            # The terminal has gone away.
            self.ended_by = signal.SIGHUP
        return typed.decode(errors="ignore")

    def draw(self, lines: Sequence[str]) -> None:
        """Show lines from the top, and nothing below them."""
        self._write("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")
