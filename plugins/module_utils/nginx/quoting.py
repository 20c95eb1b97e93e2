# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values in nginx's configuration, where they must not end the directive that they are in."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    r"""(?P<nothing>\s+|\#[^\n]*)
    |(?P<mark>[;{}])
    |(?P<word>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?!["'])(?:\\.|\$\{\w+\}|[^\s;{\\])+)""",
    re.DOTALL | re.VERBOSE,
)


def quotable(value: Any) -> bool:
    """Whether a value can stand in quotes: printable ASCII without ``$``, which nginx cannot escape."""
    return isinstance(value, str) and "$" not in value and all(" " <= character <= "~" for character in value)


def quoted(value: str) -> str:
    """Return a value as a quoted string of nginx's configuration.

    Raises:
        ValueError: when it cannot be one (see ``quotable``).
    """
    if not quotable(value):
        raise ValueError(f"{value!r} cannot be a string of nginx")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def snippet(value: Any) -> bool:
    """Whether raw directives stay within the block that they are put in: braces, quotes and the last one are closed."""
    if not isinstance(value, str):
        return False
    if "_by_lua_block" in value:
        # Lua has quotes and comments of its own: nginx tells when it tests the file.
        return True
    depth, ended, position = 0, True, 0
    while position < len(value):
        token = _TOKEN.match(value, position)
        if token is None:
            return False
        position = token.end()
        if token.lastgroup == "mark":
            depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth < 0 or (token.group() == "}" and not ended):
            return False
        ended = token.lastgroup == "mark" or (token.lastgroup == "nothing" and ended)
    return depth == 0 and ended
