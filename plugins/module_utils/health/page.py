# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from .report import headline, problem_lines

PLACEHOLDERS = ("@REPORT@", "@HEADLINE@", "@PROBLEMS@", "@SCRIPT_HASH@", "@STYLE_HASH@")
"""What a template has to hold: the report's JSON, its headline and problems as text, and the hashes of the
page's own script and style, the only ones that its Content-Security-Policy lets run."""

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


class BadTemplate(ValueError):
    """The template is not one of this page; the text says what it lacks."""


def page(template: str, report: Mapping[str, Any]) -> str:
    """Fill the template. Raises BadTemplate where it lacks a placeholder, its script or its style."""
    missing = [name for name in PLACEHOLDERS if name not in template]
    script, style = _SCRIPT.search(template), _STYLE.search(template)
    missing += [name for name, found in (("<script>", script), ("<style>", style)) if not found]
    if missing or script is None or style is None:
        raise BadTemplate(f"the template of the page lacks {', '.join(missing)}")
    values = {
        "@REPORT@": embedded(report),
        "@HEADLINE@": html.escape(headline(report)),
        "@PROBLEMS@": html.escape("\n".join(problem_lines(report))),
        "@SCRIPT_HASH@": _hash(script.group(1)),
        "@STYLE_HASH@": _hash(style.group(1)),
    }
    # In one pass, so that a text of the report that looks like a placeholder stays a text.
    return _encodable(re.sub("|".join(PLACEHOLDERS), lambda match: values[match.group()], template))


def embedded(value: Any) -> str:
    """JSON for a script element of HTML: nothing in it can end the element or open a comment."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _encodable(text)


def _encodable(text: str) -> str:
    """Without lone surrogates, which no UTF-8 file can hold."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _plain(value: Any) -> Any:
    """Plain data: what Ansible hands over renders itself on access, and JSON has no NaN."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _hash(text: str) -> str:
    """The hash of an inline script or style, as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
