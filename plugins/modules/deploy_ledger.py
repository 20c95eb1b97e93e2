#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Append to the ledger of a fleet what was done to an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_ledger
short_description: Append to the ledger of a fleet what was done to an application
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Appends one line of JSON to C(/var/lib/slipway/deploy/ledger.jsonl), of which nothing is ever changed or removed.
  - What is there already, of the same run, application, event and release, is not appended again; only notes are.
  - An entry is there as a whole and outlasts a power loss, or is not there. What a power loss cut off is removed.
  - Run it on the coordination host. Everybody on that host may read the ledger, so there must be no secret in it.
options:
  application:
    description: Name of the application, as in C(slipway_apps).
    type: str
    required: true
  event:
    description: What happened. Only the module M(slipway.stack.deploy_lease) knows of V(taken_over).
    type: str
    required: true
    choices: [started, migrated, contracted, seeded, restore_point, succeeded, failed, taken_over, note]
  run:
    description: Id of the run, as RV(slipway.stack.deploy_lease#module:lease) has it.
    type: str
    required: true
  release:
    description: Name of the release that it happened to.
    type: str
  fence:
    description: Number of the run's lease.
    type: int
  data:
    description: What else is to be known.
    type: dict
    default: {}
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    description: Shows the line.
    support: full
  platform:
    support: full
seealso:
  - module: slipway.stack.deploy_ledger_info
  - module: slipway.stack.deploy_lease
"""

EXAMPLES = r"""
- name: Tell that a deploy succeeded
  slipway.stack.deploy_ledger:
    application: shop
    event: succeeded
    run: "{{ taken.lease.run }}"
    fence: "{{ taken.lease.fence }}"
    release: 1.4.0
    data:
      seconds: 84
"""

RETURN = r"""
entry:
  description: The entry that was appended or, in check mode, would be; if it was there already, as it would be now.
  type: dict
  returned: success
  sample:
    at: "2026-11-24T19:24:01Z"
    application: shop
    event: succeeded
    run: 20261124T192233Z-1a2b
    release: 1.4.0
    fence: 7
    data: {seconds: 84}
"""

from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError
from ansible_collections.slipway.stack.plugins.module_utils.deploy.ledger import (
    EVENTS,
    Entry,
    LedgerError,
    as_dict,
    render,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.ledger_host import LEDGER_FILE, append


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "application": {"type": "str", "required": True},
            "event": {"type": "str", "required": True, "choices": list(EVENTS)},
            "run": {"type": "str", "required": True},
            "release": {"type": "str"},
            "fence": {"type": "int"},
            "data": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    entry = Entry(at=datetime.now(timezone.utc), **module.params)
    try:
        changed = append(entry, check_only=module.check_mode)
    except (FenceError, LedgerError) as problem:
        module.fail_json(msg=str(problem))
    diff = {"before_header": LEDGER_FILE, "after_header": LEDGER_FILE, "before": "", "after": render(entry)}
    module.exit_json(changed=changed, entry=as_dict(entry), diff=diff if changed else {})


if __name__ == "__main__":
    main()
