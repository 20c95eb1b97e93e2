#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Bring the instances of one systemd template unit to what is declared, and prove each ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_instances
short_description: Run or stop the declared instances of a systemd template unit
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Takes all instances of a template unit C(UNIT@.service) in one call. Stops and disables those that are no longer
    declared, enables and starts those that are, and restarts those that run with an older configuration.
  - Restarts happen one at a time, the next one only when the last has proven ready, so that a pool keeps serving.
    The first instance that does not come back stops the run, and the others stay as they were.
    Instances that stand are started all at once.
  - An instance that ends three times while it is waited for fails the run at once, whatever O(timeout_seconds) is.
    The message ends with what it last wrote to the journal.
  - An instance runs with an older configuration when it was started before one of O(configuration) was changed, or
    when systemd says that its unit file changed. An interrupted run is therefore completed by the next one.
  - systemd's own configuration is loaded anew whenever something is about to change.
options:
  unit:
    description: Name of the template unit without C(@.service).
    type: str
    required: true
  instances:
    description: Instances that should run, or stand. With O(state=running), an empty list stops and disables all.
    type: list
    elements: int
    required: true
  state:
    description:
      - V(running) starts the instances, proves them ready, and retires those that are not declared.
      - V(stopped) stops the instances, all at once, each within the stop timeout of its unit, and leaves them enabled,
        so that they would run again after a boot. Others are not touched.
    type: str
    choices: [running, stopped]
    default: running
  exclusive:
    description:
      - Whether O(instances) are all that there should be, so that others are retired. With V(false) others are not
        touched, as when instances of one host are taken one after another.
    type: bool
    default: true
  configuration:
    description: Absolute paths of the files an instance reads when it starts.
    type: list
    elements: path
    default: []
  restart:
    description: Restart instances that run, whatever they were started with. In check mode, also how to say that
      O(configuration) is about to change.
    type: bool
    default: false
  probe:
    description:
      - How an instance proves that it is ready, besides running.
      - V(http) asks for O(path) on the port that is the instance's name, and expects a status from 200 to 399.
      - V(running) expects two seconds without a restart.
      - V(heartbeat) also expects O(heartbeat_file) to be written since the start, and within O(heartbeat_seconds).
    type: str
    choices: [http, heartbeat, running]
    default: running
  address:
    description: Address that V(http) connects to. A wildcard address is taken as the loopback.
    type: str
    default: 127.0.0.1
  path:
    description: Path that V(http) asks for.
    type: str
    default: /
  heartbeat_file:
    description: Absolute path of the heartbeat file; C({instance}) stands for the instance.
    type: str
  heartbeat_seconds:
    description: Age in seconds at which a heartbeat is no longer fresh.
    type: int
    default: 30
  timeout_seconds:
    description: Time in seconds that each instance has to become ready.
    type: int
    default: 60
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.fence
attributes:
  check_mode:
    description: Predicts what a run would do; nothing is waited for.
    support: full
  diff_mode:
    description: Shows one line for each instance before and after.
    support: full
  platform:
    support: full
"""

EXAMPLES = r"""
- name: Run two instances of a program that listens on the port it is named after
  slipway.stack.app_instances:
    unit: slipway-shop
    instances: [3000, 3001]
    configuration: [/etc/systemd/system/slipway-shop@.service, /etc/slipway/shop.env]
    probe: http
    path: /readyz

- name: Run one worker that writes a heartbeat
  slipway.stack.app_instances:
    unit: slipway-mailer
    instances: [1]
    probe: heartbeat
    heartbeat_file: /run/slipway-mailer/{instance}/heartbeat

- name: Stop two instances for as long as their program is exchanged
  slipway.stack.app_instances:
    unit: slipway-shop
    instances: [3000, 3001]
    state: stopped

- name: Stop and disable all instances
  slipway.stack.app_instances:
    unit: slipway-mailer
    instances: []
"""

RETURN = r"""
actions:
  description: What was done, or would be done, in order.
  type: list
  elements: dict
  returned: always
  sample: [{verb: restart, instance: 3000}, {verb: restart, instance: 3001}]
readiness:
  description: For each declared instance, what its probe saw, and how long that took. Empty in check mode.
  type: list
  elements: dict
  returned: always
  sample: [{instance: 3000, ready: true, evidence: "GET http://10.0.0.2:3000/readyz: 200", seconds: 0.41}]
stopped:
  description:
    - For each instance that O(state=stopped) stopped, how it ended and after how many seconds. Empty in check mode.
    - C(killed) says that the stop timeout of its unit ran out; C(result) is systemd's word for the end.
  type: list
  elements: dict
  returned: always
  sample: [{instance: 3000, seconds: 1.24, killed: false, result: success}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.app.instances import describe, plan, plan_stop
from ansible_collections.slipway.stack.plugins.module_utils.app.instances_host import (
    InstanceProblem,
    Probe,
    Systemd,
    run_all,
    stop_all,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError, fenced
from ansible_collections.slipway.stack.plugins.module_utils.file_times import changed_at


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "instances": {"type": "list", "elements": "int", "required": True},
            "state": {"type": "str", "choices": ["running", "stopped"], "default": "running"},
            "exclusive": {"type": "bool", "default": True},
            "configuration": {"type": "list", "elements": "path", "default": []},
            "restart": {"type": "bool", "default": False},
            "probe": {"type": "str", "choices": ["http", "heartbeat", "running"], "default": "running"},
            "address": {"type": "str", "default": "127.0.0.1"},
            "path": {"type": "str", "default": "/"},
            "heartbeat_file": {"type": "str"},
            "heartbeat_seconds": {"type": "int", "default": 30},
            "timeout_seconds": {"type": "int", "default": 60},
            "fence": {"type": "int"},
        },
        required_if=[("probe", "heartbeat", ["heartbeat_file"])],
        supports_check_mode=True,
    )
    try:
        with fenced(module.params["fence"], check_only=module.check_mode):
            result = run(module)
    except (InstanceProblem, FenceError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Read, plan and, outside check mode, apply."""
    params = module.params
    module.get_bin_path("systemctl", required=True)
    systemd = Systemd(lambda argv: module.run_command(list(argv)), params["unit"])
    wanted = params["instances"]
    current = [found for found in systemd.read(wanted) if params["exclusive"] or found.name in wanted]
    proven, stopped = {}, {}
    if params["state"] == "stopped":
        actions = plan_stop(current, wanted)
        if not module.check_mode:
            stopped = stop_all(systemd, actions)
    else:
        actions = plan(current, wanted, changed_at(params["configuration"]), params["restart"])
        if not module.check_mode:
            proven = run_all(systemd, probe_of(params), wanted, actions)
    return {
        "changed": bool(actions),
        "actions": [{"verb": action.verb, "instance": action.instance} for action in actions],
        "readiness": [
            {"instance": name, "ready": waited.ready, "evidence": waited.evidence, "seconds": round(waited.seconds, 2)}
            for name, waited in sorted(proven.items())
        ],
        "stopped": [
            {"instance": name, "seconds": round(end.seconds, 2), "killed": end.killed, "result": end.result}
            for name, end in sorted(stopped.items())
        ],
        "diff": describe(current, actions),
    }


def probe_of(params: dict[str, Any]) -> Probe:
    """The probe that the options describe."""
    return Probe(
        kind=params["probe"],
        address=params["address"],
        path=params["path"],
        heartbeat_file=params["heartbeat_file"] or "",
        heartbeat_seconds=params["heartbeat_seconds"],
        timeout_seconds=params["timeout_seconds"],
    )


if __name__ == "__main__":
    main()
