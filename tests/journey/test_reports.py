"""The reports of the demo: verify in check mode, the live view, and the audit of the production checklists."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone

from tests.support.stack import ROOT
from tests.support.verify import verified


def test_verify_in_check_mode_looks_and_reports_all_the_same(demo, tmp_path):
    assert verified(demo, tmp_path, "--check").changed == dict.fromkeys(demo.hosts, 0)
    page = (tmp_path / "verify.html").read_text()
    assert "shop through the edge" in page
    assert "<testsuite " in (tmp_path / "verify.xml").read_text()


def test_the_monitor_shows_what_status_says(demo):
    words = [sys.executable, "tools/monitor", "-i", str(demo.inventory), "--once"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    # 1: the disks and the load of the machine below the hosts may warn.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert all(host in done.stdout for host in demo.hosts)


def test_the_audit_tells_what_passed_what_failed_and_what_needs_evidence(demo, tmp_path):
    today = datetime.now(timezone.utc).date().isoformat()
    evidence = {"S1-10": {"by": "Ana", "date": today, "what": "training"}}
    options = {"slipway_report_directory": str(tmp_path), "slipway_audit_evidence": evidence}
    run = demo.playbook("audit", "-e", json.dumps(options))
    assert run.status == 2, run.output
    audit = json.loads((tmp_path / "audit.json").read_text())
    state = {item["id"]: item["state"] for item in audit["items"]}
    assert len(state) == 58
    assert sum(audit["counts"].values()) == 58
    # Certificates, limits, firewall and Redis's files are there; backups and monitoring are not yet; training is told.
    assert {state[item] for item in ("S0-1", "S0-2", "S0-7", "S2-4", "S1-10")} == {"passed"}
    assert {state[item] for item in ("S0-9", "S1-6")} == {"failed"}
    assert state["S1-7"] == "evidence_missing"
    assert "| S0-1 |" in (tmp_path / "audit.md").read_text()
