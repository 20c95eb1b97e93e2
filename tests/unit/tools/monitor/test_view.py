# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the monitor shows is a function of what it knows, and fits the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitor.text import Style, clean, clip, width_of
from monitor.view import CHANGES, Change, View, changes, render

PLAIN = Style(colour=False)
COLOUR = Style(colour=True)


def result(name: str, status: str = "ok", part: str = "shop", kind: str = "http") -> dict[str, Any]:
    return {"name": name, "status": status, "part": part, "type": kind}


def report(**hosts: list[dict[str, Any]]) -> dict[str, Any]:
    """A report as `status` writes it, as far as the monitor reads it."""
    everything = [(host, one) for host, own in hosts.items() for one in own]
    bad = [(host, one) for host, one in everything if one["status"] != "ok"]
    return {
        "verdict": "failed" if bad else "healthy",
        "score": 50 if bad else 100,
        "counts": {"ok": len(everything) - len(bad), "critical": len(bad), "warning": 0, "unknown": 0},
        "hosts": {host: {"score": 100, "results": own} for host, own in hosts.items()},
        "problems": [
            {"host": host, "name": one["name"], "status": one["status"], "message": f"{one['name']} is wrong",
             "next_step": f"repair `{one['name']}`"}
            for host, one in bad
        ],
    }  # fmt: skip


FINE = report(edge1=[result("nginx", part="nginx")], app1=[result("a"), result("b"), result("disk", part="host")])
BROKEN = report(
    edge1=[result("nginx", part="nginx")],
    app1=[result("disk", part="host"), result("a", "critical"), result("b")],
    data1=[result("host", "critical", "connection", "connection")],
)


def shown(view: View, width: int = 100, height: int | None = 30, style: Style = PLAIN) -> str:
    return "\n".join(render(view, width, height, style))


def test_a_healthy_stack() -> None:
    lines = render(View(FINE, 12.4, [100, 50, 100]), 100, 24, PLAIN)
    assert lines[0].startswith("✓ HEALTHY 100  █▄█  4 of 4 checks passed on 2 hosts")
    assert lines[0].endswith("12 s old")
    assert "✓ app1  100  ✓ shop 2  ✓ host 1" in lines
    assert lines[-1].startswith("q quit")
    assert "problem" not in "".join(lines)


def test_problems_come_with_their_next_step_and_worst_hosts_first() -> None:
    text = shown(View(BROKEN, 1, [50]))
    lines = text.splitlines()
    assert lines[2].startswith("✗ app1")
    assert lines[2].index("✗ shop 1/2") < lines[2].index("✓ host 1")
    assert "✗ data1 100  CANNOT BE REACHED" in text
    assert "2 problems" in text
    assert "✗ app1: a: a is wrong" in text
    assert "→ repair `a`" in text


def test_before_the_first_report() -> None:
    assert "first look" in shown(View(running=True))
    assert "NO REPORT YET" in shown(View(running=True))


def test_a_failed_playbook_is_said_with_its_message_and_the_last_report_stays() -> None:
    text = shown(View(FINE, 130, [100], trouble="it failed with status 4:\nno such inventory"))
    assert "No new report" in text
    assert "no such inventory" in text
    assert "HEALTHY" in text
    assert "2 min old" in text


def test_paused_and_running_are_seen() -> None:
    assert "PAUSED" in shown(View(FINE, 1, paused=True))
    assert "1 s old, looking" in shown(View(FINE, 1, running=True))


def test_what_changed() -> None:
    found = changes(FINE, BROKEN, "12:00:00")
    assert [(one.sign, one.status) for one in found] == [("+", "critical"), ("+", "critical")]
    assert found[0].text == "app1: a: a is wrong"
    back = changes(BROKEN, FINE, "12:01:00")
    assert {one.text for one in back} == {"app1: a: gone", "data1: host: gone"}
    assert changes(None, BROKEN, "") == []
    worse = report(app1=[result("a", "warning")])
    assert changes(worse, report(app1=[result("a", "critical")]), "")[0].text == "app1: a: warning became critical"
    assert "12:00:00 + app1: a: a is wrong" in shown(View(BROKEN, 1, changes=found))


def test_a_silent_host_does_not_solve_its_problems() -> None:
    before = report(app1=[result("a", "critical")])
    silent = report(app1=[result("host", "critical", "connection", "connection")])
    assert [one.text for one in changes(before, silent, "")] == [
        "app1: host: host is wrong",
        "app1: a: no longer known, the host is silent",
    ]


def many() -> dict[str, Any]:
    hosts = {
        f"host-{number:02}": [result(f"check {one}", part=f"part {one}") for one in range(9)] for number in range(50)
    }
    for number in range(0, 40, 2):
        hosts[f"host-{number:02}"][number % 9]["status"] = "critical"
    return report(**hosts)


@pytest.mark.parametrize("style", [PLAIN, COLOUR, Style(False, unicode=False)])
@given(width=st.integers(1, 200), height=st.integers(1, 80), trouble=st.text(max_size=400), log=st.integers(0, 20))
def test_it_fits_every_terminal(style: Style, width: int, height: int, trouble: str, log: int) -> None:
    for one in (many(), FINE, BROKEN, None):
        kept = [Change("12:00:00", "+", "critical", "x" * 300)] * log
        lines = render(View(one, 5, [100] * 30, kept, trouble), width, height, style)
        assert len(lines) <= height
        assert max(map(width_of, lines)) <= width
        assert not any("\n" in line for line in lines)
        if not style.colour:
            assert not any("\x1b" in line for line in lines)


def test_what_does_not_fit_is_counted_and_the_worst_is_shown() -> None:
    lines = render(View(many(), 1, changes=[Change("12:00:00", "+", "critical", "x")] * 9), 100, 30, PLAIN)
    text = "\n".join(lines)
    assert "host-00" in text
    assert "more hosts" in text
    assert "20 problems" in text
    assert "  and 1" in text
    assert text.count("12:00:00") == CHANGES


def test_a_file_gets_all() -> None:
    text = shown(View(many(), 1), height=None)
    assert all(f"host-{number:02}" in text for number in range(50))
    assert text.count("→ repair") == 20
    assert "q quit" not in text


def test_evidence_cannot_command_the_terminal() -> None:
    bad = report(app1=[result("a\x1b]0;owned\x07\x1b[2J\r\nb\u202e", "critical", part="p\x9b2J")])
    text = "".join(render(View(bad, 1, changes=changes(FINE, bad, "")), 100, 30, PLAIN))
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(text)


@given(st.text(), st.integers(1, 40))
def test_clipping(text: str, width: int) -> None:
    one = clean(text)
    for style in (PLAIN, COLOUR):
        painted = style.paint(one, "critical")
        cut = clip(painted, width, style)
        assert width_of(cut) <= width
        assert cut == painted or cut.endswith(("…", "\x1b[0m"))


def test_wide_characters_take_two_columns() -> None:
    assert width_of("数据库") == 6
    assert clip("数据库", 4, PLAIN) == "数…"
    assert width_of(COLOUR.paint("ab", "bold", "ok")) == 2
