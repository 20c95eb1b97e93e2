# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of an artifact, and what it is called."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.artifact import (
    ArtifactError,
    Request,
    artifact_name,
    check_sum,
    key_of,
    parse_build,
    parse_refs,
    parse_request,
    parse_subdirectory,
    release_of,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import RELEASE_ID

SUM = "a" * 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def request(source: dict[str, Any], **more: Any) -> Request:
    options: dict[str, Any] = {"sha256": None, "build": [], "subdirectory": None, "exclude": [".git"], **more}
    return parse_request(source, **options)


@pytest.mark.parametrize(
    "source",
    [
        {"type": "tarball", "path": "/x.tar.gz"},
        {"type": "directory", "path": "/x"},
        {"type": "git", "repository": "git@example.com:shop.git"},
        {"type": "git", "repository": "https://ana@example.com/shop.git", "ref": "v1"},
        {"type": "npm", "package": "@scope/shop", "version": "^1", "registry": "https://npm.example.com"},
        {"type": "s3", "bucket": "b", "key": "k"},
        {"type": "s3", "bucket": "b", "key": "k", "access_key": "a", "secret_key": "s"},
    ],
)
def test_what_a_type_needs_and_takes(source: dict[str, Any]) -> None:
    # As Ansible gives it: with every option, most of them None.
    taken = request({"bucket": None, "path": None, "ref": None, "profile": None, **source}, sha256=SUM.upper())
    assert {"type": taken.type, **taken.source} == source
    assert taken.sha256 == SUM


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        ({"type": "tarball"}, {}, "source.path: is missing; a source of type tarball needs path"),
        ({"type": "git", "repository": ""}, {}, "source.repository: is missing"),
        ({"type": "s3", "bucket": "b"}, {}, "source.key: is missing; a source of type s3 needs bucket and key"),
        (
            {"type": "npm", "package": "x", "ref": "v1"},
            {},
            "source.ref: does not belong to a source of type npm, which takes package, version, registry",
        ),
        ({"type": "git", "repository": "--upload-pack=x"}, {}, "source.repository: '--upload-pack=x' is not usable"),
        ({"type": "git", "repository": "r", "ref": "-x"}, {}, "source.ref: '-x' is not usable"),
        ({"type": "npm", "package": "x\n"}, {}, "control characters"),
        ({"type": "git", "repository": "https://a:canary@h/r"}, {}, "source.repository: the URL holds a password"),
        ({"type": "s3", "bucket": "b", "key": "k", "access_key": "a"}, {}, "access_key and secret_key belong together"),
        ({"type": "tarball", "path": "/x"}, {"sha256": "abc"}, "sha256: 'abc' is not a checksum"),
        ({"type": "directory", "path": "/x"}, {"subdirectory": "../y"}, "subdirectory: '../y' is not usable"),
        ({"type": "directory", "path": "/x"}, {"exclude": ["a/b"]}, "exclude: 'a/b' is not a name"),
        ({"type": "directory", "path": "/x"}, {"build": ["make"]}, "build: step 1 is 'make'; expected a list of words"),
    ],
)
def test_bad_input_is_refused_by_name(source: dict[str, Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        request(source, **more)
    assert message in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("step", [[], [""], "make", {"a": 1}, [["a"]], None])
def test_a_step_that_is_no_command_is_refused(step: Any) -> None:
    with pytest.raises(ArtifactError, match="build: step 2 is"):
        parse_build([["make", "-j", 2], step])


def test_numbers_in_a_command_are_words() -> None:
    assert parse_build([["make", "-j", 2]]) == (("make", "-j", "2"),)


@pytest.mark.parametrize(
    ("given", "place"), [("", ""), (".", ""), ("dist/", "dist"), ("a/../dist", "dist"), ("..a", "..a")]
)
def test_a_subdirectory_is_inside(given: str, place: str) -> None:
    assert parse_subdirectory(given) == place


@pytest.mark.parametrize("given", ["/", "/etc", "..", "a/../../b"])
def test_a_subdirectory_outside_is_refused(given: str) -> None:
    with pytest.raises(ArtifactError, match="is not usable"):
        parse_subdirectory(given)


def test_the_key_stands_for_the_content_and_how_it_is_built() -> None:
    source = {"type": "directory", "path": "/x"}
    base = key_of(request(source), SUM)
    assert key_of(request({"type": "directory", "path": "/other/place"}), SUM) == base
    others = [
        key_of(request(source), "b" * 64),
        key_of(request(source, build=[["make"]]), SUM),
        key_of(request(source, build=[["make", "x"]]), SUM),
        key_of(request(source, subdirectory="dist"), SUM),
        key_of(request(source, exclude=[]), SUM),
    ]
    assert len({base, *others}) == 6


@pytest.mark.parametrize(
    ("source", "more", "identity", "version", "release"),
    [
        ({"type": "git", "repository": "r"}, {"build": [["make"]]}, COMMIT, None, "0123456789ab"),
        ({"type": "npm", "package": "p"}, {}, SUM, "1.4.0-rc.1+build.5", "1.4.0-rc.1-build.5"),
        ({"type": "npm", "package": "p"}, {}, SUM, "1." + "2" * 99, "1." + "2" * 62),
        ({"type": "s3", "bucket": "b", "key": "k"}, {}, SUM, None, "a" * 12),
        ({"type": "tarball", "path": "/x"}, {}, SUM, None, "a" * 12),
    ],
)
def test_a_release_is_suggested(
    source: dict[str, Any], more: dict[str, Any], identity: str, version: str | None, release: str
) -> None:
    assert release_of(request(source, **more), identity, version) == release
    assert RELEASE_ID.match(release)


def test_a_release_of_a_folder_is_another_when_it_is_built_otherwise() -> None:
    source = {"type": "directory", "path": "/x"}
    plain, built = request(source), request(source, build=[["make"]])
    assert release_of(plain, SUM) != release_of(built, SUM)
    assert RELEASE_ID.match(release_of(built, SUM))


def test_the_name_in_the_cache() -> None:
    taken = request({"type": "s3", "bucket": "b", "key": "a/shop 1.tar.xz"})
    assert artifact_name(taken, SUM, "aaaa") == "aaaa-shop-1.tar.xz"
    built = request({"type": "git", "repository": "r"})
    assert artifact_name(built, COMMIT, "0123") == f"0123-{key_of(built, COMMIT)[:12]}.tar.gz"


def test_git_is_always_left_out_of_a_repository() -> None:
    assert request({"type": "git", "repository": "r"}, exclude=["docs"]).exclude == (".git", "docs")
    assert request({"type": "directory", "path": "/x"}, exclude=["docs"]).exclude == ("docs",)


LISTED = """\
1111\trefs/heads/main
2222\trefs/heads/v1
3333\trefs/tags/v1
4444\trefs/tags/v1^{}
5555\trefs/tags/light
6666\tHEAD
7777\trefs/heads/feature/main
"""


@pytest.mark.parametrize(
    ("ref", "commit"),
    [("v1", "4444"), ("light", "5555"), ("main", "1111"), ("HEAD", "6666"), ("refs/heads/v1", "2222"), ("x", None)],
)
def test_a_reference_is_the_commit_of_a_tag_before_that_of_a_branch(ref: str, commit: str | None) -> None:
    assert parse_refs(LISTED, ref) == commit


def test_a_wrong_checksum_names_both() -> None:
    check_sum("/x", SUM, None)
    check_sum("/x", SUM, SUM)
    with pytest.raises(ArtifactError, match=f"sha256: /x has the SHA-256 checksum {SUM}, but {'b' * 64} was expected"):
        check_sum("/x", SUM, "b" * 64)
