# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps from what was found to what is wanted, and how they read to a person."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Union

from .model import Attributes, Found, State, Tree, TreeError, WantedFile, parents

SECRET_CHANGED = "(secret content changed)\n"
IMPLICIT_DIRECTORY = Attributes(0o755, "root", "root")


@dataclass(frozen=True)
class MakeDirectory:
    """Create a directory whose parent is there by then."""

    path: str
    attributes: Attributes


@dataclass(frozen=True)
class SetAttributes:
    """Give a file or directory that is there another mode, owner or group."""

    path: str
    before: Attributes
    attributes: Attributes
    is_directory: bool


@dataclass(frozen=True)
class WriteFile:
    """Put a file in place of what stands at its destination: nothing, a file or a link."""

    file: WantedFile
    before: Found


@dataclass(frozen=True)
class Remove:
    """Remove a file or link."""

    path: str


Step = Union[MakeDirectory, SetAttributes, WriteFile, Remove]


def plan(state: State, tree: Tree) -> tuple[Step, ...]:
    """Return the steps that turn ``state`` into ``tree``, in the order in which they must be done.

    Directories that a file needs and the tree does not name are created with mode 0755, owner and group root.
    Planning again after the steps were done gives no steps.

    Raises:
        TreeError: when something that this module does not replace (a directory, a device) is in the way.
    """
    steps: list[Step] = []
    wanted = {directory.path: directory.attributes for directory in tree.directories}
    needed = {parent for file in tree.files for parent in parents(file.dest)}
    needed |= {parent for path in wanted for parent in parents(path)}
    for path in sorted(needed | set(wanted), key=lambda item: (item.count("/"), item)):
        found = state.at(path)
        if found.kind == "absent":
            steps.append(MakeDirectory(path, wanted.get(path, IMPLICIT_DIRECTORY)))
        elif found.kind != "directory":
            raise TreeError(f"{path} must be a directory, but a {found.kind} is there; move it away first")
        elif path in wanted and found.attributes is not None and found.attributes != wanted[path]:
            steps.append(SetAttributes(path, found.attributes, wanted[path], is_directory=True))
    for file in tree.files:
        found = state.at(file.dest)
        if found.kind in ("directory", "other"):
            kind = "directory" if found.kind == "directory" else "device, socket or pipe"
            raise TreeError(f"{file.dest} must be a file, but a {kind} is there; move it away first")
        if found.kind != "file" or found.content != file.content:
            steps.append(WriteFile(file, found))
        elif found.attributes is not None and found.attributes != file.attributes:
            steps.append(SetAttributes(file.dest, found.attributes, file.attributes, is_directory=False))
    for path in sorted({*tree.absent, *_purged(state, tree), *state.leftovers}):
        found = state.at(path)
        if found.kind in ("directory", "other") and path in tree.absent:
            raise TreeError(f"absent: {path} is not a file or link; this module removes nothing else")
        if found.kind != "absent" or path not in tree.absent:
            steps.append(Remove(path))
    return tuple(steps)


def _purged(state: State, tree: Tree) -> Iterable[str]:
    named = {file.dest for file in tree.files} | {directory.path for directory in tree.directories}
    for directory in tree.directories:
        if directory.purge:
            for name in state.entries.get(directory.path, ()):
                path = posixpath.join(directory.path, name)
                if path not in named:
                    yield path


def changed_files(steps: Iterable[Step]) -> list[str]:
    """Return the files written or given other attributes, in the order of the steps."""
    changed = []
    for step in steps:
        if isinstance(step, WriteFile):
            changed.append(step.file.dest)
        elif isinstance(step, SetAttributes) and not step.is_directory:
            changed.append(step.path)
    return changed


def changed_directories(steps: Iterable[Step]) -> list[str]:
    """Return the directories created or given other attributes, in the order of the steps."""
    return [
        step.path
        for step in steps
        if isinstance(step, MakeDirectory) or (isinstance(step, SetAttributes) and step.is_directory)
    ]


def removed(steps: Iterable[Step]) -> list[str]:
    """Return the paths removed, in the order of the steps."""
    return [step.path for step in steps if isinstance(step, Remove)]


def _text(content: bytes | None) -> str:
    if content is None:
        return ""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return f"(binary content, {len(content)} bytes)\n"


def _entry(path: str, before: str, after: str) -> dict[str, Any]:
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def diff(steps: Iterable[Step], state: State) -> list[dict[str, Any]]:
    """Return Ansible's list of differences, one or two a step. The content of secret files is not in it."""
    entries = []
    for step in steps:
        if isinstance(step, MakeDirectory):
            entries.append(_entry(step.path, "", f"directory, {step.attributes}\n"))
        elif isinstance(step, SetAttributes):
            entries.append(_entry(step.path, f"{step.before}\n", f"{step.attributes}\n"))
        elif isinstance(step, WriteFile):
            entries += _write_entries(step)
        else:
            found = state.at(step.path)
            entries.append(_entry(step.path, f"link to {found.target}\n" if found.kind == "link" else "file\n", ""))
    return entries


def _write_entries(step: WriteFile) -> list[dict[str, Any]]:
    file, found = step.file, step.before
    if file.secret:
        entries = [_entry(file.dest, "", SECRET_CHANGED)]
    else:
        before = f"link to {found.target}\n" if found.kind == "link" else _text(found.content)
        entries = [_entry(file.dest, before, _text(file.content))]
    if found.kind == "file" and found.attributes is not None and found.attributes != file.attributes:
        entries.append(_entry(file.dest, f"{found.attributes}\n", f"{file.attributes}\n"))
    return entries


def mask(text: str, tree: Tree) -> str:
    """Return ``text`` (a checker's output) without anything that stands in the tree's secret files.

    Whole lines, and every word of eight characters or more between separators, are replaced by asterisks.
    """
    hidden: set[str] = set()
    for file in tree.files:
        if file.secret:
            content = file.content.decode("utf-8", "replace")
            hidden |= {line.strip() for line in content.splitlines() if len(line.strip()) >= 4}
            hidden |= {word for word in re.split(r"""[\s"'=:;,@/]+""", content) if len(word) >= 8}
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, "********")
    return text
