# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of one application on one host: what is stored, which is current, and the steps to what is wanted."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Union

RELEASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
RECORD_NAME = ".slipway-release.json"
ACTIVATE = ("if_none", "always", "never")


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
class State:
    """What is on the host. ``previous`` was current before ``current``; both name stored releases or are None.

    ``debris`` are paths that an interrupted run left behind; ``foreign`` are names under releases/ without a record.
    """

    stored: tuple[Stored, ...] = ()
    current: str | None = None
    previous: str | None = None
    debris: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def find(self, release: str) -> Stored | None:
        """Return the stored release of that name, or None."""
        return next((item for item in self.stored if item.release == release), None)

    @property
    def newest_first(self) -> tuple[Stored, ...]:
        """The stored releases, the one stored last first."""
        return tuple(sorted(self.stored, key=lambda item: item.sequence, reverse=True))


@dataclass(frozen=True)
class Wanted:
    """A release to have (``present``) or not to have.

    ``sha256`` is known when an archive is at hand. ``keep`` is how many releases, at least 1, stay stored.
    """

    release: str
    present: bool = True
    sha256: str | None = None
    activate: str = "if_none"
    keep: int = 5


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


Step = Union[Clean, Store, Activate, Drop]


def parse_wanted(
    release: str, *, present: bool, src: str | None, sha256: str | None, activate: str, keep: int
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
    return Wanted(release, present, sha256, activate, keep)


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


def plan(state: State, wanted: Wanted) -> tuple[Step, ...]:
    """Return the steps to what is wanted, in order. Planning again after they were done gives no steps.

    The current release, the one before it and the one wanted are never dropped to keep the number down.

    Raises:
        ReleaseError: when the release is stored from another archive, is not stored and no archive is given, is in the
            way of a directory that is not a release, or is to be removed while it is current.
    """
    steps: list[Step] = [Clean(path) for path in state.debris]
    if not wanted.present:
        if state.current == wanted.release:
            raise ReleaseError(f"release {wanted.release} is current; activate another release before removing it")
        if state.find(wanted.release):
            steps.append(Drop(wanted.release, "remove"))
        return tuple(steps)
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
    if _is_to_activate(state, wanted):
        steps.append(Activate(wanted.release, state.current))
    then = predict(state, steps)
    protected = {wanted.release, then.current, then.previous}
    surplus = [item.release for item in then.newest_first[wanted.keep :] if item.release not in protected]
    return (*steps, *(Drop(release, "prune") for release in surplus))


def _is_to_activate(state: State, wanted: Wanted) -> bool:
    if wanted.activate == "always":
        return state.current != wanted.release
    return wanted.activate == "if_none" and state.current is None


def predict(state: State, steps: Iterable[Step], now: int = 0) -> State:
    """Return the state after the steps; ``now``, in seconds since the epoch, is when releases get stored."""
    for step in steps:
        if isinstance(step, Clean):
            state = replace(state, debris=tuple(path for path in state.debris if path != step.path))
        elif isinstance(step, Store):
            added = Stored(step.release, step.sha256, step.sequence, now)
            state = replace(state, stored=(*state.stored, added))
        elif isinstance(step, Activate):
            previous = step.previous if step.previous is not None else state.previous
            state = replace(state, current=step.release, previous=previous if previous != step.release else None)
        else:
            left = tuple(item for item in state.stored if item.release != step.release)
            previous = None if state.previous == step.release else state.previous
            state = replace(state, stored=left, previous=previous)
    return state


def describe(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return the steps as plain data: ``action`` and the ``release`` or ``path`` that it is about."""
    described: list[dict[str, Any]] = []
    for step in steps:
        if isinstance(step, Clean):
            described.append({"action": "clean", "path": step.path})
        elif isinstance(step, Drop):
            described.append({"action": step.reason, "release": step.release})
        else:
            action = "store" if isinstance(step, Store) else "activate"
            described.append({"action": action, "release": step.release})
    return described


def summary(state: State) -> str:
    """Return the state as a few lines for a difference: current, previous, and the stored releases, newest first."""
    lines = [f"current: {state.current or '-'}", f"previous: {state.previous or '-'}"]
    lines += [f"stored: {item.release}" for item in state.newest_first]
    return "\n".join(lines) + "\n"


def outcome(root: str, wanted: Wanted, steps: Sequence[Step], after: State) -> str:
    """Return what came of the request, in a sentence that names the application by the last part of ``root``."""
    name = posixpath.basename(root)
    if any(isinstance(step, Activate) for step in steps):
        return f"{name}: {wanted.release} becomes current, after {after.previous or 'no other release'}"
    if any(isinstance(step, Store) for step in steps):
        return f"{name}: {wanted.release} gets stored, {after.current or 'no release'} stays current"
    if not wanted.present:
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
