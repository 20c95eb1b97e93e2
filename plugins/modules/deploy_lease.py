#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Take the lease of a fleet, renew it and give it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lease
short_description: Take the lease of a fleet, renew it and give it back
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Lets one run at a time change a fleet. Whoever has the lease is told with each refusal, as well as why, since when
    and until when.
  - A lease ends by itself when it is not renewed in time. It may be taken over then, or at once when the process that
    took it ran on this controller and is gone, or when somebody asks for that. Each take-over goes to the ledger.
  - Each run that takes the lease gets a number higher than all before. Modules with an option C(fence) refuse to change
    a host for a run with a lower number than the host was told before.
  - Run it on the coordination host, whose clock counts. The lease is in C(/var/lib/slipway/deploy/lease.json) there.
options:
  state:
    description:
      - V(taken) takes the lease, or renews it if this O(run) has it.
      - V(renewed) renews it, for the next phase, and fails if this O(run) has it no more.
      - V(released) gives it back. Where nobody has it, that is enough; it fails if another run has it.
    type: str
    required: true
    choices: [taken, renewed, released]
  run:
    description:
      - Id of the run, 1 to 64 letters, digits, C(.), C(_), C(:) or C(-).
      - Without it, that of this run of Ansible, made of the controller's time and a random part.
    type: str
  owner:
    description: Who has the lease, for others to read. Without it, O(state=taken) tells the controller's user and name.
    type: str
  purpose:
    description: What the run does, for others to read. Left out, it stays what it is.
    type: str
  phase:
    description: How far the run is, for others to read. Left out, it stays what it is.
    type: str
  term_seconds:
    description:
      - Seconds, at least 1, until the lease ends unless it is renewed. As long as the phase may take, and a margin.
      - Required unless O(state=released).
    type: int
  take_over:
    description: Whether to take the lease even from a run that has it still. For somebody who knows that it has ended.
    type: bool
    default: false
  fence_above:
    description:
      - Number that the lease's has to exceed, where hosts may have been told higher ones than the coordination host
        knows, since another host was the coordination host before. RV(slipway.stack.deploy_lease_info#module:fence)
        tells what a host knows.
    type: int
    default: 0
  process:
    description: The controller's process. Found by the action plugin.
    type: dict
    suboptions:
      host:
        description: Name of the controller.
        type: str
      boot:
        description: Id of the controller's last start.
        type: str
      pid_namespace:
        description: The controller's namespace of processes.
        type: str
      pid:
        description: Number of the process.
        type: int
      started:
        description: When the process started, in the kernel's ticks.
        type: int
  dead_run:
    description: Id of a run whose process is gone. Found by the action plugin.
    type: str
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.attributes.action
attributes:
  action:
    support: full
  check_mode:
    description: Predicts and refuses as a run would.
    support: full
  diff_mode:
    description: A lease is no state that one would want to compare.
    support: none
  platform:
    support: full
seealso:
  - module: slipway.stack.deploy_lease_info
  - module: slipway.stack.deploy_ledger
"""

EXAMPLES = r"""
- name: Take the lease
  slipway.stack.deploy_lease:
    state: taken
    purpose: deploy shop 1.4.0
    phase: fetch
    term_seconds: 600
  register: taken

- name: Keep it for the next phase
  slipway.stack.deploy_lease:
    state: renewed
    run: "{{ taken.lease.run }}"
    phase: migrate
    term_seconds: 900

- name: Give it back
  slipway.stack.deploy_lease:
    state: released
    run: "{{ taken.lease.run }}"
"""

RETURN = r"""
lease:
  description:
    - The lease as it is or, in check mode, would be; null when nobody has it. Times are in UTC.
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
    process: {host: laptop, boot: 5f0c1c4e-36e2-4b7e-9a5e-0c3a6a3c1d2b, pid_namespace: "pid:[4026531836]", pid: 4211,
      started: 183321}
    phases: [{name: lease, began_at: "2026-11-24T19:22:33Z"}, {name: fetch, began_at: "2026-11-24T19:22:35Z"}]
holder:
  description: The lease of the run that has it. Not RV(lease), so that nobody takes its number for their own.
  type: dict
  returned: failure, when another run has the lease
  sample: {owner: ana@laptop, run: 20261124T192233Z-1a2b, purpose: deploy shop 1.4.0, phase: fetch, fence: 7}
previous:
  description: The lease that was taken over, or null.
  type: dict
  returned: success
  sample: null
taken_over:
  description:
    - Why a lease was taken over, or null. C(expired) when its time was up, C(dead) when its process was gone, C(asked)
      for O(take_over).
  type: str
  returned: success
  sample: null
msg:
  description: The outcome in a sentence.
  type: str
  returned: always
  sample: "run 20261124T192233Z-1a2b has the lease, number 7, until 2026-11-24T19:32:33Z"
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError
from ansible_collections.slipway.stack.plugins.module_utils.deploy.lease import LeaseError, as_dict, parse_request
from ansible_collections.slipway.stack.plugins.module_utils.deploy.lease_host import change
from ansible_collections.slipway.stack.plugins.module_utils.deploy.ledger import LedgerError
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "required": True, "choices": ["taken", "renewed", "released"]},
    "run": {"type": "str"},
    "owner": {"type": "str"},
    "purpose": {"type": "str"},
    "phase": {"type": "str"},
    "term_seconds": {"type": "int"},
    "take_over": {"type": "bool", "default": False},
    "fence_above": {"type": "int", "default": 0},
    "process": {
        "type": "dict",
        "options": {
            "host": {"type": "str"},
            "boot": {"type": "str"},
            "pid_namespace": {"type": "str"},
            "pid": {"type": "int"},
            "started": {"type": "int"},
        },
    },
    "dead_run": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        outcome = change(parse_request(module.params), now, check_only=module.check_mode)
    except LeaseError as problem:
        module.fail_json(msg=str(problem), holder=as_dict(problem.holder))
    except (FenceError, LedgerError, StateFileError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(
        changed=outcome.changed,
        lease=as_dict(outcome.after.lease),
        previous=as_dict(outcome.previous),
        taken_over=outcome.taken_over,
        msg=outcome.msg,
    )


def now() -> datetime:
    """Return the present, in whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)


if __name__ == "__main__":
    main()
