#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Tell the members of the pools on this edge, and what each has in flight."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pool_member_info
short_description: Tell the members of the pools on an edge
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Tells for each member of an application's pool on this edge its state, who made it so, why and since when, what it
    has in flight, requests and websockets apart, and whether nginx passes it over because it failed.
  - Asks nginx. Where nginx does not run, the states come from the files that it will read when it starts.
  - Each edge has states and counts of its own.
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
  - module: slipway.stack.pool_member
"""

EXAMPLES = r"""
- name: Look at all pools of the edge
  slipway.stack.pool_member_info:
  register: found

- name: Name the members that get no requests
  ansible.builtin.debug:
    msg: "{{ found.pools.shop.members | rejectattr('state', 'eq', 'active') | map(attribute='name') | list }}"
"""

RETURN = r"""
running:
  description: Whether nginx runs. If not, nothing is in flight, and nothing is known of failures.
  type: bool
  returned: success
  sample: true
synced:
  description: Whether nginx runs the states that the files tell; false after a run that was interrupted.
  type: bool
  returned: success
  sample: true
pools:
  description: The pools by the names of their applications.
  type: dict
  returned: success
  contains:
    members:
      description:
        - The members in the order of the topology.
        - C(owner), C(reason) and C(since) (UTC) are empty for those that are active.
        - C(in_flight) and C(websockets) are what the member has through this edge now; C(failures) counts those since
          nginx started; C(failing) says that nginx passes it over. The four are null where nginx does not run.
      type: list
      elements: dict
      sample:
        - name: app1:3000
          address: 192.0.2.11
          port: 3000
          state: draining
          owner: deploy 2026-03-01T10:15:00Z
          reason: release 1.4.0
          since: "2026-03-01T10:15:04Z"
          in_flight: 1
          websockets: 12
          failures: 0
          failing: false
    active:
      description: How many members are active.
      type: int
      sample: 3
    undeclared:
      description: Members that have a state, but are no longer in the topology. They get it again if they come back.
      type: list
      elements: str
      sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import AdminError
from ansible_collections.slipway.stack.plugins.module_utils.nginx.pool import PoolError, differs, info, require
from ansible_collections.slipway.stack.plugins.module_utils.nginx.pool_host import PoolHost
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError


def main() -> None:
    module = AnsibleModule(argument_spec={"application": {"type": "str"}}, supports_check_mode=True)
    application, host = module.params["application"], PoolHost()
    try:
        declared = host.declared()
        if application is not None:
            require(application, declared)
        report = host.report()
        pools = [host.read(name)[0] for name in ([application] if application is not None else sorted(declared))]
    except (PoolError, StateFileError, AdminError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(
        changed=False,
        running=report is not None,
        synced=report is None or not any(differs(report, pool) for pool in pools),
        pools={pool.application: info(pool, report) for pool in pools},
    )


if __name__ == "__main__":
    main()
