# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make an artifact on this machine: get the source, build it in a copy, pack it, keep it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import state_file
from . import artifact_s3
from .artifact import (
    COMMIT,
    SHORT_COMMIT,
    ArtifactError,
    Request,
    artifact_name,
    check_sum,
    parse_refs,
    release_of,
)
from .content import content_sha256, file_sha256, pack
from .release import ReleaseError
from .release_host import Placing, unpack

SCRATCH_PREFIX = ".artifact-"
OUTPUT_LINES = 20
# What a caller such as a hook of git sets would send git to another repository.
GIT_LEFT_OUT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
# What stops a program from asking at a terminal that nobody sees.
QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", "npm_config_update_notifier": "false"}
_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")


@dataclass(frozen=True)
class Made:
    """An artifact: where it is, its checksum (None while only foreseen), the release it suggests, and if it is new."""

    path: str
    sha256: str | None
    release: str
    changed: bool


@dataclass(frozen=True)
class Fetched:
    """A source at hand: what stands for its content, npm's version, and the folder or archive where it is.

    Both are None when it was not fetched, since the artifact may be there already.
    """

    identity: str
    version: str | None = None
    tree: Path | None = None
    archive: Path | None = None


def make(request: Request, directory: str, timeout_seconds: int, check_mode: bool) -> Made:
    """Return the artifact, which is made unless it is in the cache ``directory``. In check mode nothing is kept.

    Each command may take ``timeout_seconds``. A failure leaves nothing.

    Raises:
        ArtifactError: naming the option, what was found and what to do.
        OSError: as for a full disk.
    """
    if request.type == "tarball" and request.as_it_is:
        return _given(request)
    try:
        with _workshop(directory, timeout_seconds, check_mode) as scratch:
            return _Maker(request, Path(directory), scratch, timeout_seconds).make(check_mode)
    except ReleaseError as error:
        raise ArtifactError(str(error)) from error


def _given(request: Request) -> Made:
    path = _existing(request.source["path"], "file")
    found = file_sha256(path)
    check_sum(str(path), found, request.sha256)
    return Made(str(path), found, release_of(request, found), False)


def _existing(path: str, kind: str) -> Path:
    found = Path(os.path.abspath(path))  # noqa: PTH100 (a link stays one)
    if not (found.is_dir() if kind == "directory" else found.is_file()):
        what = f"is no {kind}" if found.exists() else "does not exist"
        raise ArtifactError(f"source.path: {found} {what} on this machine; correct the path, or build it first")
    return found


@contextmanager
def _workshop(directory: str, timeout_seconds: int, check_mode: bool) -> Iterator[Path]:
    """Give a folder to work in, of which nothing is left; one run at a time works in a cache."""
    if check_mode:
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as scratch:
            yield Path(scratch)
        return
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # A killed run may have left its program at work: it ends first, and what it made is used.
        with state_file.locked(str(folder / "artifacts"), timeout_seconds=timeout_seconds):
            for left in folder.glob(f"{SCRATCH_PREFIX}*"):
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=folder) as scratch:
                yield Path(scratch)
    except state_file.StateFileError as error:
        raise ArtifactError(f"directory: {error}") from error


class _Maker:
    """The making of one artifact in the folder ``scratch``."""

    def __init__(self, request: Request, directory: Path, scratch: Path, timeout_seconds: int) -> None:
        self.request = request
        self.source = request.source
        self.directory = directory
        self.scratch = scratch
        self.timeout_seconds = timeout_seconds

    def make(self, check_mode: bool) -> Made:
        fetched = self.fetch()
        release = release_of(self.request, fetched.identity, fetched.version)
        target = self.directory / artifact_name(self.request, fetched.identity, release)
        if target.is_file():
            return self.cached(target, release)
        if check_mode:
            return Made(str(target), self.request.sha256, release, True)
        finished = fetched.archive if self.request.as_it_is else self.pack(fetched)
        if finished is None:
            raise ArtifactError(f"source: nothing came of {self.request.type}")
        found = file_sha256(finished)
        if not self.request.as_it_is:
            check_sum(f"the artifact of {self.request.type}", found, self.request.sha256)
        finished.chmod(0o644)
        finished.replace(target)
        return Made(str(target), found, release, True)

    def cached(self, target: Path, release: str) -> Made:
        found = file_sha256(target)
        check_sum(str(target), found, self.request.sha256)
        return Made(str(target), found, release, False)

    def fetch(self) -> Fetched:
        fetchers = {
            "tarball": self.tarball,
            "directory": self.folder,
            "git": self.git,
            "npm": self.npm,
            "s3": self.s3,
        }
        return fetchers[self.request.type]()

    def pack(self, fetched: Fetched) -> Path:
        """Build in a copy, and pack what of it is wanted."""
        tree = fetched.tree if fetched.tree is not None else self.unpacked(fetched.archive)
        copy = tree
        if self.request.type == "directory" and self.request.build:
            copy = self.scratch / "source"
            left_out = set(self.request.exclude)
            shutil.copytree(tree, copy, symlinks=True, ignore=lambda _, names: left_out.intersection(names))
        for number, command in enumerate(self.request.build, 1):
            self.run(command, copy, f"build: step {number}")
        top = copy / self.request.subdirectory
        if not top.is_dir():
            have = ", ".join(sorted(path.name for path in copy.iterdir())) or "nothing"
            raise ArtifactError(
                f"subdirectory: {self.request.subdirectory!r} is no directory there"
                f"{' after the build' if self.request.build else ''}, which has {have}; correct the name, or the build"
            )
        finished = self.scratch / "artifact.tar.gz"
        pack(top, finished, self.request.exclude)
        if self.request.type == "directory" and content_sha256(tree, self.request.exclude) != fetched.identity:
            raise ArtifactError(f"source.path: {tree} was changed while it was packed; run again")
        return finished

    def unpacked(self, archive: Path | None) -> Path:
        if archive is None:
            raise ArtifactError(f"source: nothing came of {self.request.type}")
        folder = self.scratch / "unpacked"
        folder.mkdir()
        with archive.open("rb") as stream:
            unpack(stream, str(folder), Placing(os.geteuid(), os.getegid()))
        found = list(folder.iterdir())
        # npm packs everything below one directory, which is mostly called package.
        return found[0] if self.request.type == "npm" and len(found) == 1 and found[0].is_dir() else folder

    def tarball(self) -> Fetched:
        path = _existing(self.source["path"], "file")
        found = file_sha256(path)
        return Fetched(found, archive=path)

    def folder(self) -> Fetched:
        path = _existing(self.source["path"], "directory")
        return Fetched(content_sha256(path, self.request.exclude), tree=path)

    def s3(self) -> Fetched:
        wanted = self.request.sha256
        if wanted is not None and self.request.as_it_is:
            release = release_of(self.request, wanted)
            if (self.directory / artifact_name(self.request, wanted, release)).is_file():
                return Fetched(wanted)
        archive = self.scratch / "download"
        artifact_s3.download(self.source, archive)
        found = file_sha256(archive)
        if self.request.as_it_is:
            check_sum(f"s3://{self.source['bucket']}/{self.source['key']}", found, wanted)
        return Fetched(found, archive=archive)

    def npm(self) -> Fetched:
        package, version = self.source["package"], self.source.get("version")
        spec = package if version is None else f"{package}@{version}"
        folder = self.scratch / "npm"
        folder.mkdir()
        command = [
            "npm",
            "pack",
            spec,
            "--json",
            "--ignore-scripts",
            "--loglevel=error",
            "--pack-destination",
            str(folder),
        ]
        if self.source.get("registry"):
            command += ["--registry", self.source["registry"]]
        output = self.run(command, self.scratch, f"source: npm package {spec}")
        archives = list(folder.glob("*.tgz"))
        try:
            described = json.loads(output[output.index("[") :])[0]
            found = str(described["version"])
        except (ValueError, LookupError, TypeError) as error:
            raise ArtifactError(f"source: npm pack {spec} did not say what it packed: {output[:200]!r}") from error
        if len(archives) != 1:
            raise ArtifactError(f"source: npm pack {spec} left {len(archives)} archives; expected one")
        return Fetched(file_sha256(archives[0]), found, archive=archives[0])

    def git(self) -> Fetched:
        ref = self.source.get("ref", "HEAD")
        commit = self.resolve(ref)
        tree = self.scratch / "git"
        if commit is not None:
            release = release_of(self.request, commit)
            if (self.directory / artifact_name(self.request, commit, release)).is_file():
                return Fetched(commit)
        self.in_git(["init", "--quiet", str(tree)], self.scratch)
        if commit is None or not self.fetched_alone(tree, commit):
            everything = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
            self.in_git(["fetch", "--quiet", "--update-head-ok", "--", self.source["repository"], *everything], tree)
        wanted = commit or ref
        try:
            self.in_git(["checkout", "--quiet", "--force", "--detach", f"{wanted}^{{commit}}"], tree)
        except ArtifactError as error:
            raise ArtifactError(
                f"source.ref: {ref!r} is no commit of {self.source['repository']}; correct it, or push it there"
            ) from error
        return Fetched(self.in_git(["rev-parse", "HEAD"], tree).strip(), tree=tree)

    def fetched_alone(self, tree: Path, commit: str) -> bool:
        """Fetch a commit without its history, which some servers refuse."""
        try:
            self.in_git(["fetch", "--quiet", "--depth", "1", "--", self.source["repository"], commit], tree)
        except ArtifactError:
            return False
        return True

    def resolve(self, ref: str) -> str | None:
        """Return the commit of a tag or branch; None when only the repository as a whole can tell."""
        repository = self.source["repository"]
        places = [f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}", ref]
        commit = parse_refs(self.in_git(["ls-remote", "--", repository, *places], self.scratch), ref)
        if commit is not None or SHORT_COMMIT.match(ref):
            return commit
        if COMMIT.match(ref):
            return ref
        listed = self.in_git(["ls-remote", "--heads", "--tags", "--refs", "--", repository], self.scratch)
        names = [line.split("\t")[1].split("/", 2)[2] for line in listed.splitlines()]
        some = ", ".join(names[-10:]) or "none"
        raise ArtifactError(
            f"source.ref: {ref!r} is no tag, branch or commit of {repository}, which has {some}; correct it, or push it"
        )

    def in_git(self, arguments: Sequence[str], folder: Path) -> str:
        return self.run(["git", *arguments], folder, f"source: git repository {self.source['repository']}")

    def run(self, command: Sequence[str], folder: Path, what: str) -> str:
        """Run a command and return its output.

        Raises:
            ArtifactError: with its last lines, when it fails or takes too long.
        """
        shown = " ".join(command)
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
            except OSError as error:
                raise ArtifactError(
                    f"{what} ({shown}): cannot be run: {error.strerror}: {command[0]}; install it on this machine, or"
                    " correct the command"
                ) from error
            try:
                output = process.communicate(timeout=self.timeout_seconds)[0].decode("utf-8", "replace")
            except BaseException as error:
                # With all that it started.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise ArtifactError(
                        f"{what} ({shown}): did not end within timeout_seconds={self.timeout_seconds}; see why it"
                        " hangs, or give it longer"
                    ) from error
                raise
            errors.seek(0)
            said = output + errors.read().decode("utf-8", "replace")
        if process.returncode != 0:
            last = "\n".join(_PASSWORD.sub(r"\1***@", said).strip().splitlines()[-OUTPUT_LINES:])
            raise ArtifactError(f"{what} ({shown}): failed with exit code {process.returncode}:\n{last}")
        return output


def _environment() -> Mapping[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in GIT_LEFT_OUT}
    if not {"GIT_SSH", "GIT_SSH_COMMAND"} & set(environment):
        environment["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    return {**environment, **QUIET}
