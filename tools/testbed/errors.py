"""The one kind of error that is shown to the user without a traceback."""

from __future__ import annotations


class BedError(Exception):
    """Something the user can act on. The text says what is wrong, where, and what to do."""
