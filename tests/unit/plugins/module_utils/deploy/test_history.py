"""What was done to a fleet, readable."""

from __future__ import annotations

from ansible_collections.slipway.stack.plugins.module_utils.deploy.history import table

RUN = "20261124T192233Z-1a2b"


def entry(event, application="shop", release="1.4.0", **data):
    return {
        "at": "2026-11-24T19:22:33Z",
        "application": application,
        "event": event,
        "run": RUN,
        "release": release,
        "fence": 7,
        "data": data,
    }


def test_nothing():
    assert table([]) == "nothing is recorded"


def test_lines_below_headings():
    lines = table(
        [
            entry("succeeded", seconds={"fetch": 4, "batch 1": 12}),
            entry("started", origins={"app1": "1.3.0", "app2": "1.3.0"}, strategy="rolling", note=None),
        ]
    ).splitlines()
    assert lines[0].split() == ["at", "(UTC)", "application", "event", "release", "run", "details"]
    assert lines[1] == f"2026-11-24 19:22:33  shop         succeeded  1.4.0    {RUN}  seconds: 16"
    assert lines[2].endswith("origins: app1=1.3.0 app2=1.3.0, strategy: rolling")


def test_a_lease_that_was_taken_over():
    previous = {"owner": "ana@laptop", "run": "other", "purpose": "site", "process": {"pid": 1}}
    _headings, line = table([entry("taken_over", None, None, reason="dead", previous=previous)]).splitlines()
    assert "(fleet)" in line
    assert "taken over" in line
    assert line.endswith("reason: dead, previous: site of ana@laptop (run other)")


def test_long_and_broken_details_stay_on_a_line():
    _headings, line = table([entry("failed", message="one\ntwo " * 50)], details_width=20).splitlines()
    assert line.endswith(f"{RUN}  message: one two ...")
