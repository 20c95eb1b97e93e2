"""Build the example programs once, on the controller, into artefacts that hosts only unpack.

For each program: ``build/artifacts/NAME-RELEASE.tar.gz`` and ``build/artifacts/NAME.json`` with
``{name, release, sha256, path}``. The release is a hash of the sources unless given. The same
sources make the same bytes: entries are sorted, and carry no time, owner or umask. What is up to
date is not built again.

``--fault`` makes a broken release of sample_app instead, for tests of deploys. What it is goes to
``build/artifacts/sample_app-RELEASE.json`` only, so no inventory takes it for the one to run.

Usage: python examples/build.py [--release ID] [--output FOLDER] [--fault FAULT | NAME...]
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
PROGRAMS = ("sample_app", "sample_worker")
# The program that a fault breaks, and what it is started with: a fault takes its place, and starts it if it likes.
# A fault in SQL comes last among the migrations.
BROKEN, START, PROGRAM, LAST_MIGRATION = "sample_app", "server.js", "program.js", "migrations/9999_fault.sql"
FAULTS = {
    "exits": "ends at once",
    "never_ready": "runs, and says that it is not ready",
    "answers_500": "says that it is ready, and answers 500 to everything else",
    "hangs_on_sigterm": "never answers whether it is ready, and never ends when told to",
    "never_stops": "serves well, and never ends when told to",
    "migration_fails": "serves well, but its migration fails",
    "drops_column": "serves well, but its migration, which should only add, drops a column",
    "breaks_on_HOST": "ends at once on the host HOST, and serves well everywhere else",
}
# Not part of a program that runs: tests, and what a development machine leaves behind.
LEFT_OUT = {"node_modules", "test", "__pycache__"}
# Of one apt-get call, and of npm.
INSTALL_SECONDS = 900
NPM_SECONDS = 600
RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class BuildError(Exception):
    """The build cannot go on; the message says what to do."""


def files_below(folder: Path, left_out: set[str]) -> Iterator[Path]:
    """Files and links below a folder, sorted by their path."""
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if not left_out.intersection(path.relative_to(folder).parts) and (path.is_symlink() or path.is_file()):
            yield path


def content_hash(folder: Path) -> str:
    """Twelve characters that stand for the names and contents of a program's sources."""
    digest = hashlib.sha256()
    for path in files_below(folder, LEFT_OUT):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def require_npm() -> str:
    """The path of npm, which is installed where that is possible."""
    npm = shutil.which("npm")
    if npm:
        return npm
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        raise BuildError("npm is needed to build sample_app and is not here; install Node.js 18 or newer with npm")
    print("npm is not here: installing nodejs and npm with apt-get", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt_get = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
    for command in ([*apt_get, "update"], [*apt_get, "install", "-y", "--no-install-recommends", "nodejs", "npm"]):
        try:
            subprocess.run(command, check=True, env=environment, stdout=sys.stderr, timeout=INSTALL_SECONDS)
        except subprocess.SubprocessError as error:
            raise BuildError(f"npm cannot be installed: {error}") from error
    npm = shutil.which("npm")
    if not npm:
        raise BuildError("apt-get installed nodejs and npm, but npm is not on the search path")
    return npm


def install_dependencies(folder: Path) -> None:
    """The locked dependencies of a Node program, without those for development."""
    command = [require_npm(), "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, timeout=NPM_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"npm ci did not end within {NPM_SECONDS} s: is its registry within reach?") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"npm ci failed; run it in a copy of {folder.name} to see why") from error
    # npm's own note of what it installed, different from version to version.
    (folder / "node_modules" / ".package-lock.json").unlink(missing_ok=True)


def pack(folder: Path, target: Path) -> None:
    """A tarball of a folder that depends on nothing but names, contents and which files may be executed."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in files_below(folder, set()):
            entry = archive.gettarinfo(path, path.relative_to(folder).as_posix())
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = 0
            entry.mode = 0o755 if entry.mode & 0o100 else 0o644
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fault_source(fault: str) -> tuple[str, str]:
    """The file of a release that a fault brings, and what is in it; BuildError for an unknown fault."""
    name, breaks_on, host = fault.partition("breaks_on_")
    if breaks_on and not name and host:
        return START, (EXAMPLES / "faults" / "breaks_on.js").read_text().replace("'@HOST@'", json.dumps(host))
    if fault not in FAULTS or breaks_on:
        raise BuildError(f"no fault {fault}; there are {', '.join(FAULTS)}")
    sql = EXAMPLES / "faults" / f"{fault}.sql"
    return (LAST_MIGRATION, sql.read_text()) if sql.is_file() else (START, sql.with_suffix(".js").read_text())


def build(name: str, output: Path, release: str, fault: str = "") -> dict[str, str]:
    """Build one program unless its artefact is there; returns what its JSON file says."""
    source = EXAMPLES / name
    brought, broken = fault_source(fault) if fault else ("", "")
    sources = content_hash(source)
    if fault:
        sources = hashlib.sha256(f"{sources}\0{broken}".encode()).hexdigest()[:12]
    release = release or sources
    artifact = output / f"{name}-{release}.tar.gz"
    # Says which sources an artefact of a given release was made of.
    made_of = output / f"{name}-{release}.sources"
    if not (artifact.is_file() and made_of.is_file() and made_of.read_text() == sources):
        with tempfile.TemporaryDirectory(dir=output, prefix=f".{name}-") as scratch:
            copy = Path(scratch) / name
            shutil.copytree(source, copy, ignore=lambda _, names: LEFT_OUT.intersection(names))
            if brought == START:
                (copy / START).rename(copy / PROGRAM)
            if fault:
                (copy / brought).write_text(broken)
            if (copy / "package-lock.json").is_file():
                install_dependencies(copy)
            finished = Path(scratch) / artifact.name
            pack(copy, finished)
            finished.replace(artifact)
        made_of.write_text(sources)
    result = {"name": name, "release": release, "sha256": sha256_of(artifact), "path": str(artifact)}
    for file in (f"{name}-{release}.json", *([] if fault else [f"{name}.json"])):
        (output / file).write_text(json.dumps(result, indent=2) + "\n")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Build the example programs into artefacts.",
        epilog="faults:\n" + "\n".join(f"  {fault:18} {what}" for fault, what in FAULTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"programs to build (default: {' '.join(PROGRAMS)})")
    parser.add_argument("--release", default="", help="release id (default: a hash of the sources)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "artifacts", help="folder of the artefacts")
    parser.add_argument("--fault", default="", help=f"make a broken release of {BROKEN} (see below)")
    arguments = parser.parse_args()
    try:
        unknown = sorted(set(arguments.names) - set(PROGRAMS))
        if unknown:
            raise BuildError(f"no program {', '.join(unknown)}; there are {', '.join(PROGRAMS)}")
        if arguments.release and not RELEASE.fullmatch(arguments.release):
            raise BuildError(
                f"a release is 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit;"
                f" got {arguments.release!r}"
            )
        if arguments.fault and arguments.names not in ([], [BROKEN]):
            raise BuildError(f"--fault breaks {BROKEN} only; got {' '.join(arguments.names)}")
        output = arguments.output.resolve()
        output.mkdir(parents=True, exist_ok=True)
        for name in [BROKEN] if arguments.fault else arguments.names or PROGRAMS:
            result = build(name, output, arguments.release, arguments.fault)
            print(result["name"], result["release"], result["sha256"], result["path"])
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
