# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Create or complete a Redis Cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_cluster
short_description: Create or complete a Redis Cluster
version_added: 0.1.0
description:
  - Makes one Redis Cluster of running instances that have their cluster mode switched on. All hash slots are shared
    evenly between masters on different hosts, and every replica follows a master on another host.
  - A cluster that is there already is left alone, also when failovers have swapped masters and replicas since. A run
    that was cut short is completed by the next one. An instance that is missing in it joins as a replica.
  - What could lose data or hide a fault is refused, with the node named. That is fewer than three masters, a replica
    that could only run on its master's host, an instance of another cluster, an instance that holds keys, and a
    cluster with lost slots. Slots are never moved by this module.
  - Runs on one host that reaches all instances. Ends when the cluster serves on all nodes and every replica is in
    sync.
author:
  - slipway.stack founders (@slipway)
requirements:
  - redis-py (C(python3-redis)) on the host that runs the module
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do, without changing anything.
    support: full
    details:
      - Instances that nobody answers for are taken for new ones in check mode, so that a fresh host can be checked
        before Redis is installed. They are listed in RV(assumed_new).
  diff_mode:
    description: Returns the topology before and after.
    support: full
  platform:
    description: Target systems.
    support: full
    platforms: posix
options:
  nodes:
    description:
      - Every instance of the cluster. The order decides which become masters in a new cluster. The first instance of
        each host comes first, then the second of each host, and so on.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Name of the machine that the instance runs on. It only decides what may share a machine.
        type: str
        required: true
      address:
        description: Address at which the instance is reached by the other instances and by this module.
        type: str
        required: true
      port:
        description: Port for clients, from 1 to 55535. The cluster bus listens on this plus 10000.
        type: int
        default: 6379
  replicas:
    description: How many replicas each master has.
    type: int
    default: 1
  password:
    description: Password of the instances. Leave it out where they have none.
    type: str
  timeout_seconds:
    description: How long each of the waits may last, for nodes to know each other and for the cluster to serve.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Form a cluster of six instances on three hosts
  slipway.stack.redis_cluster:
    nodes:
      - {host: data1, address: 10.0.0.11, port: 6379}
      - {host: data1, address: 10.0.0.11, port: 6380}
      - {host: data2, address: 10.0.0.12, port: 6379}
      - {host: data2, address: 10.0.0.12, port: 6380}
      - {host: data3, address: 10.0.0.13, port: 6379}
      - {host: data3, address: 10.0.0.13, port: 6380}
    replicas: 1
    password: "{{ redis_password }}"
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample:
    - set the configuration epoch of data1 (10.0.0.11:6379) to 1
    - assign slots 0-5460 to data1 (10.0.0.11:6379)
    - introduce data1 (10.0.0.11:6379) to data1 (10.0.0.11:6380)
    - make data2 (10.0.0.12:6380) a replica of data1 (10.0.0.11:6379)
nodes:
  description: The topology afterwards (in check mode, the predicted one), in the order of O(nodes).
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: Name of the machine.
      type: str
      sample: data1
    address:
      description: Address of the instance.
      type: str
      sample: 10.0.0.11
    port:
      description: Port of the instance.
      type: int
      sample: 6379
    id:
      description: Id of the node in the cluster.
      type: str
      sample: 07c37dfeb235213a872192d90877d0cd55635b91
    role:
      description: V(master) or V(replica).
      type: str
      sample: master
    master:
      description: For a replica, C(address:port) of its master, otherwise empty.
      type: str
      sample: ""
    slots:
      description: Slots that it serves.
      type: str
      sample: 0-5460
assumed_new:
  description: Instances that did not answer and were taken for new ones. Always empty outside of check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""

import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster import converge
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.client import REDIS_IMPORT_ERROR, Client
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.layout import check_wanted
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import (
    Endpoint,
    RedisClusterError,
    State,
    Wanted,
    ranges_text,
)
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.plan import (
    describe,
    fresh,
    misplaced,
    plan,
    predict,
)


def listed(state):
    """The topology as the module returns it."""
    nodes = []
    for view in state.views:
        master = state.by_id(view.master_id)
        nodes.append(
            {
                "host": view.endpoint.host,
                "address": view.endpoint.address,
                "port": view.endpoint.port,
                "id": view.node_id,
                "role": "master" if view.master_id is None else "replica",
                "master": f"{master.endpoint.address}:{master.endpoint.port}" if master else "",
                "slots": ranges_text(view.slots),
            }
        )
    return nodes


def run(module):
    """Read, plan, apply unless in check mode, and return what the module exits with."""
    params = module.params
    wanted = Wanted(
        tuple(Endpoint(node["host"], node["address"], node["port"]) for node in params["nodes"]), params["replicas"]
    )
    check_wanted(wanted)
    timing = converge.Timing(params["timeout_seconds"], time.monotonic, time.sleep)
    assumed = {}

    def absent(endpoint):
        return assumed.setdefault(endpoint, fresh(endpoint))

    client = Client(params["password"])
    if not REDIS_IMPORT_ERROR:
        before = converge.read(client, wanted, timing, absent if module.check_mode else None)
    elif module.check_mode:
        before = State(tuple(absent(endpoint) for endpoint in wanted.nodes))
    else:
        module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)

    actions = plan(before, wanted)
    after = predict(before, actions)
    if not module.check_mode:
        after = (
            converge.apply(client, wanted, before, actions, timing)
            if actions
            else converge.serving(client, wanted, timing)
        )
    for problem in misplaced(after):
        module.warn(problem)
    return {
        "changed": bool(actions),
        "actions": [str(action) for action in actions],
        "nodes": listed(after),
        "assumed_new": [endpoint.label for endpoint in assumed],
        "diff": {"before": describe(before), "after": describe(after)},
    }


def main():
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "nodes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "host": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "default": 6379},
                },
            },
            "replicas": {"type": "int", "default": 1},
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
