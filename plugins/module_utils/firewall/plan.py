# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a host has to what it should have, in steps that leave no way to lock the operator out.

A change of rules is *tried* first: a timer is set that brings the former ones back, then the new ones are loaded. Only
when the operator has come in by a new connection is it *confirmed*: the timer is stopped, and the rules are what the
host boots with. Until then the host boots with the former ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Boot:
    """What makes rules outlast a boot: the file of rules, the unit that loads it, and whether it is enabled."""

    rules: str | None = None
    unit: str | None = None
    enabled: bool = False


@dataclass(frozen=True)
class Current:
    """What a host has.

    ``running`` is the table as nft lists it without counters, or None where there is none. ``pending``: rules are being
    tried, and the timer that takes them back runs.
    """

    running: str | None = None
    boot: Boot = Boot()
    pending: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a host should have; ``running`` is None where nft could not be asked for its form of the rules."""

    running: str | None
    boot: Boot


def plan(current: Current, wanted: Wanted) -> tuple[str, ...]:
    """Steps towards ``wanted``, in order.

    ``revert``: take back what an earlier run tried and nobody confirmed; what to do after that is planned anew, and is
    thought to be ``try`` until then. ``try``: load the new rules, with the timer set. ``boot``: write what is loaded at
    boot; after ``try`` that waits for the confirmation.
    """
    if current.pending:
        return ("revert", "try")
    if current.running != wanted.running or current.boot.rules != wanted.boot.rules:
        return ("try",)
    return () if current.boot == wanted.boot else ("boot",)


def plan_removal(current: Current) -> tuple[str, ...]:
    """Steps to a host without this firewall: ``remove``, or none where nothing of it is there."""
    return () if current == Current() else ("remove",)
