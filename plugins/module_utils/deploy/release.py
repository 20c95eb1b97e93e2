# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of one application on one host: what is stored, which is current, and the steps to what is wanted."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Union

from ..moments import render_time

RELEASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
RECORD_NAME = ".slipway-release.json"
ACTIVATE = ("if_none", "always", "never")
STATES = ("present", "absent", "bad", "good")
HISTORY_KEPT = 50
"""How many activations are remembered."""


class ReleaseError(ValueError):
    """What is wanted cannot be done; the message says why and what to do."""


@dataclass(frozen=True)
class Stored:
    """A complete release on the host. ``sequence`` grows by one with each release stored; 1 is the first.

    ``stored_at`` is in seconds since the epoch, for people; the order comes from ``sequence``, which no clock disturbs.
    """

    release: str
    sha256: str
    sequence: int
    stored_at: int


@dataclass(frozen=True)
class Activation:
    """A release became current at ``at``, in seconds since the epoch."""

    release: str
    at: int


@dataclass(frozen=True)
class Mark:
    """A release was found bad at ``at``, in seconds since the epoch."""

    release: str
    reason: str
    at: int


@dataclass(frozen=True)
class State:
    """What is on the host. ``current`` names a stored release or is None.

    ``history`` has the last activations, oldest first, that of ``current`` last. ``bad`` are the marks, by release,
    also those of releases that were pruned since. ``debris`` are paths that an interrupted run left behind;
    ``foreign`` are names under releases/ without a record.
    """

    stored: tuple[Stored, ...] = ()
    current: str | None = None
    history: tuple[Activation, ...] = ()
    bad: tuple[Mark, ...] = ()
    debris: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def find(self, release: str) -> Stored | None:
        """Return the stored release of that name, or None."""
        return next((item for item in self.stored if item.release == release), None)

    def mark(self, release: str) -> Mark | None:
        """Return why a release is bad, or None."""
        return next((mark for mark in self.bad if mark.release == release), None)

    @property
    def previous(self) -> str | None:
        """The release to go back to: the last one that was current before, is still stored and is not bad."""
        for activation in reversed(self.history):
            release = activation.release
            if release != self.current and self.find(release) and not self.mark(release):
                return release
        return None

    @property
    def newest_first(self) -> tuple[Stored, ...]:
        """The stored releases, the one stored last first."""
        return tuple(sorted(self.stored, key=lambda item: item.sequence, reverse=True))


@dataclass(frozen=True)
class Wanted:
    """A release to have (``present``), not to have (``absent``), or to know as ``bad`` for a ``reason`` or as ``good``.

    ``sha256`` is known when an archive is at hand. ``keep`` is how many releases, at least 1, stay stored.
    """

    release: str
    state: str = "present"
    sha256: str | None = None
    activate: str = "if_none"
    keep: int = 5
    reason: str = ""


@dataclass(frozen=True)
class Clean:
    """Remove what an interrupted run left behind."""

    path: str


@dataclass(frozen=True)
class Store:
    """Unpack the archive as this release."""

    release: str
    sha256: str
    sequence: int


@dataclass(frozen=True)
class Activate:
    """Let ``current`` point to this release; ``previous`` is what it pointed to."""

    release: str
    previous: str | None


@dataclass(frozen=True)
class Drop:
    """Remove a stored release: ``prune`` because there are newer ones enough, ``remove`` because that was asked for."""

    release: str
    reason: str


@dataclass(frozen=True)
class MarkBad:
    """Remember that a release is bad, and why."""

    release: str
    reason: str


@dataclass(frozen=True)
class MarkGood:
    """Forget that a release was bad."""

    release: str


Step = Union[Clean, Store, Activate, Drop, MarkBad, MarkGood]


def parse_wanted(
    release: str,
    *,
    state: str,
    src: str | None,
    sha256: str | None,
    activate: str,
    keep: int,
    reason: str | None = None,
) -> Wanted:
    """Return the request as the options give it.

    Raises:
        ReleaseError: naming the option, the value received and the form expected.
    """
    if not RELEASE_ID.match(release):
        raise ReleaseError(
            f"release: {release!r} is not a release id; expected 1 to 64 letters, digits, '.', '_' or '-', beginning"
            " with a letter or digit, such as 2025-06-01.1"
        )
    if keep < 1:
        raise ReleaseError(f"keep: {keep} is out of range; expected 1 or more releases to keep")
    if src is not None and sha256 is None:
        raise ReleaseError(
            f"sha256: is missing; expected the SHA-256 checksum of {src} (64 hexadecimal digits, from sha256sum)"
        )
    if sha256 is not None:
        sha256 = sha256.lower()
        if not SHA256.match(sha256):
            raise ReleaseError(f"sha256: {sha256!r} is not a checksum; expected 64 hexadecimal digits, from sha256sum")
    reason = " ".join((reason or "").split())
    if state == "bad" and not reason:
        raise ReleaseError(
            "reason: is missing; expected what is wrong with the release, such as 'answers 500 on /readyz', with"
            " state=bad"
        )
    return Wanted(release, state, sha256, activate, keep, reason)


def check_root(root: str) -> str:
    """Return ``root`` if it is an absolute, normalised path of at least two parts.

    Raises:
        ReleaseError: naming the value received and the form expected.
    """
    if not root.startswith("/") or posixpath.normpath(root) != root or root.startswith("//") or root.count("/") < 2:
        raise ReleaseError(
            f"root: {root!r} is not usable; expected an absolute path of two or more parts, such as /srv/slipway/shop"
        )
    return root


def parse_record(text: str) -> Stored:
    """Return the release that a record describes.

    Raises:
        ReleaseError: when the text is not a record.
    """
    try:
        raw = json.loads(text)
        return Stored(str(raw["id"]), str(raw["sha256"]), int(raw["sequence"]), int(raw["stored_at"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"not a release record: {error}") from error


def render_record(stored: Stored) -> str:
    """Return the record of a release as the text of its file."""
    fields = {
        "id": stored.release,
        "sha256": stored.sha256,
        "sequence": stored.sequence,
        "stored_at": stored.stored_at,
    }
    return json.dumps(fields, indent=2) + "\n"


def parse_state(raw: Mapping[str, Any]) -> tuple[tuple[Activation, ...], tuple[Mark, ...]]:
    """Return the activations and marks that the state file tells.

    Raises:
        ReleaseError: when it tells something else.
    """
    try:
        history = tuple(Activation(str(item["release"]), int(item["at"])) for item in raw.get("history", []))
        marks = raw.get("bad", {}).items()
        return history, tuple(Mark(release, str(mark["reason"]), int(mark["at"])) for release, mark in sorted(marks))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"not a record of activations: {error}") from error


def render_state(state: State) -> dict[str, Any]:
    """Return the activations and marks as the state file tells them, with times in seconds since the epoch."""
    return {
        "history": [{"release": item.release, "at": item.at} for item in state.history],
        "bad": {mark.release: {"reason": mark.reason, "at": mark.at} for mark in state.bad},
    }


def plan(state: State, wanted: Wanted, in_use: Collection[str] = ()) -> tuple[Step, ...]:
    """Return the steps to what is wanted, in order. Planning again after they were done gives no steps.

    ``in_use`` are the releases that a process runs in. They, the current release, the one to go back to and the one
    wanted are never dropped to keep the number down.

    Raises:
        ReleaseError: when the release is stored from another archive, is not stored and no archive is given, is in the
            way of a directory that is not a release, is to be removed while it is current or in use, or is to become
            current while it is bad.
    """
    cleaning = tuple(Clean(path) for path in state.debris)
    if wanted.state == "absent":
        return (*cleaning, *_removal(state, wanted, in_use))
    if wanted.state == "present":
        return (*cleaning, *_arrival(state, wanted, in_use))
    return (*cleaning, *_marking(state, wanted))


def _removal(state: State, wanted: Wanted, in_use: Collection[str]) -> Iterable[Step]:
    if state.current == wanted.release:
        raise ReleaseError(f"release {wanted.release} is current; activate another release before removing it")
    if wanted.release in in_use:
        raise ReleaseError(f"release {wanted.release} is in use: a process still runs in it; stop that first")
    if state.find(wanted.release):
        yield Drop(wanted.release, "remove")
    if state.mark(wanted.release):
        yield MarkGood(wanted.release)


def _marking(state: State, wanted: Wanted) -> Iterable[Step]:
    marked = state.mark(wanted.release) is not None
    if wanted.state == "good":
        if marked:
            yield MarkGood(wanted.release)
    elif not marked:
        if not state.find(wanted.release):
            have = ", ".join(item.release for item in state.newest_first) or "none"
            raise ReleaseError(f"release {wanted.release} is not stored on this host, which has {have}; correct the id")
        yield MarkBad(wanted.release, wanted.reason)


def _arrival(state: State, wanted: Wanted, in_use: Collection[str]) -> tuple[Step, ...]:
    steps: list[Step] = []
    if wanted.release in state.foreign:
        raise ReleaseError(
            f"releases/{wanted.release} is there but has no {RECORD_NAME}, so it was not stored by this module;"
            " move it away or choose another release id"
        )
    stored = state.find(wanted.release)
    if stored is None:
        if wanted.sha256 is None:
            raise ReleaseError(
                f"release {wanted.release} is not stored on this host; give its archive with src and sha256"
            )
        sequence = max((item.sequence for item in state.stored), default=0) + 1
        steps.append(Store(wanted.release, wanted.sha256, sequence))
    elif wanted.sha256 is not None and stored.sha256 != wanted.sha256:
        raise ReleaseError(
            f"release {wanted.release} is already stored from an archive with SHA-256 {stored.sha256}, but now"
            f" {wanted.sha256} is given; a release id stands for one archive for ever, so choose a new id"
        )
    mark = state.mark(wanted.release)
    activates = _is_to_activate(state, wanted)
    if mark and (activates or wanted.activate == "always"):
        raise ReleaseError(
            f"release {wanted.release} was found bad on {iso(mark.at)}: {mark.reason}; deploy a release that mends it,"
            " or take the mark away with state=good if the fault was elsewhere"
        )
    if activates:
        steps.append(Activate(wanted.release, state.current))
    then = predict(state, steps)
    protected = {wanted.release, then.current, then.previous, *in_use}
    surplus = [item.release for item in then.newest_first[wanted.keep :] if item.release not in protected]
    return (*steps, *(Drop(release, "prune") for release in surplus))


def _is_to_activate(state: State, wanted: Wanted) -> bool:
    if wanted.activate == "always":
        return state.current != wanted.release
    return wanted.activate == "if_none" and state.current is None


def predict(state: State, steps: Iterable[Step], now: int = 0) -> State:
    """Return the state after the steps, which are done at ``now``, in seconds since the epoch."""
    for step in steps:
        if isinstance(step, Clean):
            state = replace(state, debris=tuple(path for path in state.debris if path != step.path))
        elif isinstance(step, Store):
            added = Stored(step.release, step.sha256, step.sequence, now)
            state = replace(state, stored=(*state.stored, added))
        elif isinstance(step, Activate):
            history = (*state.history, Activation(step.release, now))[-HISTORY_KEPT:]
            state = replace(state, current=step.release, history=history)
        elif isinstance(step, MarkBad):
            marks = (*state.bad, Mark(step.release, step.reason, now))
            state = replace(state, bad=tuple(sorted(marks, key=lambda mark: mark.release)))
        elif isinstance(step, MarkGood):
            state = replace(state, bad=tuple(mark for mark in state.bad if mark.release != step.release))
        else:
            left = tuple(item for item in state.stored if item.release != step.release)
            state = replace(state, stored=left)
    return state


def iso(seconds: int) -> str:
    """Return a time in seconds since the epoch as ISO 8601 in UTC."""
    return render_time(datetime.fromtimestamp(seconds, timezone.utc))


def report_bad(state: State) -> dict[str, dict[str, str]]:
    """Return the marks as plain data, by release."""
    return {mark.release: {"reason": mark.reason, "at": iso(mark.at)} for mark in state.bad}


def report_history(state: State) -> list[dict[str, str]]:
    """Return the activations as plain data, oldest first."""
    return [{"release": item.release, "at": iso(item.at)} for item in state.history]


VERBS: dict[type, str] = {Store: "store", Activate: "activate", MarkBad: "mark_bad", MarkGood: "mark_good"}


def describe(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return the steps as plain data: ``action`` and the ``release`` or ``path`` that it is about."""
    described: list[dict[str, Any]] = []
    for step in steps:
        if isinstance(step, Clean):
            described.append({"action": "clean", "path": step.path})
        elif isinstance(step, Drop):
            described.append({"action": step.reason, "release": step.release})
        else:
            described.append({"action": VERBS[type(step)], "release": step.release})
    return described


def summary(state: State) -> str:
    """Return the state as a few lines for a difference: current, previous, and the stored releases, newest first."""
    lines = [f"current: {state.current or '-'}", f"previous: {state.previous or '-'}"]
    lines += [f"stored: {item.release}" for item in state.newest_first]
    lines += [f"bad: {mark.release} ({mark.reason})" for mark in state.bad]
    return "\n".join(lines) + "\n"


def outcome(root: str, wanted: Wanted, steps: Sequence[Step], after: State) -> str:
    """Return what came of the request, in a sentence that names the application by the last part of ``root``."""
    name = posixpath.basename(root)
    for step in steps:
        if isinstance(step, Activate):
            return f"{name}: {wanted.release} becomes current, after {step.previous or 'no other release'}"
        if isinstance(step, MarkBad):
            return f"{name}: {wanted.release} gets marked bad: {step.reason}"
    if any(isinstance(step, Store) for step in steps):
        return f"{name}: {wanted.release} gets stored, {after.current or 'no release'} stays current"
    if wanted.state == "bad":
        return f"{name}: {wanted.release} is already marked bad, nothing to do"
    if wanted.state == "good":
        marked = any(isinstance(step, MarkGood) for step in steps)
        return f"{name}: {wanted.release} {'is no longer marked bad' if marked else 'is not marked bad, nothing to do'}"
    if wanted.state == "absent":
        gone = any(isinstance(step, Drop) for step in steps)
        return f"{name}: {wanted.release} {'gets removed' if gone else 'is not stored, nothing to do'}"
    if after.current == wanted.release:
        return f"{name}: {wanted.release} is already current, {'only old things go' if steps else 'nothing to do'}"
    return f"{name}: {wanted.release} is already stored, {after.current or 'no release'} stays current"


def check_member(name: str, kind: str, target: str = "") -> str:
    """Return the place in a release, relative to its top, of an archive's member; "" for the top itself.

    ``kind`` is file, directory, symlink, hardlink or other; ``target`` is what a link names (a symlink's relative to
    its own directory, a hardlink's relative to the archive's top).

    Raises:
        ReleaseError: when the member would lie outside the release, is a link to the outside, a device, a pipe, or
            takes the place of the release's own record.
    """
    place = posixpath.normpath(name)
    if name.startswith("/") or place == ".." or place.startswith("../"):
        raise ReleaseError(f"the archive's member {name!r} would lie outside the release")
    if kind == "other":
        raise ReleaseError(f"the archive's member {name!r} is neither a file, a directory nor a link")
    if place == RECORD_NAME:
        raise ReleaseError(f"the archive has a member {RECORD_NAME}, a name that is kept for the release's own record")
    if kind in ("symlink", "hardlink"):
        base = posixpath.dirname(place) if kind == "symlink" else ""
        points_to = posixpath.normpath(posixpath.join(base, target))
        if target.startswith("/") or points_to == ".." or points_to.startswith("../"):
            raise ReleaseError(f"the archive's member {name!r} is a link to {target!r}, outside the release")
    return "" if place == "." else place


def member_mode(mode: int, *, directory: bool) -> int:
    """Return the permission bits of a member in a release: nobody but the owner may write, no set-id bits.

    Directories get 0755. A file's group may read and execute what its owner may, so that an application that is in the
    group but not the owner can run what a builder packed with a narrow umask.
    """
    if directory:
        return 0o755
    return (mode & 0o755) | 0o400 | ((mode | 0o400) & 0o500) >> 3
