# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An application's environment: judged before anything is touched, and written as systemd reads it.

Values may be secrets, so no message in this file ever contains one: a finding names the key and
says how long the value is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Keys that sign or encrypt sessions and tokens. 32 characters is what the guides ask of NEXTAUTH_SECRET.
SIGNING_KEYS = frozenset(
    {
        "AUTH_SECRET",
        "COOKIE_SECRET",
        "ENCRYPTION_KEY",
        "JWT_SECRET",
        "NEXTAUTH_SECRET",
        "SECRET_KEY",
        "SECRET_KEY_BASE",
        "SESSION_SECRET",
    }
)
SIGNING_KEY_MIN_LENGTH = 32

# Linux refuses a single environment string longer than this (MAX_ARG_STRLEN, 32 pages of 4 KiB).
MAX_VALUE_BYTES = 131_072

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"change[-_ ]?me|^your[-_ ]|^<.*>$|replace[-_ ]?(me|this)", re.IGNORECASE)
# systemd drops a variable whose value has a control character other than tab and newline (env_value_is_valid).
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_UNIT_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "%": "%%", "$": "$$"}


class EnvironmentProblem(ValueError):
    """A variable that cannot be written into an environment file or a unit; the message names it."""


@dataclass(frozen=True)
class Requirement:
    """A key that must be there, with at least ``min_length`` characters (1 or more)."""

    name: str
    min_length: int = 1

    @classmethod
    def parse(cls, raw: object) -> Requirement:
        """Read ``NAME`` or ``{name: NAME, min_length: N}``; EnvironmentProblem for anything else."""
        form = "a name, or {name: NAME, min_length: NUMBER}"
        if isinstance(raw, str):
            raw = {"name": raw}
        if not isinstance(raw, Mapping) or not set(raw) <= {"name", "min_length"} or "name" not in raw:
            raise EnvironmentProblem(f"a required key is {form}; got {raw!r}")
        name, length = str(raw["name"]), raw.get("min_length", 1)
        if not _KEY.fullmatch(name):
            raise EnvironmentProblem(f"a required key is {form}; {name!r} is no name of a variable")
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise EnvironmentProblem(f"min_length of {name} is a number from 1; got {length!r}")
        return cls(name, length)


def as_text(key: str, value: object) -> str:
    """The value as a program sees it; booleans as ``true`` and ``false``.

    EnvironmentProblem for a value that is no scalar, or that systemd or the kernel would drop.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise EnvironmentProblem(
            f"{key} must be a text, a number or a boolean, not {'nothing' if value is None else type(value).__name__};"
            " write lists and dictionaries as JSON text"
        )
    text = str(value)
    if _CONTROL.search(text):
        raise EnvironmentProblem(
            f"{key} has a control character other than tab and newline, which systemd drops; encode it (base64)"
        )
    if len(text.encode()) + len(key) + 2 > MAX_VALUE_BYTES:
        raise EnvironmentProblem(f"{key} is longer than the {MAX_VALUE_BYTES} bytes that Linux accepts; use a file")
    return text


def environment_file(variables: Mapping[str, object]) -> str:
    """The text of a systemd ``EnvironmentFile=``, sorted by key, any value quoted so that it arrives unchanged.

    Inside double quotes systemd takes everything literally, newlines included, but for a backslash
    before one of ``"``, ``\\``, ```` ` ```` and ``$`` (src/basic/env-file.c). EnvironmentProblem for
    a key or value that cannot be written.
    """
    lines = []
    for key in sorted(variables):
        if not _KEY.fullmatch(key):
            raise EnvironmentProblem(f"{key!r} is no name of a variable: letters, digits and _, no digit first")
        quoted = re.sub(r'(["\\`$])', r"\\\1", as_text(key, variables[key]))
        lines.append(f'{key}="{quoted}"\n')
    return "".join(lines)


_ASSIGNMENT = re.compile(
    r"^[ \t]*(?:[#;].*|(?P<key>[A-Za-z_][A-Za-z0-9_]*)="
    r"""(?:"(?P<double>(?:[^"\\]|\\[\s\S])*)"|'(?P<single>[^']*)'|(?P<bare>.*)))""",
    re.MULTILINE,
)


def parse_environment(text: str) -> dict[str, str]:
    """The variables of a systemd ``EnvironmentFile=``: those that ``environment_file`` writes, and what people write.

    Comments and lines that assign nothing are passed over, as systemd does (man systemd.exec, EnvironmentFile=).
    """
    found = {}
    for match in _ASSIGNMENT.finditer(text):
        if match["key"] is None:
            continue
        if match["double"] is not None:
            found[match["key"]] = re.sub(r'\\(["\\`$\n])', lambda m: "" if m[1] == "\n" else m[1], match["double"])
        else:
            found[match["key"]] = match["single"] if match["single"] is not None else match["bare"].strip()
    return found


def unit_command(argv: Sequence[object], directory: str) -> str:
    """An ``ExecStart=`` value that runs ``argv`` exactly, a relative program being one of ``directory``.

    A program without any slash is left to systemd's search path. EnvironmentProblem for an empty list.
    """
    if not argv or not str(argv[0]):
        raise EnvironmentProblem("the command is a list: the program, then its arguments; got an empty one")
    program, *arguments = (str(part) for part in argv)
    if "/" in program and not program.startswith("/"):
        program = f"{directory.rstrip('/')}/{program[2:] if program.startswith('./') else program}"
    return " ".join(_quote_for_unit(part) for part in (program, *arguments))


def _quote_for_unit(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_@%:,./=+-]+", text):
        return text.replace("%", "%%")
    return '"' + "".join(_UNIT_ESCAPES.get(character, character) for character in text) + '"'


def node_options(existing: str, memory_limit_mb: int, heap_ratio: float) -> str:
    """NODE_OPTIONS with V8's old space held below the unit's memory limit.

    The rest of the limit (MiB) is for buffers, stacks and code, which live outside that heap; a heap
    as large as the limit would end in a loop of out-of-memory kills. A size given already is kept.
    """
    if "max-old-space-size" in existing or "max_old_space_size" in existing:
        return existing
    return f"{existing} --max-old-space-size={int(memory_limit_mb * heap_ratio)}".strip()


def findings(
    variables: Mapping[str, object],
    required: Iterable[Any] = (),
    one_of: Iterable[Iterable[str]] = (),
    managed: Iterable[str] = (),
) -> tuple[str, ...]:
    """Everything wrong with an environment, one sentence each, without any value in it.

    ``required`` holds names or ``{name, min_length}``; of each group of ``one_of`` at least one key
    must have a value; ``managed`` are keys that the unit sets itself.
    """
    found = []
    texts = {}
    for key in sorted(variables):
        try:
            environment_file({key: variables[key]})
            texts[key] = as_text(key, variables[key])
        except EnvironmentProblem as problem:
            found.append(str(problem))
    reserved = sorted(set(managed) & set(variables))
    found.extend(f"{key} is set by the unit of each instance; remove it" for key in reserved)

    minimum = dict.fromkeys(SIGNING_KEYS & set(texts), SIGNING_KEY_MIN_LENGTH)
    for raw in required:
        try:
            requirement = Requirement.parse(raw)
        except EnvironmentProblem as problem:
            found.append(str(problem))
            continue
        name = requirement.name
        if name not in variables:
            found.append(f"{name} is required and missing; add it (secrets: from the vault)")
            continue
        minimum[name] = requirement.min_length if requirement.min_length > 1 else minimum.get(name, 1)

    for name in sorted(set(minimum) & set(texts)):
        value = texts[name]
        if len(value) < minimum[name]:
            found.append(
                f"{name} must have at least {minimum[name]} characters; it has {len(value)} (value hidden);"
                " make one with: openssl rand -base64 48"
            )
        elif _PLACEHOLDER.search(value):
            found.append(f"{name} still holds a placeholder (value hidden); make one with: openssl rand -base64 48")

    for group in one_of:
        names = [str(name) for name in group]
        if not any(texts.get(name) for name in names):
            found.append(f"one of {', '.join(names)} must be set; none is")
    return tuple(found)
