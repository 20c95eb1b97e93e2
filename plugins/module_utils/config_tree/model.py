# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of a tree of configuration files, what was found, and the checks on the wanted side."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MODE = re.compile(r"[0-7]{3,4}\Z")


class TreeError(ValueError):
    """The wanted tree cannot be had; the message says what is wrong and what form is expected."""


@dataclass(frozen=True)
class Attributes:
    """Owner, group (names, or the number as text where there is no name) and mode (permission bits) of a path."""

    mode: int
    owner: str
    group: str

    def __str__(self) -> str:
        return f"mode {self.mode:04o}, owner {self.owner}, group {self.group}"


@dataclass(frozen=True)
class WantedFile:
    """A regular file with exactly this content. A ``secret`` file's content never leaves the host."""

    dest: str
    content: bytes = field(repr=False)
    attributes: Attributes
    secret: bool = False


@dataclass(frozen=True)
class WantedDirectory:
    """A directory; with ``purge`` the files and links directly in it are exactly those that the tree names."""

    path: str
    attributes: Attributes
    purge: bool = False


@dataclass(frozen=True)
class Tree:
    """Everything wanted. Every path is absolute and normalised; no path is wanted in two ways."""

    files: tuple[WantedFile, ...] = ()
    directories: tuple[WantedDirectory, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What stands at a path. ``kind`` is absent, file, directory, link or other; ``content`` is a file's or None."""

    kind: str
    attributes: Attributes | None = None
    content: bytes | None = field(default=None, repr=False)
    target: str = ""


ABSENT = Found("absent")


@dataclass(frozen=True)
class State:
    """What was found: every path asked for, and the names of files and links directly in each purged directory.

    ``leftovers`` are temporary files that an interrupted run left beside a destination.
    """

    paths: Mapping[str, Found]
    entries: Mapping[str, tuple[str, ...]]
    leftovers: tuple[str, ...] = ()

    def at(self, path: str) -> Found:
        """Return what stands at ``path``; a path that was not read counts as absent."""
        return self.paths.get(path, ABSENT)


def check_path(option: str, value: str) -> str:
    """Return ``value`` if it is an absolute, normalised path other than ``/``.

    Raises:
        TreeError: naming ``option``, the value received and the form expected.
    """
    if not value.startswith("/") or value.startswith("//") or posixpath.normpath(value) != value or value == "/":
        raise TreeError(
            f"{option}: {value!r} is not usable; expected an absolute path without '.', '..', doubled or trailing"
            " slashes, such as /etc/nginx/nginx.conf"
        )
    if "\0" in value or "\n" in value:
        raise TreeError(f"{option}: {value!r} is not usable; a path has no line breaks or null characters")
    return value


def parse_mode(option: str, value: object) -> int:
    """Return the permission bits written in ``value``, an octal number of three or four digits as text.

    Raises:
        TreeError: naming ``option``, the value received and the form expected.
    """
    if not isinstance(value, str) or not MODE.match(value):
        raise TreeError(
            f'{option}: {value!r} is not a file mode; expected quoted octal digits such as "0644"'
            " (without quotes YAML reads 0644 as the number 420)"
        )
    return int(value, 8)


def parents(path: str) -> tuple[str, ...]:
    """Return the directories above ``path``, outermost first, without ``/``."""
    found = []
    while (path := posixpath.dirname(path)) != "/":
        found.append(path)
    return tuple(reversed(found))


def _attributes(option: str, raw: Mapping[str, Any]) -> Attributes:
    for key in ("owner", "group"):
        if not raw[key]:
            raise TreeError(f"{option}.{key}: is empty; expected the name of a {'user' if key == 'owner' else 'group'}")
    return Attributes(parse_mode(f"{option}.mode", raw["mode"]), raw["owner"], raw["group"])


def parse_tree(
    files: Sequence[Mapping[str, Any]], directories: Sequence[Mapping[str, Any]], absent: Sequence[str]
) -> Tree:
    """Return the tree that the options (with their defaults filled in, contents rendered) describe.

    Raises:
        TreeError: with every finding, one a line.
    """
    findings: list[str] = []
    wanted_files: list[WantedFile] = []
    wanted_directories: list[WantedDirectory] = []
    wanted_absent: list[str] = []
    for index, raw in enumerate(files):
        try:
            dest = check_path(f"files[{index}].dest", raw["dest"])
            if raw["content"] is None:
                raise TreeError(f"files[{index}]: no content for {dest}; templates are rendered by the action plugin")
            content = raw["content"].encode("utf-8", "surrogateescape")
            attributes = _attributes(f"files[{index}] ({dest})", raw)
            wanted_files.append(WantedFile(dest, content, attributes, bool(raw["secret"])))
        except TreeError as error:
            findings.append(str(error))
    for index, raw in enumerate(directories):
        try:
            path = check_path(f"directories[{index}].path", raw["path"])
            attributes = _attributes(f"directories[{index}] ({path})", raw)
            wanted_directories.append(WantedDirectory(path, attributes, bool(raw["purge"])))
        except TreeError as error:
            findings.append(str(error))
    for index, path in enumerate(absent):
        try:
            wanted_absent.append(check_path(f"absent[{index}]", path))
        except TreeError as error:
            findings.append(str(error))
    tree = Tree(tuple(wanted_files), tuple(wanted_directories), tuple(wanted_absent))
    findings += _conflicts(tree)
    if findings:
        raise TreeError("\n".join(findings))
    return tree


def _conflicts(tree: Tree) -> list[str]:
    """Return a finding for each path that is wanted in two ways, or below a path that is to be a file or absent."""
    wants = [(file.dest, "files") for file in tree.files]
    wants += [(directory.path, "directories") for directory in tree.directories]
    wants += [(path, "absent") for path in tree.absent]
    role: dict[str, str] = {}
    findings = []
    for path, option in wants:
        if path in role:
            other = f"{role[path]} and {option}" if role[path] != option else option
            findings.append(f"{path} is named twice (in {other}); name each path once")
        role.setdefault(path, option)
    for path, option in wants:
        if option == "absent":
            continue
        for parent in parents(path):
            if role.get(parent) in ("files", "absent"):
                findings.append(f"{path} is below {parent}, which the tree wants as {role[parent]}")
    return findings
