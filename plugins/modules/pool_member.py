#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Take members out of an application's pool on this edge, and bring them back, without a reload."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pool_member
short_description: Take members out of a pool on an edge and bring them back
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Changes the state of members of an application's pool on this edge, for all workers of nginx at once and without a
    reload. A member that is not active gets no new request and no new websocket; what it has in flight goes on.
  - The states are in a file on the host, which nginx reads whenever it starts. Where nginx does not run, the file is
    enough.
  - Each edge has states of its own. With several, run the task on each of them.
  - What somebody else drained stays drained. A member that is not active belongs to the owner that made it so, and only
    that owner changes its state, or whoever says so with O(when_owned_by_other).
options:
  application:
    description: Name of the application, as in C(slipway_apps).
    type: str
    required: true
  members:
    description:
      - Names of members, such as V(app1:3000), or patterns of names in the shell's style, such as V(app1:*).
      - Each has to match a member of the pool.
    type: list
    elements: str
  host:
    description: All members of this host, by its name or address; instead of O(members).
    type: str
  state:
    description:
      - V(draining) and V(out) let nothing new go to the members; they tell people apart what is about to end and what
        is to stay away.
      - V(active) brings them back, with the failures of the time before forgotten.
    type: str
    choices: [active, draining, out]
    required: true
  owner:
    description:
      - Who asks, for example the name of a person or of a deploy's run.
      - Required unless O(state=active).
    type: str
    default: ""
  reason:
    description: Why; shown to whoever looks at the pool.
    type: str
    default: ""
  when_owned_by_other:
    description:
      - What to do about members that are not active and belong to another O(owner).
      - V(fail) changes nothing and says who has them.
      - V(skip) leaves them as they are and changes the others; they are returned in RV(left_alone).
      - V(take) changes them, too. From then on they belong to this O(owner).
    type: str
    choices: [fail, skip, take]
    default: fail
  minimum_active:
    description:
      - How many members have to stay active, and how many of those must not be failing, or else nothing is changed.
      - With V(0) all may leave, and requests get an answer with status 503.
    type: int
    default: 1
  wait:
    description:
      - Whether to wait until the members have no request in flight through this edge, and until nginx has closed its
        idle connections to them, which takes the seconds of its keep-alive timeout (3, unless it is told otherwise).
      - Only for O(state=draining) and O(state=out).
    type: bool
    default: false
  wait_websockets:
    description: Whether to wait for the members' websockets, too. They end when a client or the program ends them.
    type: bool
    default: false
  timeout_seconds:
    description: How long to wait at most, in seconds. More than nginx's keep-alive timeout.
    type: int
    default: 60
  when_not_drained:
    description:
      - What to do when something is left after O(timeout_seconds). The members stay as they are then, so that the task
        can be run again, and RV(left) says what is left.
      - V(continue) is for those who end the rest anyway.
    type: str
    choices: [fail, continue]
    default: fail
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.fence
attributes:
  check_mode:
    description: Predicts and refuses as a run would; nothing is waited for.
    support: full
  diff_mode:
    description: Shows one line for each member that changes, before and after.
    support: full
  platform:
    support: full
seealso:
  - module: slipway.stack.pool_member_info
"""

EXAMPLES = r"""
- name: Let what goes to one host end, before its program is restarted
  slipway.stack.pool_member:
    application: shop
    host: app1
    state: draining
    owner: deploy 2026-03-01T10:15:00Z
    reason: release 1.4.0
    wait: true
    timeout_seconds: 30

- name: Bring it back, but not what somebody else took out
  slipway.stack.pool_member:
    application: shop
    host: app1
    state: active
    owner: deploy 2026-03-01T10:15:00Z
    when_owned_by_other: skip

- name: Take everything out
  slipway.stack.pool_member:
    application: shop
    members: ["*"]
    state: out
    owner: Ada
    reason: new database
    minimum_active: 0
"""

RETURN = r"""
members:
  description: The chosen members and their states, as they are or, in check mode, would be.
  type: list
  elements: dict
  returned: success
  sample:
    - name: app1:3000
      state: draining
      owner: deploy 2026-03-01T10:15:00Z
      reason: release 1.4.0
      since: "2026-03-01T10:15:04Z"
left_alone:
  description: Names of the chosen members that stayed as they were because they belong to another owner.
  type: list
  elements: str
  returned: success
  sample: []
running:
  description: Whether nginx runs. If not, it reads the states when it starts.
  type: bool
  returned: success
  sample: true
drained:
  description: Whether nothing was left of what was waited for.
  type: bool
  returned: when something was waited for
  sample: true
left:
  description: What members still had in flight through this edge when the time was up.
  type: list
  elements: dict
  returned: when something was waited for
  sample: [{name: "app1:3000", in_flight: 1, websockets: 0}]
waited_seconds:
  description: How long it was waited.
  type: float
  returned: when something was waited for
  sample: 3.2
"""

import time
from dataclasses import asdict
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError, fenced
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import AdminError
from ansible_collections.slipway.stack.plugins.module_utils.nginx.pool import (
    ACTIVE,
    FAIL,
    Left,
    PoolError,
    Waited,
    Wanted,
    as_entry,
    describe,
    differs,
    failing,
    left,
    plan,
    select,
    wait_drained,
)
from ansible_collections.slipway.stack.plugins.module_utils.nginx.pool_host import PoolHost
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError


def check_options(params: dict) -> None:
    """Refuse options that do not fit together."""
    if params["state"] != ACTIVE and not params["owner"].strip():
        raise PoolError(f"owner: is empty; expected who makes members {params['state']}, since only they end it")
    if params["state"] == ACTIVE and params["wait"]:
        raise PoolError("wait: true with state active, where nothing ends; expected state draining or out")
    for option, minimum in (("minimum_active", 0), ("timeout_seconds", 1)):
        if params[option] < minimum:
            raise PoolError(f"{option}: {params[option]}; expected a whole number from {minimum} up")


def apply(module: AnsibleModule, host: PoolHost, result: dict) -> None:
    """Change the states; what the module says of it is in ``result`` before nginx is told, which may fail."""
    params, application = module.params, module.params["application"]
    pool, states = host.read(application)
    report = host.report()
    wanted = Wanted(
        members=select(pool, params["members"] or (), params["host"] or "", params["state"]),
        state=params["state"],
        owner=params["owner"],
        reason=params["reason"],
        others=params["when_owned_by_other"],
        minimum_active=params["minimum_active"],
    )
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = plan(pool, wanted, now, failing(report or {}, application))
    # An interrupted run, or one that nginx did not hear of, is made good by the next.
    behind = report is not None and bool(differs(report, pool))
    if found.changes and not module.check_mode:
        host.write(application, states, found.changes)
    states_after = {change.after.name: change.after for change in found.changes}
    result.update(
        changed=bool(found.changes) or behind,
        diff=describe(found.changes),
        members=[as_entry(states_after.get(name, pool.at(name))) for name in wanted.members],
        left_alone=[member.name for member in found.skipped],
    )
    if result["changed"] and not module.check_mode:
        report = synced(module, host)
    result["running"] = report is not None


def synced(module: AnsibleModule, host: PoolHost) -> dict:
    """Let nginx read the states; it is enough that it has understood those of this application."""
    application = module.params["application"]
    try:
        return host.sync()
    except AdminError as error:
        report = host.report()
        pool, _states = host.read(application)
        if report is None or differs(report, pool):
            raise AdminError(
                f"The states of {application} are written, but nginx did not take them and keeps those it had: {error}."
                " Correct that and run this again."
            ) from error
        module.warn(f"nginx took the states of {application}, but: {error}")
        return report


def wait(module: AnsibleModule, host: PoolHost, members: list) -> Waited:
    """Wait until the members that are not active have nothing left."""
    params = module.params
    report = host.report()
    quiet_seconds = report.get("keepalive_timeout_seconds", 0) if report else 0
    if params["timeout_seconds"] <= quiet_seconds:
        raise PoolError(
            f"timeout_seconds: {params['timeout_seconds']}; expected more than the {quiet_seconds} seconds after which"
            " nginx closes idle connections (nginx_upstream_keepalive_timeout_seconds)"
        )

    def observe() -> tuple[Left, ...]:
        return left(host.report() or {}, params["application"], members, params["wait_websockets"])

    return wait_drained(
        observe,
        timeout_seconds=params["timeout_seconds"],
        quiet_seconds=quiet_seconds,
        clock=time.monotonic,
        pause=time.sleep,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "application": {"type": "str", "required": True},
            "members": {"type": "list", "elements": "str"},
            "host": {"type": "str"},
            "state": {"type": "str", "required": True, "choices": ["active", "draining", "out"]},
            "owner": {"type": "str", "default": ""},
            "reason": {"type": "str", "default": ""},
            "when_owned_by_other": {"type": "str", "default": "fail", "choices": ["fail", "skip", "take"]},
            "minimum_active": {"type": "int", "default": 1},
            "wait": {"type": "bool", "default": False},
            "wait_websockets": {"type": "bool", "default": False},
            "timeout_seconds": {"type": "int", "default": 60},
            "when_not_drained": {"type": "str", "default": "fail", "choices": ["fail", "continue"]},
            "fence": {"type": "int"},
        },
        mutually_exclusive=[("members", "host")],
        required_one_of=[("members", "host")],
        supports_check_mode=True,
    )
    params, host = module.params, PoolHost()
    result: dict = {}
    try:
        check_options(params)
        # Not while it waits: that changes nothing.
        with fenced(params["fence"], check_only=module.check_mode):
            if module.check_mode:
                apply(module, host, result)
            else:
                with host.locked(params["application"]):
                    apply(module, host, result)
        if params["wait"] and not module.check_mode:
            # Also those that another owner drained: they get nothing new either.
            waited = wait(module, host, [entry["name"] for entry in result["members"]])
            result["drained"] = waited.drained
            result["left"] = [asdict(item) for item in waited.left]
            result["waited_seconds"] = round(waited.seconds, 2)
            if not waited.drained and params["when_not_drained"] == FAIL:
                what = "; ".join(str(item) for item in waited.left) or "nginx's idle connections are not closed yet"
                module.fail_json(
                    msg=f"{params['application']}: not drained after {params['timeout_seconds']} seconds: {what}."
                    " The members stay as they are; wait longer, or end them with when_not_drained: continue",
                    **result,
                )
    except (FenceError, PoolError, StateFileError, AdminError) as problem:
        module.fail_json(msg=str(problem), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
