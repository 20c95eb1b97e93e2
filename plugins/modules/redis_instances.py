#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Run Redis instances, and restart those with an older configuration, never two masters at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_instances
short_description: Run Redis instances, each back in service before the next is restarted
version_added: 0.1.0
description:
  - Enables and starts the systemd units of Redis instances on this host, and restarts those that run with an older
    configuration, all in one call.
  - Restarts happen one after another. The next one only comes when the last instance has loaded its data, answers, and,
    as a member of a cluster that served before, says that it serves again. With C(throttle) set to 1 on the task, the
    same holds across hosts, so two masters are never down at once.
  - An instance runs with an older configuration when it was started before one of O(configuration) was changed, or when
    systemd says that its unit file changed. An interrupted run is therefore completed by the next one.
  - Instances on ports that are not named stay as they are.
author:
  - slipway.stack founders (@slipway)
requirements:
  - redis-py (C(python3-redis)) on the host that runs the module
options:
  ports:
    description: Ports of the instances, in the order of their restarts.
    type: list
    elements: int
    required: true
  configuration:
    description: Absolute paths of the files that an instance reads when it starts; C({port}) stands for its port.
    type: list
    elements: str
    default: []
  changed_files:
    description:
      - In check mode, files that are about to change. Instances that read one of them would be restarted. Without check
        mode the times of the files tell.
    type: list
    elements: str
    default: []
  address:
    description: Address at which the instances answer.
    type: str
    default: 127.0.0.1
  unit:
    description: Name of the units; C({port}) stands for the port.
    type: str
    default: redis-server@{port}.service
  password:
    description: Password of the instances with their present configuration.
    type: str
  timeout_seconds:
    description: How long each instance may take until it serves.
    type: int
    default: 60
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    description: Shows one line for each instance before and after.
    support: full
  platform:
    support: full
"""

EXAMPLES = r"""
- name: Run two instances
  slipway.stack.redis_instances:
    ports: [6379, 6380]
    address: 10.0.0.11
    configuration:
      - /etc/redis/redis-{port}.conf
    password: "{{ redis_password }}"
  throttle: 1
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: dict
  sample: [{verb: restart, unit: redis-server@6379.service}]
"""

import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.slipway.stack.plugins.module_utils.app.instances import (
    describe,
    from_properties,
    parse_show,
    plan,
)
from ansible_collections.slipway.stack.plugins.module_utils.file_times import changed_at
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster import converge
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.client import REDIS_IMPORT_ERROR, Client
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import Endpoint, RedisClusterError

PROPERTIES = "ActiveState,UnitFileState,NeedDaemonReload,ExecMainStartTimestampMonotonic"


class Units:
    """The units of the instances, as systemd knows them."""

    def __init__(self, module, name):
        self.module = module
        self.name = name
        self.systemctl = module.get_bin_path("systemctl", required=True)

    def unit(self, port):
        return self.name.replace("{port}", str(port))

    def call(self, *arguments):
        code, out, error = self.module.run_command([self.systemctl, *arguments])
        if code:
            what = f"systemctl {' '.join(arguments)}"
            raise RedisClusterError(f"{what} failed: {error.strip() or out.strip()}. Look into journalctl")
        return out

    def read(self, ports):
        now, monotonic = time.time(), time.monotonic()
        shown = self.call("show", f"--property={PROPERTIES}", *(self.unit(port) for port in ports)) if ports else ""
        return [
            from_properties(port, block, block.get("UnitFileState") == "enabled", now, monotonic)
            for port, block in zip(ports, parse_show(shown))
        ]


def actions_for(instances, params, check_mode):
    """The plan for each instance by its own files, restarts last and in the order of the ports."""
    found = []
    for instance in instances:
        paths = [path.replace("{port}", str(instance.name)) for path in params["configuration"]]
        # Without check mode the times of the files tell.
        about_to_change = check_mode and not set(paths).isdisjoint(params["changed_files"])
        found += plan([instance], [instance.name], changed_at(paths), about_to_change)
    return tuple(sorted(found, key=lambda action: ("enable", "start", "restart").index(action.verb)))


def apply(units, params, actions):
    """Start what stands, all at once; restart one by one; wait for each."""
    if actions:
        units.call("daemon-reload")
    for verb in ("enable", "start"):
        names = [units.unit(action.instance) for action in actions if action.verb == verb]
        if names:
            units.call(verb, "--quiet", *names)
    timing = converge.Timing(params["timeout_seconds"], time.monotonic, time.sleep)
    for action in actions:
        endpoint = Endpoint(units.unit(action.instance), params["address"], action.instance)
        # A client for each wait: a connection from before a restart is dead.
        if action.verb == "start":
            # Other members may be down as well: a cluster that was stopped as a whole starts host by host.
            converge.back_in_service(Client(params["password"]), endpoint, timing, whole=False)
        elif action.verb == "restart":
            whole = converge.was_serving(Client(params["password"]), endpoint)
            units.call("restart", "--quiet", units.unit(action.instance))
            converge.back_in_service(Client(params["password"]), endpoint, timing, whole=whole)


def run(module):
    """Read, plan, and outside of check mode apply."""
    params = module.params
    units = Units(module, params["unit"])
    instances = units.read(params["ports"])
    actions = actions_for(instances, params, module.check_mode)
    if actions and not module.check_mode:
        if REDIS_IMPORT_ERROR:
            module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
        apply(units, params, actions)
    return {
        "changed": bool(actions),
        "actions": [{"verb": action.verb, "unit": units.unit(action.instance)} for action in actions],
        "diff": describe(instances, actions),
    }


def main():
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "required": True},
            "configuration": {"type": "list", "elements": "str", "default": []},
            "changed_files": {"type": "list", "elements": "str", "default": []},
            "address": {"type": "str", "default": "127.0.0.1"},
            "unit": {"type": "str", "default": "redis-server@{port}.service"},
            "password": {"type": "str", "no_log": True},
            "timeout_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except RedisClusterError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
