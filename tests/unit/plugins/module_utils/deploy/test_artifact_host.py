# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Artifacts from real sources on this machine: folders, archives, a local repository; npm and S3 are played."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy import artifact_host as host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.artifact import ArtifactError, parse_request
from ansible_collections.slipway.stack.plugins.module_utils.deploy.content import file_sha256, pack

Make = Callable[..., host.Made]
SECONDS = 30


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make(cache: Path) -> Make:
    def run(source: Mapping[str, Any], *, check_mode: bool = False, seconds: int = SECONDS, **more: Any) -> host.Made:
        options: dict[str, Any] = {"sha256": None, "build": [], "subdirectory": None, "exclude": [".git"], **more}
        return host.make(parse_request(source, **options), str(cache), seconds, check_mode)

    return run


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.js").write_text("main")
    (folder / "package.json").write_text('{"name": "shop", "version": "1.4.0"}')
    return folder


def names(path: str) -> list[str]:
    with tarfile.open(path) as tar:
        return sorted(tar.getnames())


def kept(cache: Path) -> list[str]:
    """What the cache has, apart from its lock."""
    return sorted(path.name for path in cache.iterdir() if path.name != ".artifacts.lock") if cache.is_dir() else []


def test_a_tarball_is_used_where_it_is(tmp_path: Path, program: Path, cache: Path, make: Make) -> None:
    archive = tmp_path / "shop.tar.gz"
    pack(program, archive)
    found = file_sha256(archive)
    source = {"type": "tarball", "path": str(archive)}
    assert make(source, sha256=found) == make(source) == host.Made(str(archive), found, found[:12], False)
    with pytest.raises(ArtifactError, match=f"{found}, but {'0' * 64} was expected"):
        make(source, sha256="0" * 64)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        ("tarball", "gone", "gone does not exist on this machine"),
        ("tarball", "program", "program is no file on this machine"),
        ("directory", "gone", "gone does not exist on this machine"),
        ("directory", "program/package.json", "package.json is no directory on this machine"),
    ],
)
def test_a_source_that_is_not_there_is_named(
    tmp_path: Path, program: Path, make: Make, kind: str, path: str, message: str
) -> None:
    with pytest.raises(ArtifactError, match="source.path: .*" + message):
        make({"type": kind, "path": str(tmp_path / path)})


def test_a_folder_is_packed_once(program: Path, cache: Path, make: Make) -> None:
    source = {"type": "directory", "path": str(program)}
    foreseen = make(source, check_mode=True)
    assert not cache.exists()
    made = make(source)
    assert (foreseen.path, foreseen.release, foreseen.changed, foreseen.sha256) == (made.path, made.release, True, None)
    assert made.changed
    assert made.sha256 == file_sha256(Path(made.path))
    assert names(made.path) == ["package.json", "src", "src/main.js"]
    again = make(source, sha256=made.sha256)
    assert again == host.Made(made.path, made.sha256, made.release, False)
    assert make(source, check_mode=True) == again
    (program / "src" / "main.js").write_text("other")
    assert make(source).release != made.release
    assert len(kept(cache)) == 2


def test_a_build_runs_once_in_a_copy(program: Path, cache: Path, make: Make) -> None:
    count = cache.parent / "count"
    (program / ".git").mkdir()
    source = {"type": "directory", "path": str(program)}
    build = [
        ["sh", "-c", "mkdir dist && cat src/main.js src/main.js > dist/out.js && ls -A > dist/list"],
        ["sh", "-c", f"echo x >> {count}; echo to standard error >&2"],
    ]
    made = make(source, build=build, subdirectory="dist")
    assert names(made.path) == ["list", "out.js"]
    assert not make(source, build=build, subdirectory="dist").changed
    assert count.read_text() == "x\n"
    assert sorted(path.name for path in program.iterdir()) == [".git", "package.json", "src"]
    with tarfile.open(made.path) as tar:
        listed = tar.extractfile("list")
        assert listed is not None
        assert listed.read() == b"dist\npackage.json\nsrc\n"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        ([["true"], ["sh", "-c", "seq 50; echo wrong >&2; exit 3"]], "build: step 2 .*exit code 3:\n(.*\n)+wrong$"),
        ([["slipway-no-such-program", "x"]], "build: step 1 .slipway-no-such-program x.: cannot be run: No such file"),
        ([["sleep", "60"]], "build: step 1 .sleep 60.: did not end within timeout_seconds=1"),
        (
            [["sh", "-c", "mkdir other"]],
            "subdirectory: 'dist' is no directory there after the build, which has other, pack",
        ),
        ([["sh", "-c", "mkdir dist && ln -s /etc dist/out"]], "'out' is a link to '/etc', outside the release"),
    ],
)
def test_a_build_that_fails_leaves_nothing(
    program: Path, cache: Path, make: Make, build: list[list[str]], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        make({"type": "directory", "path": str(program)}, build=build, subdirectory="dist", seconds=1)
    assert len(str(caught.value).splitlines()) <= 21
    assert kept(cache) == []


def test_a_wrong_checksum_of_what_was_packed_leaves_nothing(program: Path, cache: Path, make: Make) -> None:
    with pytest.raises(ArtifactError, match=f"but {'0' * 64} was expected"):
        make({"type": "directory", "path": str(program)}, sha256="0" * 64)
    assert kept(cache) == []


def test_a_folder_that_changes_meanwhile_is_not_kept(program: Path, cache: Path, make: Make) -> None:
    build = [["sh", "-c", f"echo more >> {program}/src/main.js"]]
    with pytest.raises(ArtifactError, match="was changed while it was packed; run again"):
        make({"type": "directory", "path": str(program)}, build=build)
    assert kept(cache) == []


def test_what_a_killed_run_left_goes(program: Path, cache: Path, make: Make) -> None:
    (cache / ".artifact-abc" / "source").mkdir(parents=True)
    made = make({"type": "directory", "path": str(program)})
    assert kept(cache) == [Path(made.path).name]


def test_a_second_run_waits_and_uses_what_the_first_made(program: Path, cache: Path, make: Make) -> None:
    count = cache.parent / "count"
    build = [["sh", "-c", f"echo x >> {count}; sleep 0.5"]]
    made: list[host.Made] = []
    runs = [
        threading.Thread(target=lambda: made.append(make({"type": "directory", "path": str(program)}, build=build)))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(one.changed for one in made) == [False, True]
    assert count.read_text() == "x\n"


def test_a_tarball_is_built_from(tmp_path: Path, program: Path, make: Make) -> None:
    archive = tmp_path / "shop.tar.gz"
    pack(program, archive)
    made = make({"type": "tarball", "path": str(archive)}, subdirectory="src")
    assert names(made.path) == ["main.js"]
    archive.write_bytes(b"no archive")
    with pytest.raises(ArtifactError, match="is not a whole tar archive"):
        make({"type": "tarball", "path": str(archive)}, subdirectory="src")


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., str]:
    """Run git in a repository of its own, with a branch main, a tag v1 and a newer commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
    environment = {**os.environ, **identity, "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}
    environment["GIT_CONFIG_GLOBAL"] = environment["GIT_CONFIG_SYSTEM"] = os.devnull

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q", "-b", "main")
    for number in (1, 2):
        (folder / "file").write_text(f"{number}\n")
        git("add", "file")
        git("commit", "-q", "-m", f"number {number}")
        if number == 1:
            git("tag", "-a", "-m", "first", "v1")
    return git


def content(made: host.Made) -> bytes:
    with tarfile.open(made.path) as tar:
        stream = tar.extractfile("file")
        assert stream is not None
        return stream.read()


def test_a_commit_is_packed_by_any_of_its_names(
    tmp_path: Path, repository: Callable[..., str], cache: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    source = {"type": "git", "repository": str(tmp_path / "repository")}
    first, second = repository("rev-parse", "v1^{commit}"), repository("rev-parse", "main")
    made = make(source)
    assert (made.release, made.changed, content(made)) == (second[:12], True, b"2\n")
    assert names(made.path) == ["file"]
    assert make({**source, "ref": "main"}) == host.Made(made.path, made.sha256, made.release, False)
    tagged = make({**source, "ref": "v1"})
    assert (tagged.release, content(tagged)) == (first[:12], b"1\n")
    for ref in (first, first[:8], "refs/tags/v1"):
        assert make({**source, "ref": ref}) == host.Made(tagged.path, tagged.sha256, tagged.release, False)
    assert len(kept(cache)) == 2


def test_a_build_finds_the_repository_as_a_checkout(tmp_path: Path, repository: Callable[..., str], make: Make) -> None:
    source = {"type": "git", "repository": str(tmp_path / "repository"), "ref": "v1"}
    made = make(source, build=[["sh", "-c", "git rev-parse HEAD > file"]])
    assert content(made).decode().strip() == repository("rev-parse", "v1^{commit}")


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("v9", "source.ref: 'v9' is no tag, branch or commit of .*repository, which has main, v1; correct it"),
        ("abcdef1234", "source.ref: 'abcdef1234' is no commit of"),
        ("0" * 40, f"source.ref: '{'0' * 40}' is no commit of"),
    ],
)
def test_a_reference_that_is_not_there_is_named(
    tmp_path: Path, repository: Callable[..., str], cache: Path, make: Make, ref: str, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        make({"type": "git", "repository": str(tmp_path / "repository"), "ref": ref})
    assert kept(cache) == []


def test_a_repository_that_is_not_there_is_named(tmp_path: Path, make: Make) -> None:
    with pytest.raises(
        ArtifactError, match=r"source: git repository .*gone .git ls-remote .*failed with exit code 128"
    ):
        make({"type": "git", "repository": str(tmp_path / "gone")})


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that packs what is in a folder beside it, and notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/calls\n'
        f'[ -d {tmp_path}/package ] || {{ echo "npm error code E404" >&2; exit 1; }}\n'
        f'cd {tmp_path} && tar -czf "$7/shop-1.4.0.tgz" package\n'
        'echo \'[{"name": "shop", "version": "1.4.0+5", "filename": "shop-1.4.0.tgz"}]\'\n'
    )
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path / "calls"


def test_a_package_of_npm_is_packed_without_its_folder(tmp_path: Path, npm: Path, make: Make) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "index.js").write_text("x")
    source = {"type": "npm", "package": "shop", "version": "^1", "registry": "https://npm.example.com"}
    made = make(source)
    assert (made.release, made.changed, names(made.path)) == ("1.4.0-5", True, ["index.js"])
    assert not make(source).changed
    called = npm.read_text().splitlines()[0]
    assert called.startswith("pack shop@^1 --json --ignore-scripts")
    assert called.endswith("--registry https://npm.example.com")


def test_a_package_that_npm_does_not_find_is_named(npm: Path, cache: Path, make: Make) -> None:
    with pytest.raises(ArtifactError, match=r"source: npm package shop@9 .*exit code 1:\nnpm error code E404"):
        make({"type": "npm", "package": "shop", "version": "9"})
    assert kept(cache) == []


@pytest.fixture
def bucket(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """An object, as if it were in S3, and the calls for it."""
    calls: list[Any] = []
    pack(program, tmp_path / "object")

    def download(source: Mapping[str, str], target: Path) -> None:
        calls.append(dict(source))
        target.write_bytes((tmp_path / "object").read_bytes())

    monkeypatch.setattr(host.artifact_s3, "download", download)
    return calls


def test_an_object_is_kept_as_it_is(tmp_path: Path, bucket: list[Any], cache: Path, make: Make) -> None:
    source = {"type": "s3", "bucket": "releases", "key": "shop/1.4.0.tar.gz"}
    found = file_sha256(tmp_path / "object")
    made = make(source, sha256=found)
    assert made == host.Made(str(cache / f"{found[:12]}-1.4.0.tar.gz"), found, found[:12], True)
    assert not make(source, sha256=found).changed
    assert len(bucket) == 1
    # Without a checksum nobody knows what is there now.
    assert not make(source).changed
    assert len(bucket) == 2
    assert names(make(source, subdirectory="src").path) == ["main.js"]


def test_an_object_with_another_checksum_is_not_kept(bucket: list[Any], cache: Path, make: Make) -> None:
    with pytest.raises(ArtifactError, match="s3://releases/shop has the SHA-256 checksum"):
        make({"type": "s3", "bucket": "releases", "key": "shop"}, sha256="0" * 64)
    assert kept(cache) == []


def test_a_password_in_what_a_program_says_is_masked(program: Path, make: Make) -> None:
    with pytest.raises(ArtifactError) as caught:
        make(
            {"type": "directory", "path": str(program)},
            build=[["sh", "-c", "printf 'cannot reach https://ana:%s@example.com' can''ary; exit 1"]],
        )
    assert "https://ana:***@example.com" in str(caught.value)
    assert "canary@" not in str(caught.value)


def test_nothing_asks_at_a_terminal(program: Path, make: Make) -> None:
    began = time.monotonic()
    made = make(
        {"type": "directory", "path": str(program)},
        build=[["sh", "-c", "cat; env > out"]],
        subdirectory="",
    )
    assert time.monotonic() - began < SECONDS
    with tarfile.open(made.path) as tar:
        out = tar.extractfile("out")
        assert out is not None
        said = out.read().decode()
    assert "GIT_TERMINAL_PROMPT=0" in said
    assert json.dumps(said).count("GIT_SSH_COMMAND") == 1
