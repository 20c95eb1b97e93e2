# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page's template is filled, and nothing of the report can leave its place. tests/page opens it in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.page import (
    PLACEHOLDERS,
    BadTemplate,
    embedded,
    page,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.report import merge
from hypothesis import given
from hypothesis import strategies as st

TEMPLATE = (Path(__file__).resolve().parents[5] / "playbooks" / "files" / "verify.html").read_text(encoding="utf-8")
BAD = "</script><!--<script>\u2028\u2029 & @STYLE_HASH@ @REPORT@ \ud800 \x00"


def report(message: str) -> dict[str, Any]:
    return merge(["a"], {"a": {"failed": True, "msg": message}}, "2026-01-01T00:00:00Z")


def inside(html: str) -> str:
    match = re.search(r'<script type="application/json" id="report">(.*?)</script>', html, re.DOTALL)
    assert match
    return match.group(1)


def test_the_report_comes_back_out() -> None:
    given_report = report("plain")
    assert json.loads(inside(page(TEMPLATE, given_report))) == given_report


def test_nothing_ends_the_element_or_is_taken_for_a_placeholder() -> None:
    html = page(TEMPLATE, report(BAD))
    assert html.count("</script>") == TEMPLATE.count("</script>")
    assert not set("<>&\u2028\u2029") & set(inside(html))
    assert "@STYLE_HASH@ @REPORT@" in json.loads(inside(html))["problems"][0]["message"]
    html.encode("utf-8")


def test_the_headline_and_the_problems_are_there_without_a_script() -> None:
    html = page(TEMPLATE, report("<b>bold</b>"))
    assert "<title>failed, score 0: 0 of 1 checks passed on 1 host (1 unknown)</title>" in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "<b>bold" not in html


def test_the_policy_names_the_hashes_of_script_and_style() -> None:
    html = page(TEMPLATE, report(BAD))
    for tag in ("script", "style"):
        text = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert len(text) == 1
        digest = base64.b64encode(hashlib.sha256(text[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in html


def test_the_template_asks_for_nothing_else() -> None:
    without = re.sub(r"http://www\.w3\.org/\S*", "", TEMPLATE)
    assert not re.search(
        r"https?://|//[a-z]|@import|url\(|\bsrc=|innerHTML|insertAdjacent|document\.write|eval\(", without
    )


@pytest.mark.parametrize("gone", [*PLACEHOLDERS, "<script>", "<style>"])
def test_a_template_without_its_places_is_refused(gone: str) -> None:
    with pytest.raises(BadTemplate, match=re.escape(gone)):
        page(TEMPLATE.replace(gone, ""), report("x"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_data_is_json_that_fits_into_html(value: Any) -> None:
    text = embedded(value)
    text.encode("utf-8")
    json.loads(text)
    assert not set("<>&\u2028\u2029") & set(text)
