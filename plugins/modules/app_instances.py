#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Bring the instances of one systemd template unit to what is declared, and prove each ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_instances
short_description: Run the declared instances of a systemd template unit, each proven ready
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Takes all instances of a template unit C(UNIT@.service) in one call. Stops and disables those that are no longer
    declared, enables and starts those that are, and restarts those that run with an older configuration.
  - Restarts happen one at a time, the next one only when the last has proven ready, so that a pool keeps serving.
    The first instance that does not come back stops the run, and the others stay as they were.
  - An instance runs with an older configuration when it was started before one of O(configuration) was changed, or
    when systemd says that its unit file changed. An interrupted run is therefore completed by the next one.
  - systemd's own configuration is loaded anew whenever something is about to change.
options:
  unit:
    description: Name of the template unit without C(@.service).
    type: str
    required: true
  instances:
    description: Instances that should run. An empty list stops and disables all.
    type: list
    elements: int
    required: true
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
"""

import http.client
import time
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.app.instances import (
    Action,
    Instance,
    Waited,
    describe,
    from_properties,
    instance_of,
    parse_show,
    plan,
    wait_until,
)
from ansible_collections.slipway.stack.plugins.module_utils.file_times import changed_at

PROPERTIES = "Id,ActiveState,SubState,Result,NRestarts,NeedDaemonReload,ExecMainStartTimestampMonotonic"
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1", "": "127.0.0.1"}
PROBE_TIMEOUT_SECONDS = 5
SETTLE_SECONDS = 2


class InstanceProblem(Exception):
    """A step failed; the message says which, and what to look at."""


class Systemd:
    """The instances of one template unit, as systemd knows them."""

    def __init__(self, module: AnsibleModule, template: str) -> None:
        self.module = module
        self.template = template
        self.systemctl = module.get_bin_path("systemctl", required=True)

    def unit(self, instance: int) -> str:
        return f"{self.template}@{instance}.service"

    def _call(self, *arguments: str) -> str:
        code, out, err = self.module.run_command([self.systemctl, *arguments])
        if code != 0:
            raise InstanceProblem(f"systemctl {' '.join(arguments)} failed: {err.strip() or out.strip()}")
        return str(out)

    def properties(self, instances: list[int]) -> dict[int, dict[str, str]]:
        if not instances:
            return {}
        blocks = parse_show(self._call("show", f"--property={PROPERTIES}", *map(self.unit, instances)))
        return {name: dict(block) for name, block in zip(instances, blocks)}

    def enabled(self) -> set[int]:
        links = Path("/etc/systemd/system").glob(f"*.wants/{self.template}@*.service")
        return self._instances(link.name for link in links)

    def loaded(self) -> set[int]:
        listed = self._call("list-units", "--all", "--plain", "--no-legend", f"{self.template}@*.service")
        return self._instances(line.split()[0] for line in listed.splitlines() if line.split())

    def _instances(self, units: Iterable[str]) -> set[int]:
        return {name for name in (instance_of(unit, self.template) for unit in units) if name is not None}

    def read(self, wanted: list[int]) -> list[Instance]:
        enabled = self.enabled()
        names = sorted(enabled | self.loaded() | set(wanted))
        properties = self.properties(names)
        return [
            from_properties(name, properties[name], name in enabled, time.time(), time.monotonic()) for name in names
        ]

    def reload(self) -> None:
        self._call("daemon-reload")

    def apply(self, verb: str, instances: list[int]) -> None:
        units = [self.unit(instance) for instance in instances]
        if not units:
            return
        if verb == "retire":
            self._call("disable", "--now", "--quiet", *units)
        else:
            self._call(verb, "--quiet", *units)


def probe_http(address: str, port: int, path: str) -> tuple[bool, str]:
    host = WILDCARDS.get(address, address)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Connection": "close", "User-Agent": "slipway.stack"})
        answer = connection.getresponse()
        body = answer.read(200).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"GET {url}: {error}"
    finally:
        connection.close()
    ready = 200 <= answer.status < 400
    return ready, f"GET {url}: {answer.status}" + ("" if ready else f" {body}")


def probe_heartbeat(path: str, started_at: float, seconds: int) -> tuple[bool, str]:
    try:
        written_at = Path(path).stat().st_mtime
    except OSError as error:
        return False, f"heartbeat {path}: {error.strerror}"
    age = max(0.0, time.time() - written_at)
    if written_at < started_at:
        return False, f"heartbeat {path}: not written since the start"
    return age <= seconds, f"heartbeat {path}: {age:.1f} s old"


def probe(systemd: Systemd, params: dict, instance: int) -> tuple[bool, str]:
    properties = systemd.properties([instance])[instance]
    state = f"{properties.get('ActiveState')} ({properties.get('SubState')})"
    if properties.get("ActiveState") != "active":
        return False, f"{state}, last result {properties.get('Result')}, {properties.get('NRestarts')} restarts"
    now = time.time()
    started_at = from_properties(instance, properties, True, now, time.monotonic()).started_at or now
    if params["probe"] == "http":
        return probe_http(params["address"], instance, params["path"])
    if now - started_at < SETTLE_SECONDS:
        return False, f"{state} for {now - started_at:.1f} s"
    if params["probe"] == "heartbeat":
        # The kernel stamps files with its coarse clock, up to one tick behind the one that stamps the start.
        path = params["heartbeat_file"].replace("{instance}", str(instance))
        return probe_heartbeat(path, started_at - 0.02, params["heartbeat_seconds"])
    return True, f"{state} for {now - started_at:.1f} s"


def prove(systemd: Systemd, params: dict, instance: int) -> Waited:
    waited = wait_until(lambda: probe(systemd, params, instance), params["timeout_seconds"], time.monotonic, time.sleep)
    if not waited.ready:
        unit = systemd.unit(instance)
        raise InstanceProblem(
            f"{unit} is not ready after {params['timeout_seconds']} s: {waited.evidence}; see: journalctl -u {unit}"
        )
    return waited


def apply(systemd: Systemd, params: dict, actions: tuple[Action, ...]) -> dict[int, Waited]:
    """Do all but restarts at once, then restart one by one, and prove every declared instance ready."""
    if actions:
        systemd.reload()
    for verb in ("retire", "enable", "start"):
        systemd.apply(verb, [action.instance for action in actions if action.verb == verb])
    restarts = [action.instance for action in actions if action.verb == "restart"]
    proven = {
        instance: prove(systemd, params, instance) for instance in params["instances"] if instance not in restarts
    }
    for instance in restarts:
        systemd.apply("restart", [instance])
        proven[instance] = prove(systemd, params, instance)
    return proven


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "instances": {"type": "list", "elements": "int", "required": True},
            "configuration": {"type": "list", "elements": "path", "default": []},
            "restart": {"type": "bool", "default": False},
            "probe": {"type": "str", "choices": ["http", "heartbeat", "running"], "default": "running"},
            "address": {"type": "str", "default": "127.0.0.1"},
            "path": {"type": "str", "default": "/"},
            "heartbeat_file": {"type": "str"},
            "heartbeat_seconds": {"type": "int", "default": 30},
            "timeout_seconds": {"type": "int", "default": 60},
        },
        required_if=[("probe", "heartbeat", ["heartbeat_file"])],
        supports_check_mode=True,
    )
    params = module.params
    systemd = Systemd(module, params["unit"])
    try:
        current = systemd.read(params["instances"])
        actions = plan(current, params["instances"], changed_at(params["configuration"]), params["restart"])
        diff = describe(current, params["instances"], actions)
        proven = {} if module.check_mode else apply(systemd, params, actions)
    except InstanceProblem as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(
        changed=bool(actions),
        actions=[{"verb": action.verb, "instance": action.instance} for action in actions],
        readiness=[
            {"instance": name, "ready": waited.ready, "evidence": waited.evidence, "seconds": round(waited.seconds, 2)}
            for name, waited in sorted(proven.items())
        ],
        diff=diff,
    )


if __name__ == "__main__":
    main()
