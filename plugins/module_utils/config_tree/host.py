# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tree on this machine: read, stage, apply as a whole or not at all."""

# System calls by their names, with the flags that matter here, which pathlib does not offer.
# ruff: noqa: PTH101, PTH102, PTH104, PTH105, PTH108, PTH114, PTH115, PTH116, PTH208

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_hex
from shutil import rmtree

from ..accounts import group_id, group_name, unknown_accounts, user_id, user_name
from .model import ABSENT, Attributes, Found, State, Tree, TreeError, parents
from .plan import IMPLICIT_DIRECTORY, MakeDirectory, Remove, SetAttributes, Step, WriteFile

STAGE_PLACEHOLDER = "{stage}"
CHECK_SECONDS = 60

# Leading dot: programs that include a whole directory (nginx, sysctl, systemd, cron) pass over such names.
TEMPORARY = re.compile(r"\.(?P<name>.+)\.slipway-(new|old)-[A-Za-z0-9_]{8}\Z")


def resolve(tree: Tree) -> tuple[Tree, tuple[str, ...]]:
    """Return the tree with numbers as owners replaced by names, and a finding for each user or group not known here."""
    findings: list[str] = []

    def known(path: str, wanted: Attributes) -> Attributes:
        unknown = unknown_accounts(path, wanted.owner, wanted.group)
        findings.extend(unknown)
        if unknown:
            return wanted
        return Attributes(wanted.mode, user_name(user_id(wanted.owner)), group_name(group_id(wanted.group)))

    files = tuple(replace(file, attributes=known(file.dest, file.attributes)) for file in tree.files)
    directories = tuple(replace(item, attributes=known(item.path, item.attributes)) for item in tree.directories)
    return Tree(files, directories, tree.absent), tuple(findings)


def _attributes(status: os.stat_result) -> Attributes:
    return Attributes(stat.S_IMODE(status.st_mode), user_name(status.st_uid), group_name(status.st_gid))


def _read_path(path: str, *, follow: bool, with_content: bool = False) -> Found:
    try:
        status = os.stat(path) if follow else os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Found("link", target=os.readlink(path)) if follow and os.path.islink(path) else ABSENT
    if stat.S_ISLNK(status.st_mode):
        return Found("link", target=os.readlink(path))
    if stat.S_ISDIR(status.st_mode):
        return Found("directory", _attributes(status))
    if not stat.S_ISREG(status.st_mode):
        return Found("other")
    content = None
    if with_content:
        with open(path, "rb") as stream:
            content = stream.read()
    return Found("file", _attributes(status), content)


def read(tree: Tree) -> State:
    """Return the state of every path that the tree names or needs."""
    paths: dict[str, Found] = {}
    for file in tree.files:
        paths[file.dest] = _read_path(file.dest, follow=False, with_content=True)
    for path in tree.absent:
        paths[path] = _read_path(path, follow=False)
    wanted = [directory.path for directory in tree.directories]
    for path in (*wanted, *(parent for item in (*wanted, *(f.dest for f in tree.files)) for parent in parents(item))):
        if path not in paths:
            paths[path] = _read_path(path, follow=True)
    entries = {}
    for directory in tree.directories:
        if directory.purge and paths[directory.path].kind == "directory":
            with os.scandir(directory.path) as scan:
                names = [entry.name for entry in scan if entry.is_symlink() or entry.is_file(follow_symlinks=False)]
            entries[directory.path] = tuple(sorted(names))
            for path in (posixpath.join(directory.path, name) for name in names):
                if path not in paths:
                    paths[path] = _read_path(path, follow=False)
    return State(paths, entries, tuple(_leftovers(tree)))


def _leftovers(tree: Tree) -> Iterator[str]:
    """Yield the temporary files that an interrupted run left beside the files of this tree."""
    names: dict[str, set[str]] = {}
    for path in (*(file.dest for file in tree.files), *tree.absent):
        names.setdefault(posixpath.dirname(path), set()).add(posixpath.basename(path))
    for parent, wanted in names.items():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in sorted(os.listdir(parent)):
                match = TEMPORARY.match(name)
                if match and match["name"] in wanted:
                    yield posixpath.join(parent, name)


def _own(path: str, wanted: Attributes) -> None:
    os.chown(path, user_id(wanted.owner), group_id(wanted.group), follow_symlinks=False)
    # After chown, which clears set-user-id bits.
    os.chmod(path, wanted.mode)


def _write_new(path: str, content: bytes, wanted: Attributes) -> None:
    """Write a file that nobody else can open before it has its owner and mode, and that survives a power cut."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        _own(path, wanted)
        os.fsync(stream.fileno())


def _own_for_stage(wanted: Attributes) -> Attributes:
    """Return ``wanted``, or this process's user and group where the wanted ones cannot be given (yet)."""
    if os.geteuid() == 0 and not unknown_accounts("", wanted.owner, wanted.group):
        return wanted
    return Attributes(wanted.mode, user_name(os.geteuid()), group_name(os.getegid()))


@contextmanager
def staged(tree: Tree, state: State) -> Iterator[str]:
    """Give a private copy of all the tree's files under a temporary root, each at its destination's path.

    Files and directories have the owner and mode that they have (or will have) in place, so a checker may run as
    another user and still sees no more than it will there. Owners that are not users here yet (a dry run on a fresh
    host) are left out.

    Raises:
        TreeError: when the copy cannot be written, for one on a full disk.
    """
    root = tempfile.mkdtemp(prefix="slipway-stage-")
    try:
        try:
            _fill(root, tree, state)
        except OSError as error:
            raise TreeError(f"The files could not be staged below {root}: {error}. Nothing was changed.") from error
        yield root
    finally:
        rmtree(root, ignore_errors=True)


def _fill(root: str, tree: Tree, state: State) -> None:
    # The name cannot be guessed or listed, and everything below has modes of its own.
    os.chmod(root, 0o711)
    wanted = {directory.path: directory.attributes for directory in tree.directories}
    named = (*wanted, *(file.dest for file in tree.files))
    directories = sorted({*wanted, *(parent for path in named for parent in parents(path))}, key=_depth)
    for path in directories:
        os.mkdir(root + path, 0o700)
    for file in tree.files:
        _write_new(root + file.dest, file.content, _own_for_stage(file.attributes))
    for path in reversed(directories):
        _own(root + path, _own_for_stage(wanted.get(path) or state.at(path).attributes or IMPLICIT_DIRECTORY))


def _depth(path: str) -> int:
    return path.count("/")


@dataclass(frozen=True)
class Check:
    """How a checker ended: ``missing`` when its program is not on this host, else whether it accepted the files."""

    program: str
    missing: bool = False
    accepted: bool = False
    output: str = ""


def check(argv: Sequence[str], root: str) -> Check:
    """Run a checker on the files staged below ``root``; in its output they have the names that they get in place.

    A checker that takes more than a minute has not accepted the files.
    """
    words = [word.replace(STAGE_PLACEHOLDER, root) for word in argv]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    try:
        # Clients know no AnsibleModule, whose run_command the rule asks for; nor has that a time limit.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return Check(argv[0], missing=True)
    except subprocess.TimeoutExpired:
        return Check(argv[0], output=f"no answer within {CHECK_SECONDS} seconds")
    except OSError as error:
        return Check(argv[0], output=str(error))
    output = done.stdout.decode("utf-8", "replace").replace(root, "").strip()
    if done.returncode == 0:
        return Check(argv[0], accepted=True, output=output)
    return Check(argv[0], output=output or f"exit status {done.returncode}, without a message")


def _beside(path: str, purpose: str) -> str:
    return posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.slipway-{purpose}-{token_hex(4)}")


def apply(steps: Sequence[Step]) -> None:
    """Do the steps; if one fails, undo those done before it.

    New contents are complete and on disk beside their destinations before the first destination changes, so what
    is left for the second half are renames.

    Raises:
        TreeError: naming the cause, and what could not be undone if anything.
    """
    undo: list[Callable[[], None]] = []
    obsolete: list[str] = []
    try:
        new = _prepare(steps, undo)
        for step in steps:
            if isinstance(step, WriteFile):
                _swap_in(new[step.file.dest], step, undo, obsolete)
            elif isinstance(step, SetAttributes):
                undo.append(partial(_own, step.path, step.before))
                _own(step.path, step.attributes)
            elif isinstance(step, Remove):
                old = _beside(step.path, "old")
                os.rename(step.path, old)
                undo.append(partial(os.replace, old, step.path))
                obsolete.append(old)
        for directory in {posixpath.dirname(path) for path in (*new, *obsolete)}:
            _sync_directory(directory)
    except OSError as error:
        stuck = _undo(undo)
        raise TreeError(
            f"The files could not be put in place: {error}. {stuck or 'Everything is as before.'}"
        ) from error
    except BaseException:
        _undo(undo)
        raise
    for path in obsolete:
        # Everything is in place; what cannot be removed now, the next run removes.
        with contextlib.suppress(OSError):
            os.unlink(path)


def _prepare(steps: Sequence[Step], undo: list[Callable[[], None]]) -> dict[str, str]:
    """Create the directories and write the new contents; return the temporary file of each destination."""
    new: dict[str, str] = {}
    for step in steps:
        if isinstance(step, MakeDirectory):
            os.mkdir(step.path, 0o700)
            undo.append(partial(os.rmdir, step.path))
            _own(step.path, step.attributes)
        elif isinstance(step, WriteFile):
            path = _beside(step.file.dest, "new")
            undo.append(partial(_discard, path))
            _write_new(path, step.file.content, step.file.attributes)
            new[step.file.dest] = path
    return new


def _swap_in(new: str, step: WriteFile, undo: list[Callable[[], None]], obsolete: list[str]) -> None:
    dest = step.file.dest
    if step.before.kind == "absent":
        undo.append(partial(_discard, dest))
    else:
        old = _beside(dest, "old")
        # A second name for the old file: going back needs no disk space, and dest is never missing.
        os.link(dest, old, follow_symlinks=False)
        undo.append(partial(_put_back, old, dest))
        obsolete.append(old)
    os.replace(new, dest)


def _put_back(old: str, dest: str) -> None:
    os.replace(old, dest)
    # Renaming a file to another name of the same file does nothing.
    _discard(old)


def _discard(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _undo(undo: Sequence[Callable[[], None]]) -> str:
    failures = []
    for action in reversed(undo):
        try:
            action()
        except OSError as error:
            failures.append(str(error))
    return f"Going back failed in part: {'; '.join(failures)}" if failures else ""


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
