# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of the playbook brings, or says."""

from __future__ import annotations

import json

import pytest
from monitor.source import parse, why

REPORT = {"verdict": "healthy", "score": 100, "counts": {}, "hosts": {}, "problems": []}


def test_a_report() -> None:
    assert parse(json.dumps(REPORT)).report == REPORT


@pytest.mark.parametrize("text", ["", "no json", "[]", "null", '{"verdict": "healthy"}', '{"verdict": 1}'])
def test_what_is_no_report_is_said(text: str) -> None:
    reading = parse(text)
    assert reading.report is None
    assert "slipway.stack.status wrote no" in reading.trouble


def test_why_starts_at_the_error_and_leaves_the_quoting_out() -> None:
    output = """
PLAY [Show the state of the stack] ****
TASK [Read] ****
[ERROR]: Task failed: app2 cannot be reached
fatal: [app2]: UNREACHABLE! =>
...ignoring
TASK [Work out what this host has to be] ****
[ERROR]: Task failed: slipway_apps.shop.port is 99999
Origin: /x/playbooks/tasks/topology.yml:3:3

1 ---
2 - name: Work out
    ^ column 3
fatal: [app1]: FAILED! =>
    msg: slipway_apps.shop.port is 99999
PLAY RECAP ****
app1 : ok=1 failed=1
"""
    assert why(output, 2).splitlines() == [
        "slipway.stack.status failed with status 2:",
        "[ERROR]: Task failed: slipway_apps.shop.port is 99999",
        "fatal: [app1]: FAILED! =>",
        "    msg: slipway_apps.shop.port is 99999",
        "app1 : ok=1 failed=1",
    ]


def test_without_an_error_the_end_is_told() -> None:
    output = "\n".join(f"line {number}" for number in range(40))
    assert why(output, 0).splitlines()[0] == "slipway.stack.status wrote no report:"
    assert why(output, 0).splitlines()[-1] == "line 39"
    assert len(why(output, 0).splitlines()) == 13
