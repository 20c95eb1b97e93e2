# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page of `verify`, in a real browser: it shows what the report says, and nothing else happens."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.page import reports
from tests.page.browser import Tab
from tests.page.render import NAMES

Show = Callable[..., Tab]


def text(tab: Tab, selector: str) -> str:
    """The text of the first element that fits, as it is in the document."""
    return str(tab.run(f"document.querySelector({selector!r})?.textContent ?? ''"))


def count(tab: Tab, selector: str) -> int:
    return int(tab.run(f"document.querySelectorAll({selector!r}).length"))


@pytest.mark.parametrize("name", ["healthy", "degraded", "failed", "big"])
def test_it_shows_what_the_report_says(show: Show, name: str) -> None:
    report = getattr(reports, name)()
    tab = show(name)
    assert text(tab, "#verdict h1").lower() == report["verdict"]
    assert tab.run("document.title").startswith(f"{report['verdict']}, score {report['score']}")
    assert tab.run("document.querySelector('.ring').getAttribute('aria-label')") == f"Score {report['score']} of 100"
    assert count(tab, "#map .host") == len(report["hosts"])
    total = sum(len(part["results"]) for part in report["hosts"].values())
    assert f"{total} checks" in text(tab, "#checks")
    assert count(tab, "#checks tbody tr") == min(total, 200)
    assert count(tab, "#problems .problem") == min(len(report["problems"]), 10)
    shown = tab.run("[...document.querySelectorAll('.problem')].map((one) => one.textContent)")
    for problem, words in zip(report["problems"], shown):
        assert problem["host"] in words
        assert problem["message"].replace("`", "") in words
        assert problem["next_step"].replace("`", "") in words


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_width_scrolls_sideways(show: Show, name: str, width: int) -> None:
    tab = show(name, width)
    assert tab.run("document.documentElement.scrollWidth") <= width
    outside = (
        "[...document.querySelectorAll('main *')].filter((one) => !one.closest('svg, .unseen, thead, nav, .label')"
        " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 200))"
    )
    assert tab.run(outside) == []


def test_hostile_texts_stay_texts(show: Show) -> None:
    tab = show("hostile")
    assert "owned" not in tab.run("document.title.slice(0, 20)")
    assert tab.run("document.title") != "owned"
    assert count(tab, "img") == 0
    assert count(tab, "script") == 2
    assert "onerror" in text(tab, "#problems")
    assert count(tab, "#map .host") == 3
    for opener in ("#problems .problem > .btn", "#map .host > button", "#map .chip", "#audit summary"):
        tab.click(opener)
        tab.until("document.querySelector('dialog[open], details[open]') !== null")
        assert count(tab, "img") == 0
        tab.run("document.querySelector('dialog').close()")


def test_a_click_opens_the_evidence_and_escape_closes_it(show: Show) -> None:
    tab = show("failed")
    tab.click("#problems li:nth-child(3) > .btn")
    tab.until("document.querySelector('dialog').open")
    said = text(tab, "dialog")
    for words in ("failed", "slipway-shop@3000", "oom-kill", "Seen", "Wanted", "Took"):
        assert words.lower() in said.lower()
    assert tab.run("location.hash.startsWith('#check=')")
    tab.key("Escape", 27)
    tab.until("!document.querySelector('dialog').open")
    tab.until("location.hash === ''")


def test_a_host_and_a_part_of_the_map_open(show: Show) -> None:
    tab = show("failed")
    tab.click("#map .host.lost > button")
    tab.until("document.querySelector('dialog').open")
    assert text(tab, "#evidence-title") == "data1"
    assert "cannot be reached" in text(tab, "dialog")
    tab.run("document.querySelector('dialog').close()")
    tab.click("#map .chip.is-critical")
    tab.until("document.querySelector('dialog').open")
    assert text(tab, "#evidence-title") == "shop on app1"
    assert count(tab, "dialog details") == 6
    assert count(tab, "dialog details[open]") == 2


def test_an_unreachable_host_is_unmistakable(show: Show) -> None:
    tab = show("failed")
    assert count(tab, "#map .host.lost") == 1
    assert "cannot be reached" in text(tab, "#map .host.lost")
    assert text(tab, "#problems .what").startswith("data1: host")
    assert "nothing was heard from data1" in text(tab, "#verdict")
    assert count(tab, "#map path.broken") == 2


@pytest.mark.parametrize(
    ("fragment", "title"),
    [
        ({"check": "app1/shop 3000 ready"}, "shop 3000 ready"),
        ({"host": "app2"}, "app2"),
        ({"part": "edge1/nginx"}, "nginx on edge1"),
    ],
)
def test_deep_links_open_their_evidence(show: Show, fragment: dict[str, str], title: str) -> None:
    tab = show("failed", **fragment)
    assert tab.run("document.querySelector('dialog').open")
    assert text(tab, "#evidence-title") == title


def test_a_deep_link_to_nothing_says_so(show: Show) -> None:
    tab = show("failed", check="app9/none")
    assert not tab.run("document.querySelector('dialog').open")
    assert "app9/none is not in this report" in text(tab, "#live")


def test_names_that_need_quoting_and_names_given_twice_have_addresses(show: Show) -> None:
    assert text(show("hostile", check="__proto__/a/b#c&check=d"), "#evidence-title") == "a/b#c&check=d"
    tab = show("hostile", check=f"{reports.HOSTILE}/twice (2)")
    assert "warning" in text(tab, "dialog header")


def test_the_table_filters_and_sorts(show: Show) -> None:
    tab = show("failed", state="critical,unknown")
    assert count(tab, "#checks tbody tr") == 5
    tab.run("document.querySelector('#checks input').focus()")
    tab.call("Input.insertText", text="shop ready")
    assert count(tab, "#checks tbody tr") == 1
    tab.click("#checks .tools > button:last-child")
    assert count(tab, "#checks tbody tr") == 47
    tab.click("#checks th:last-child button")
    cells = "[...document.querySelectorAll('#checks tbody td:last-child')]"
    times = tab.run(f"{cells}.map((one) => parseFloat(one.textContent) || 0)")
    assert times == sorted(times, reverse=True)
    assert tab.run("document.querySelector('#checks th:last-child').getAttribute('aria-sort')") == "descending"
    choice = "document.querySelector('#checks select')"
    tab.run(f"{choice}.value = 'data2'; {choice}.dispatchEvent(new Event('change'))")
    assert count(tab, "#checks tbody tr") == 4


def test_times_are_on_one_scale_with_their_levels(show: Show) -> None:
    tab = show("degraded")
    parts = (
        "one.querySelector('.value').firstChild.data",
        "parseFloat(one.querySelector('i').style.width)",
        "parseFloat(one.querySelector('u').style.left)",
        "one.className",
    )
    rows = "[...document.querySelectorAll('.times li:not(.head)')]"
    bars = tab.run(f"{rows}.map((one) => [{', '.join(parts)}])")
    assert len(bars) == 12
    assert bars[0][0] == "1312 ms"
    assert bars[0][1] > bars[0][2]
    assert bars[0][3] == "is-warning"
    assert len({level for label, width, level, state in bars}) == 1
    assert all(width < level for label, width, level, state in bars[1:])
    assert count(tab, ".times .spark") == 12


def test_the_checklists(show: Show) -> None:
    tab = show("healthy")
    assert count(tab, "#audit .item") == 58
    assert count(tab, "#audit .guide") == 5
    assert "S3  CRM with websockets" in text(tab, "#audit")
    assert count(tab, "#audit .guide[open]") == 1
    assert "of 58 items are checked automatically" in text(tab, "#audit")
    assert count(show("degraded"), "#audit") == 0


def test_light_and_dark(show: Show) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    tab = show("healthy", scheme="dark")
    dark = tab.run(colour)
    tab.click("#theme")
    light = tab.run(colour)
    assert light != dark
    assert tab.run(f"matchMedia('print').matches || {colour}") == light
    tab.run("localStorage.clear()")
    assert show("healthy", scheme="light").run(colour) == light


def test_the_keyboard_reaches_the_evidence(show: Show) -> None:
    tab = show("healthy")
    tab.run("document.querySelector('#checks tbody .name').focus()")
    tab.key("Enter", 13)
    tab.until("document.querySelector('dialog').open")
    assert tab.run("document.activeElement.id") == "evidence-title"
    tab.key("Escape", 27)
    tab.until("!document.querySelector('dialog').open")
    assert tab.run("document.activeElement.className") == "name"


def test_what_is_pressed_has_a_name(show: Show) -> None:
    tab = show("failed")
    nameless = (
        "[...document.querySelectorAll('button')].filter((one) => !(one.ariaLabel || one.textContent).trim()).length"
    )
    assert tab.run(nameless) == 0
    assert tab.run("new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size") == count(tab, "[id]")


def test_the_next_step_is_copied(show: Show) -> None:
    tab = show("failed")
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.click("#problems li:nth-child(2) .step .btn")
    tab.until("document.querySelector('#live').textContent === 'Copied'")
    assert tab.run("navigator.clipboard.readText()") == "systemctl start slipway-shop@3000"


def test_print_shows_all_and_no_controls(show: Show) -> None:
    tab = show("big", media="print")
    tab.run("dispatchEvent(new Event('beforeprint'))")
    assert count(tab, "#checks tbody tr") > 1900
    assert tab.run("[...document.querySelectorAll('.btn')].every((one) => one.getClientRects().length === 0)")


def test_without_javascript_the_verdict_and_the_problems_are_there(show: Show, tab: Tab) -> None:
    tab.scripting(False)
    try:
        show("failed")
        # The page's own script is off; the document is read from outside.
        root = tab.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
        found = tab.call("DOM.querySelector", nodeId=root, selector="noscript")["nodeId"]
        words = tab.call("DOM.getOuterHTML", nodeId=found)["outerHTML"]
        assert "failed, score" in words
        assert "data1: critical: host" in words
        assert tab.call("DOM.querySelector", nodeId=root, selector="noscript h1")["nodeId"]
    finally:
        tab.scripting(True)


def test_a_report_of_fifty_hosts_is_quick(show: Show, pages: dict[str, str], tab: Tab) -> None:
    started = time.monotonic()
    show("big")
    # Seconds, on a slow machine; it takes less than one on a fast one.
    assert time.monotonic() - started < 10
    tab.click("#problems .more")
    assert count(tab, "#problems .problem") == len(reports.big()["problems"])
    tab.click("#checks button.more")
    assert count(tab, "#checks tbody tr") == 400


@pytest.mark.parametrize("name", NAMES)
def test_the_policy_is_strict(show: Show, name: str) -> None:
    tab = show(name)
    policy = tab.run("document.querySelector('meta[http-equiv]').content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
