# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of ``config_tree``, declared once for the module and its action plugin."""

from __future__ import annotations

from typing import Any

# `raw` modes: a bare YAML 0644 arrives as the integer 420 and must be refused, not read as text.
ARGUMENT_SPEC: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "dest": {"type": "str", "required": True},
            "template": {"type": "str"},
            "content": {"type": "str"},
            "mode": {"type": "raw", "default": "0644"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "secret": {"type": "bool", "default": False, "no_log": False},
            "vars": {"type": "dict"},
        },
        "mutually_exclusive": [["content", "template"], ["content", "vars"]],
    },
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "mode": {"type": "raw", "default": "0755"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "purge": {"type": "bool", "default": False},
        },
    },
    "absent": {"type": "list", "elements": "str", "default": []},
    "validate": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"argv": {"type": "list", "elements": "str", "required": True}},
    },
}
