#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Tell which applications of this edge are in maintenance, or will be."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_page_info
short_description: Tell which applications of an edge are in maintenance
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Tells for each application of this edge whether its maintenance page is on or announced, what it says, who made it
    so, why and since when, and whether the end that was named has passed.
  - Reads the state files, and asks nginx whether it follows them. Each edge has states of its own.
options:
  application:
    description: Name of one application, as in C(slipway_apps); without it, all are told.
    type: str
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
  - module: slipway.stack.maintenance_page
"""

EXAMPLES = r"""
- name: Look at all applications of the edge
  slipway.stack.maintenance_page_info:
  register: found

- name: Name those whose page is on
  ansible.builtin.debug:
    msg: "{{ found.applications | dict2items | selectattr('value.state', 'eq', 'on') | map(attribute='key') | list }}"
"""

RETURN = r"""
applications:
  description:
    - The states by the names of the applications. Times are in UTC and null where there is none.
    - C(since) is when the state became what it is, C(overdue) whether C(ends) has passed.
  type: dict
  returned: success
  sample:
    shop:
      state: "on"
      message: The shop gets a new database.
      starts: "2026-11-24T21:00:00Z"
      ends: "2026-11-24T21:30:00Z"
      allow: [192.0.2.0/24]
      owner: Ada
      reason: ""
      since: "2026-11-24T21:00:03Z"
      overdue: false
running:
  description: Whether nginx runs. If not, it reads the states when it starts.
  type: bool
  returned: success
  sample: true
synced:
  description: Whether nginx follows the states that the files tell; false after a run that was interrupted.
  type: bool
  returned: success
  sample: true
"""

from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import AdminError
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance import (
    MaintenanceError,
    differs,
    report_state,
    require,
)
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance_host import MaintenanceHost
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError


def main() -> None:
    module = AnsibleModule(argument_spec={"application": {"type": "str"}}, supports_check_mode=True)
    application, host = module.params["application"], MaintenanceHost()
    now = datetime.now(timezone.utc)
    try:
        settings = host.settings()
        if application is not None:
            require(application, settings)
        names = [application] if application is not None else sorted(settings.get("applications") or {})
        states = {name: host.read(name) for name in names}
        report = host.report()
    except (MaintenanceError, StateFileError, AdminError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(
        changed=False,
        applications={name: report_state(state, now) for name, state in states.items()},
        running=report is not None,
        synced=report is None or not any(differs(report, name, state) for name, state in states.items()),
    )


if __name__ == "__main__":
    main()
