# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restart Redis instances one after another, each back in service before the next."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_restart
short_description: Restart Redis instances one after another
version_added: 0.1.0
description:
  - Restarts the systemd units of Redis instances on this host, one after another. Goes on only when the instance has
    loaded its data, answers, and, as a member of a cluster, says that the whole cluster serves.
  - With C(throttle) set to 1 on the task, the same holds across hosts, so that two masters are never down at once.
  - An instance whose cluster was not formed yet is only waited for until it answers.
author:
  - slipway.stack founders (@slipway)
requirements:
  - redis-py (C(python3-redis)) on the host that runs the module
attributes:
  check_mode:
    description: Can run in check mode and tell what it would restart.
    support: full
  diff_mode:
    description: Would return what has changed.
    support: none
    details: A restart changes no state that could be compared.
  platform:
    description: Target systems.
    support: full
    platforms: posix
options:
  ports:
    description: Ports of the instances to restart, in order.
    type: list
    elements: int
    required: true
  address:
    description: Address at which the instances answer.
    type: str
    default: 127.0.0.1
  unit:
    description: Name of the units, in which C({port}) stands for the port.
    type: str
    default: redis-server@{port}.service
  password:
    description: Password of the instances after their restart.
    type: str
  timeout_seconds:
    description: How long each instance may take until it serves again.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Restart both instances
  slipway.stack.redis_restart:
    address: 10.0.0.11
    ports: [6379, 6380]
    password: "{{ redis_password }}"
  throttle: 1
"""

RETURN = r"""
restarted:
  description: Units that were restarted, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [redis-server@6379.service]
"""

import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster import converge
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.client import REDIS_IMPORT_ERROR, Client
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import Endpoint, RedisClusterError


def restart(module, unit):
    """Restart one unit, or say what systemd says."""
    code, _out, error = module.run_command(["systemctl", "restart", unit])
    if code:
        raise RedisClusterError(f"{unit} could not be restarted: {error.strip()}. Look into journalctl -u {unit}")


def run(module):
    """Restart and wait, unit after unit."""
    params = module.params
    units = [params["unit"].replace("{port}", str(port)) for port in params["ports"]]
    if units and not module.check_mode:
        if REDIS_IMPORT_ERROR:
            module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
        timing = converge.Timing(params["timeout_seconds"], time.monotonic, time.sleep)
        for port, unit in zip(params["ports"], units):
            restart(module, unit)
            # A client for each instance: a connection from before the restart is dead.
            client = Client(params["password"])
            converge.back_in_service(client, Endpoint(unit, params["address"], port), timing)
    return {"changed": bool(units), "restarted": units}


def main():
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "required": True},
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
