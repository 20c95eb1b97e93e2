# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Next steps name their commands between backquotes, by which the page knows what to show and to copy."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.steps import install, journal, log_of, site

CORE = Path(__file__).resolve().parents[5] / "plugins" / "module_utils" / "health"
COMMAND = re.compile(
    r"\b(systemctl|systemd-cg\w+|journalctl|redis-cli|ansible|ansible-playbook|apt-get|curl|psql|ss -|du -"
    r"|df -|ls -|tail -|nft list|chronyc|timedatectl|getent|dig|ping -|chmod|chown|chgrp|rm)\b ?[-\w./{'\"]"
)


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Each text of a program, but docstrings and what a check that cannot look says of its reason."""
    tree = ast.parse(source)
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("CouldNotRun", "Unreachable", "option"):
            left_out.update(node.args[:1] if getattr(node.func, "id", "") != "option" else ())
            left_out.update(keyword.value for keyword in node.keywords if keyword.arg == "about")
    for node in ast.walk(tree):
        if node in left_out:
            left_out.update(ast.walk(node))
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            left_out.update(part for part in node.values if isinstance(part, ast.Constant))
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: path.stem)
def test_commands_stand_between_backquotes(path: Path) -> None:
    bare = [
        f"line {line}: {text}"
        for line, text in texts(path.read_text(encoding="utf-8"))
        if " " in text and (text.count("`") % 2 or COMMAND.search(re.sub(r"`[^`]*`", "", text)))
    ]
    assert bare == []


@pytest.mark.parametrize(
    "text",
    [
        "start it: systemctl start {}",
        "journalctl -u a tells",
        "run ansible-playbook slipway.stack.site",
        "see (ss -ltn)",
        "chmod 0600 {}",
        "du -xh {}",
        "`systemctl start a",
    ],
)
def test_a_bare_command_is_found(text: str) -> None:
    (found,) = [text for _line, text in texts(f"step = {text!r}")]
    assert found.count("`") % 2 or COMMAND.search(found)


def test_commands_are_for_a_shell() -> None:
    assert site() == "`ansible-playbook slipway.stack.site`"
    assert site("tls") == "`ansible-playbook slipway.stack.site --tags tls`"
    assert journal("nginx") == "`journalctl -u nginx -n 50`"
    assert journal("slipway-shop@*", 9) == "`journalctl -u 'slipway-shop@*' -n 9`"
    assert log_of("shop") == "its log (`journalctl -u 'slipway-shop@*' -n 50` on its hosts)"
    assert log_of("") == "the log of the program"
    assert install("python3-redis") == "install it on this host: `apt-get install python3-redis`"
