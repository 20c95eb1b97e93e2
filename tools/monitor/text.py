"""Texts on a terminal: without control characters, and as wide as they are drawn."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = {"ok": "32", "warning": "33", "critical": "31", "unknown": "35", "soft": "2", "bold": "1", "accent": "36"}
_BARS = "▁▂▃▄▅▆▇█"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


@dataclass(frozen=True)
class Style:
    """What the terminal can show."""

    colour: bool = True
    unicode: bool = True

    def paint(self, text: str, *names: str) -> str:
        """The text in a colour. It takes no more room for it."""
        if not self.colour or not text or not names:
            return text
        return f"\x1b[{';'.join(COLOURS[name] for name in names)}m{text}\x1b[0m"

    def mark(self, status: str) -> str:
        """A sign for a state, which tells the states apart without colours too."""
        signs = {"ok": "✓", "warning": "!", "critical": "✗", "unknown": "?"}
        plain = {"ok": "+", "warning": "!", "critical": "x", "unknown": "?"}
        return (signs if self.unicode else plain).get(status, "?")

    def spark(self, scores: Sequence[float]) -> str:
        """Scores from 0 to 100 as a line of bars, where the terminal has such characters."""
        if not self.unicode:
            return ""
        return "".join(_BARS[min(7, max(0, int(score * 8 / 100.001)))] for score in scores)


def clean(text: object) -> str:
    """One line, without what a terminal would take as a command or that turns the direction of the text."""
    return _CONTROL.sub(" ", str(text)).strip()


def width_of(text: str) -> int:
    """The columns that a text takes, its colours left out."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in plain
    )


def clip(text: str, width: int, style: Style) -> str:
    """The text in at most `width` columns; what is cut off is marked, colours are ended."""
    if width_of(text) <= width:
        return text
    more = "…" if style.unicode else "~"
    kept, taken = [], 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", text):
        if piece.startswith("\x1b"):
            kept.append(piece)
            continue
        for one in piece:
            size = width_of(one)
            if taken + size > width - 1:
                return "".join(kept) + (more if width > 0 else "") + ("\x1b[0m" if "\x1b" in text else "")
            kept.append(one)
            taken += size
    return "".join(kept)


def wrapped(text: str, width: int, indent: str, hanging: str, most: int) -> list[str]:
    """A text on at most `most` lines; the last one is cut where there is more."""
    lines = textwrap.wrap(text, max(width, 20), initial_indent=indent, subsequent_indent=hanging) or [indent.rstrip()]
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} ..."]
