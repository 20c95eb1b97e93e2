#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Tell who has the lease of a fleet."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lease_info
short_description: Tell who has the lease of a fleet
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Tells who has the lease, what for, since when and until when. Run it on the coordination host.
  - On any host, it tells the highest number of a lease that the host knows.
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
  - module: slipway.stack.deploy_lease
"""

EXAMPLES = r"""
- name: Ask who is changing the fleet
  slipway.stack.deploy_lease_info:
  register: asked
"""

RETURN = r"""
lease:
  description: The lease, or null when nobody has it. Times are in UTC.
  type: dict
  returned: success
  sample:
    owner: ana@laptop
    run: 20261124T192233Z-1a2b
    purpose: deploy shop 1.4.0
    phase: fetch
    fence: 7
    taken_at: "2026-11-24T19:22:33Z"
    renewed_at: "2026-11-24T19:22:33Z"
    expires_at: "2026-11-24T19:32:33Z"
    process: null
expired:
  description: Whether the lease's time is up, so that anybody may take it over; null when nobody has it.
  type: bool
  returned: success
  sample: false
age_seconds:
  description: Seconds since the lease was taken; null when nobody has it.
  type: int
  returned: success
  sample: 84
remaining_seconds:
  description: Seconds until the lease ends unless it is renewed, 0 when its time is up; null when nobody has it.
  type: int
  returned: success
  sample: 516
fence:
  description: The highest number of a lease that this host gave or was told, 0 when there was none.
  type: int
  returned: success
  sample: 7
msg:
  description: The state in a sentence.
  type: str
  returned: success
  sample: nobody has the lease
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.lease import LeaseError, Record, as_dict, describe
from ansible_collections.slipway.stack.plugins.module_utils.deploy.lease_host import read
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError


def report(record: Record, now: datetime) -> dict[str, Any]:
    """Return what the module says of the lease."""
    lease = record.lease
    if lease is None:
        times = dict.fromkeys(("expired", "age_seconds", "remaining_seconds"))
    else:
        times = {
            "expired": lease.expired(now),
            "age_seconds": int((now - lease.taken_at).total_seconds()),
            "remaining_seconds": max(0, int((lease.expires_at - now).total_seconds())),
        }
    msg = "nobody has the lease" if lease is None else describe(lease, now)
    return {"lease": as_dict(lease), **times, "fence": record.fence, "msg": msg}


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        result = report(read(), datetime.now(timezone.utc))
    except (LeaseError, StateFileError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
