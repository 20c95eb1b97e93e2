# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every check type is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .model import Outcome
from .options import option
from .tools import Deadline, Tools


@dataclass(frozen=True)
class Check:
    """A check as it was asked for. A check type is a subclass in a file of its own.

    It adds its options as fields, names itself in ``TYPE``, and states in ``WEIGHT`` how much
    it counts in the score: 3 what users meet or data rests on, 2 what that stands on, 1 reserves.
    ``LIBRARIES`` are imported before any clock runs; one that is missing is for ``run`` to tell.
    """

    TYPE: ClassVar[str] = ""
    WEIGHT: ClassVar[float] = 1
    LIBRARIES: ClassVar[tuple[str, ...]] = ()

    name: str = option("str", "", about="What reports call the check; made from type and target by default.")
    timeout_seconds: float = option("number", 5.0, minimum=0.01, maximum=3600, about="Limit of one attempt.")
    retries: int | None = option("int", minimum=0, maximum=1000, about="In place of the module's O(retries).")
    delay_seconds: float | None = option(
        "number", minimum=0, maximum=3600, about="In place of the module's O(delay_seconds)."
    )
    successes: int | None = option("int", minimum=1, maximum=100, about="In place of the module's O(successes).")
    weight: float | None = option("number", minimum=0, maximum=100, about="What it counts in the score.")
    part: str = option("str", "", about="The part of the stack that it looks at; its type by default.")
    application: str = option("str", "", about="The application that it belongs to; for reports only.")
    proves: Sequence[str] = option("strings", (), about="What it is proof of in an audit, such as backup or S3-9.")

    def problems(self) -> list[str]:
        """What is wrong with the options taken together."""
        return []

    def target(self) -> str:
        """What is looked at, as reports show it: without secrets."""
        raise NotImplementedError

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        """Look once. May raise CouldNotRun, Unreachable, TimeoutError and OSError."""
        raise NotImplementedError


def option_names(check_type: type[Check]) -> list[str]:
    """The names of a check type's options."""
    return [field.name for field in dataclasses.fields(check_type)]
