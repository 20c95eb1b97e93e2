# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused in an application's environment, and that what is accepted arrives unchanged."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.app import environment
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\n"))


def read_as_systemd_does(text: str) -> dict[str, str]:
    """The double-quoted part of systemd's parse_env_file()."""
    found, position = {}, 0
    while position < len(text):
        key, _, rest = text[position:].partition('="')
        value, index = "", 0
        while rest[index] != '"':
            if rest[index] == "\\" and rest[index + 1] in '"\\`$':
                index += 1
            elif rest[index] == "\\":
                raise AssertionError("a backslash that systemd would treat otherwise")
            value += rest[index]
            index += 1
        found[key] = value
        assert rest[index + 1] == "\n"
        position += len(key) + 2 + index + 2
    return found


@given(VALUES)
def test_any_value_arrives_unchanged(value: str) -> None:
    assert read_as_systemd_does(environment.environment_file({"KEY": value})) == {"KEY": value}


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), VALUES, max_size=4))
def test_what_is_written_is_read_again(variables: dict[str, str]) -> None:
    assert environment.parse_environment(environment.environment_file(variables)) == variables


def test_what_people_write_is_read_as_systemd_does() -> None:
    text = '# A=1\n; B=2\n\n  C=plain words  \nD=\'single "quoted"\'\nE="two\nF=3"\nno assignment\nG=\nH="a\\\nb"\n'
    assert environment.parse_environment(text) == {
        "C": "plain words",
        "D": 'single "quoted"',
        "E": "two\nF=3",
        "G": "",
        "H": "ab",
    }


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain", 'K="plain"\n'),
        ("", 'K=""\n'),
        ('a"$%{{`\\', 'K="a\\"\\$%{{\\`\\\\"\n'),
        ("two\nlines", 'K="two\nlines"\n'),
        (True, 'K="true"\n'),
        (8080, 'K="8080"\n'),
    ],
)
def test_environment_file(value: object, line: str) -> None:
    assert environment.environment_file({"K": value}) == line


def test_environment_file_is_sorted() -> None:
    assert environment.environment_file({"B": 1, "A": 2}) == 'A="2"\nB="1"\n'


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("K", None, "K must be a text, a number or a boolean, not nothing"),
        ("K", ["topsecret"], "K must be a text, a number or a boolean, not list"),
        ("K", "topsecret\r", "K has a control character"),
        ("K", "topsecret" * 20000, "K is longer than"),
        ("1K", "topsecret", "'1K' is no name of a variable"),
        ("A B", "topsecret", "'A B' is no name of a variable"),
    ],
)
def test_refused_without_the_value(key: str, value: object, message: str) -> None:
    with pytest.raises(environment.EnvironmentProblem, match=message) as problem:
        environment.environment_file({key: value})
    assert "topsecret" not in str(problem.value)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/usr/bin/node", "server.js"], "/usr/bin/node server.js"),
        (["bin/start"], "/srv/x/current/bin/start"),
        (["./start"], "/srv/x/current/start"),
        (["node", "server.js"], "node server.js"),
        (["/bin/p", "a b", "100%", "$HOME", 'q"\\', ";"], '/bin/p "a b" 100%% "$$HOME" "q\\"\\\\" ";"'),
        (["/bin/p", ""], '/bin/p ""'),
        (["/bin/p", "two\nlines"], '/bin/p "two\\nlines"'),
    ],
)
def test_unit_command(argv: list[str], command: str) -> None:
    assert environment.unit_command(argv, "/srv/x/current") == command


def test_unit_command_needs_a_program() -> None:
    with pytest.raises(environment.EnvironmentProblem, match="got an empty one"):
        environment.unit_command([], "/srv/x/current")


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ("", "--max-old-space-size=1536"),
        ("--enable-source-maps", "--enable-source-maps --max-old-space-size=1536"),
        ("--max-old-space-size=512", "--max-old-space-size=512"),
        ("--max_old_space_size=512", "--max_old_space_size=512"),
    ],
)
def test_node_options(existing: str, expected: str) -> None:
    assert environment.node_options(existing, 2048, 0.75) == expected


STRONG = "k7" * 20


@pytest.mark.parametrize(
    ("variables", "required", "one_of", "expected"),
    [
        ({}, [], [], []),
        ({"SESSION_SECRET": STRONG}, ["SESSION_SECRET"], [], []),
        ({}, ["SESSION_SECRET"], [], ["SESSION_SECRET is required and missing"]),
        ({"API_KEY": ""}, ["API_KEY"], [], ["API_KEY must have at least 1 characters; it has 0"]),
        ({"NEXTAUTH_SECRET": "short"}, [], [], ["NEXTAUTH_SECRET must have at least 32 characters; it has 5"]),
        ({"JWT_SECRET": "x" * 20}, [{"name": "JWT_SECRET", "min_length": 16}], [], []),
        ({"TOKEN": "x" * 20}, [{"name": "TOKEN", "min_length": 40}], [], ["TOKEN must have at least 40"]),
        ({"SESSION_SECRET": "changeme" * 5}, [], [], ["SESSION_SECRET still holds a placeholder"]),
        ({"A": "1"}, [], [["A", "B"]], []),
        ({"A": ""}, [], [["A", "B"]], ["one of A, B must be set; none is"]),
        ({"PORT": "80"}, [], [], ["PORT is set by the unit of each instance"]),
        ({"A-B": "1"}, [], [], ["'A-B' is no name of a variable"]),
        ({}, [{"name": "A", "length": 3}], [], ["a required key is a name, or"]),
        ({}, [{"name": "A", "min_length": 0}], [], ["min_length of A is a number from 1"]),
    ],
)
def test_findings(variables: dict, required: list, one_of: list, expected: list) -> None:
    found = environment.findings(variables, required, one_of, ["PORT"])
    assert len(found) == len(expected)
    for finding, beginning in zip(found, expected):
        assert finding.startswith(beginning)


@given(st.text("abcdefghij", min_size=6, max_size=31))
def test_a_finding_never_holds_the_value(value: str) -> None:
    (finding,) = environment.findings({"SESSION_SECRET": value})
    assert value not in finding
