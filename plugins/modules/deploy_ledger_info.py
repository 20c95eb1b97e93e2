#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Tell what was done to the applications of a fleet."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_ledger_info
short_description: Tell what was done to the applications of a fleet
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Reads the ledger, and says what follows of it for one application. Run it on the coordination host.
  - A last line that a power loss cut off does not count. Other lines that are damaged are told with a warning.
options:
  application:
    description: Name of one application, as in C(slipway_apps); without it, the entries of all are told.
    type: str
  limit:
    description: How many entries to return at most, at least 1. What follows of the ledger follows of all entries.
    type: int
    default: 50
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  platform:
    support: full
seealso:
  - module: slipway.stack.deploy_ledger
"""

EXAMPLES = r"""
- name: Ask what was done to the shop
  slipway.stack.deploy_ledger_info:
    application: shop
  register: shop_ledger
"""

RETURN = r"""
entries:
  description:
    - The entries, the newest first, those that concern the whole fleet (with C(application) null) among them.
  type: list
  elements: dict
  returned: success
  sample:
    - at: "2026-11-24T19:24:01Z"
      application: shop
      event: succeeded
      run: 20261124T192233Z-1a2b
      release: 1.4.0
      fence: 7
      data: {seconds: 84}
unfinished:
  description: The entry of the run that was started last, if it neither succeeded nor failed, or null.
  type: dict
  returned: success, with O(application)
  sample: null
succeeded:
  description: Releases that were deployed, the newest deploy first, each once.
  type: list
  elements: str
  returned: success, with O(application)
  sample: [1.4.0, 1.3.2]
migrated:
  description: Releases whose migrations ran, the newest first.
  type: list
  elements: str
  returned: success, with O(application)
  sample: [1.4.0]
contracted:
  description: Releases whose contract migrations ran, the newest first.
  type: list
  elements: str
  returned: success, with O(application)
  sample: []
seeded:
  description: Whether the application's database was filled with its first data.
  type: bool
  returned: success, with O(application)
  sample: true
damaged:
  description: Numbers of the lines that are no entries.
  type: list
  elements: int
  returned: success
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.ledger import LedgerError, facts, history
from ansible_collections.slipway.stack.plugins.module_utils.deploy.ledger_host import LEDGER_FILE, read


def main() -> None:
    module = AnsibleModule(
        argument_spec={"application": {"type": "str"}, "limit": {"type": "int", "default": 50}},
        supports_check_mode=True,
    )
    application, limit = module.params["application"], module.params["limit"]
    if limit < 1:
        module.fail_json(msg=f"limit: {limit}; expected 1 or more, the number of entries to return at most")
    try:
        ledger = read()
    except LedgerError as problem:
        module.fail_json(msg=str(problem))
    if ledger.damaged:
        lines = ", ".join(map(str, ledger.damaged))
        module.warn(f"{LEDGER_FILE}: no entries in lines {lines}; they are left out, look at what damaged the file")
    result = facts(ledger, application) if application else {}
    module.exit_json(entries=history(ledger, application, limit), damaged=list(ledger.damaged), **result)


if __name__ == "__main__":
    main()
