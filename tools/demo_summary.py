"""What to try next, printed when the demo is up.

Usage: python tools/demo_summary.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "inventories" / "demo"
NAME = "shop.slipway.test"


def main() -> None:
    hosts = yaml.safe_load((DEMO / "addresses.yml").read_text())["all"]["hosts"]
    edge = hosts["edge1"]["ansible_host"]
    release = json.loads((ROOT / "build" / "artifacts" / "sample_app.json").read_text())["release"]
    ca = (DEMO / ".secrets" / "ca" / "ca.crt").relative_to(ROOT)
    curl = f"curl --cacert {ca} --resolve {NAME}:443:{edge}"
    print(
        f"""
The shop runs at https://{NAME}/ on {edge}, release {release}.

Try next:
  every instance in turn        {curl} -s https://{NAME}/api/health
  write a row                   {curl} -s https://{NAME}/api/notes --json '{{"text": "hello"}}'
  the report, in a browser      {(ROOT / "reports" / "verify.html").relative_to(ROOT)}
  the stack's state, live       python tools/monitor -i {DEMO.relative_to(ROOT)}
  the guides' checklists        ansible-playbook slipway.stack.audit
  ship a release meanwhile      make deploy
  and one that is broken        make deploy FAULT=exits
  back to the one before        ansible-playbook slipway.stack.rollback -e deploy_application=shop
  a second run changes nothing  ansible-playbook slipway.stack.site
  kill an instance under load   make faults FAULT=killed_instance
  take it all away              make destroy
The commands of Ansible are in {Path(sys.executable).parent.relative_to(ROOT)}: put it first in your PATH."""
    )


if __name__ == "__main__":
    main()
