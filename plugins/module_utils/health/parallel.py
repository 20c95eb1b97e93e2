# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking many servers at once within one check, so that one that hangs holds up none of the others."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from .tools import Deadline

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def ask_each(
    ask: Callable[[Item], Answer], items: Sequence[Item], deadline: Deadline, seconds: float
) -> dict[Item, Answer | Exception]:
    """Call ``ask`` with every item at the same time; an item's answer, or what it raised.

    What has not answered within ``seconds``, or by the deadline, is a TimeoutError and is left behind.
    Raises TimeoutError where the deadline has passed already.
    """
    answers: queue.SimpleQueue[tuple[Item, Answer | Exception]] = queue.SimpleQueue()

    def one(item: Item) -> None:
        try:
            answers.put((item, ask(item)))
        except Exception as error:
            answers.put((item, error))

    limit = Deadline.after(deadline.clock, min(seconds, deadline.left()))
    for item in items:
        threading.Thread(target=one, args=(item,), daemon=True, name="health-ask").start()
    found: dict[Item, Answer | Exception] = {}
    while len(found) < len(items):
        try:
            item, answer = answers.get(timeout=limit.left())
        except (queue.Empty, TimeoutError):
            break
        found[item] = answer
    # A copy in the order of the items: whoever reads it sees the same order at every look.
    return {item: found.get(item, TimeoutError(f"no answer within {limit.seconds:.1f} s")) for item in items}
