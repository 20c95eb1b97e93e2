# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the options of config_tree may say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.model import (
    TreeError,
    check_path,
    parents,
    parse_mode,
    parse_tree,
)


def file(dest: str, **more: Any) -> dict[str, Any]:
    return {"dest": dest, "content": "x", "mode": "0644", "owner": "root", "group": "root", "secret": False, **more}


def directory(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "mode": "0755", "owner": "root", "group": "root", "purge": False, **more}


@pytest.mark.parametrize("path", ["/etc/x", "/a", "/etc/name with spaces/x.conf", "/etc/x@.service"])
def test_a_normal_absolute_path_is_taken(path: str) -> None:
    assert check_path("dest", path) == path


@pytest.mark.parametrize(
    "path", ["", "/", "x", "./x", "/etc/../x", "/etc/./x", "//etc/x", "/etc//x", "/etc/x/", "/a\nb"]
)
def test_any_other_path_is_refused_by_name(path: str) -> None:
    with pytest.raises(TreeError, match=r"dest: ") as caught:
        check_path("dest", path)
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize(("text", "mode"), [("0644", 0o644), ("644", 0o644), ("0600", 0o600), ("2755", 0o2755)])
def test_quoted_octal_digits_are_a_mode(text: str, mode: int) -> None:
    assert parse_mode("mode", text) == mode


@pytest.mark.parametrize("value", [0o644, "u=rw", "", "0888", "00644", "64", None, "0644\n"])
def test_anything_else_is_not_a_mode(value: object) -> None:
    with pytest.raises(TreeError, match=r"mode: .* is not a file mode"):
        parse_mode("mode", value)


def test_parents_are_given_outermost_first() -> None:
    assert parents("/a/b/c") == ("/a", "/a/b")
    assert parents("/a") == ()


def test_every_finding_is_reported_at_once() -> None:
    with pytest.raises(TreeError) as caught:
        parse_tree([file("x"), file("/y", mode=420)], [directory("/z", owner="")], ["../gone"])
    message = str(caught.value)
    for part in ("files[0].dest", "files[1] (/y).mode: 420", "directories[0] (/z).owner", "absent[0]"):
        assert part in message


@pytest.mark.parametrize(
    ("files", "directories", "absent", "finding"),
    [
        ([file("/a"), file("/a")], [], [], "/a is named twice (in files)"),
        ([file("/a")], [directory("/a")], [], "/a is named twice (in files and directories)"),
        ([file("/a")], [], ["/a"], "/a is named twice (in files and absent)"),
        ([file("/a"), file("/a/b")], [], [], "/a/b is below /a, which the tree wants as files"),
        ([file("/a/b/c")], [], ["/a"], "/a/b/c is below /a, which the tree wants as absent"),
    ],
)
def test_a_path_is_wanted_in_one_way(files: Any, directories: Any, absent: Any, finding: str) -> None:
    with pytest.raises(TreeError) as caught:
        parse_tree(files, directories, absent)
    assert finding in str(caught.value)


def test_an_unrendered_template_is_refused() -> None:
    with pytest.raises(TreeError, match="rendered by the action plugin"):
        parse_tree([file("/a", content=None)], [], [])


def test_text_that_is_not_ascii_is_utf_8() -> None:
    assert parse_tree([file("/a", content="grüß ☂\n")], [], []).files[0].content == "grüß ☂\n".encode()
