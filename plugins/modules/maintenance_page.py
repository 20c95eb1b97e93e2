#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Announce maintenance of an application on this edge, switch its page on, and off."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_page
short_description: Announce an application's maintenance, show its page, or end it
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Changes what an application's visitors get from this edge, at once and without a reload of nginx.
  - While the page is on, every request gets status 503 with C(Retry-After), as a page for people and as JSON for
    programs. Requests that are in flight end as they would have, and websockets that are open stay open.
  - While maintenance is announced, answers carry C(Maintenance-Announcement), and the state that browsers ask for
    names message and times.
  - The state is in C(/var/lib/slipway/maintenance/APPLICATION.json). nginx reads it at every start. Where it does not
    run, that is enough. The role nginx never changes it.
  - Each edge has a state of its own, so run this on all of them.
options:
  application:
    description: Name of the application, as in C(slipway_apps).
    type: str
    required: true
  state:
    description:
      - V(off) ends it. Message, times and allow list are forgotten; O(text), O(starts), O(ends) and O(allow) are not
        looked at further.
      - V(announced) tells visitors, who still reach the application.
      - V(on) shows the page. Nothing else switches it on or off; no time that passes does.
    type: str
    required: true
    choices: ["off", announced, "on"]
  text:
    description:
      - What visitors read, as text, which may have several lines. An empty one stands for a general sentence.
      - Left out, it stays what it is, so that V(on) shows what was announced.
    type: str
  starts:
    description:
      - When maintenance begins, in ISO 8601 with an offset from UTC, such as V(2026-11-24T22:00:00+01:00).
      - Required for O(state=announced). Left out, it stays what it is. An empty one takes it away.
    type: str
  ends:
    description:
      - When maintenance ends, as O(starts). Pages and C(Retry-After) go by it. It must not have passed.
      - Left out, it stays what it is. An empty one takes it away.
    type: str
  allow:
    description:
      - Addresses and networks, IPv4 and IPv6, whose requests reach the application while the page is on. The address
        is that of the client, behind a CDN as well. Answers to them carry C(Maintenance) with the value C(on).
      - Left out, it stays what it is.
    type: list
    elements: str
  owner:
    description: Who asks. Required for O(state=announced) and O(state=on), since only they end it.
    type: str
    default: ""
  reason:
    description: Why, for other operators. Visitors do not see it.
    type: str
    default: ""
  when_owned_by_other:
    description:
      - What to do about a page that another O(owner) announced or switched on.
      - V(fail) changes nothing and says who has it.
      - V(skip) leaves it as it is; RV(left_alone) says so.
      - V(take) changes it. From then on it belongs to this O(owner).
    type: str
    choices: [fail, skip, take]
    default: fail
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.fence
attributes:
  check_mode:
    description: Predicts and refuses as a run would.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
  platform:
    support: full
seealso:
  - module: slipway.stack.maintenance_page_info
"""

EXAMPLES = r"""
- name: Announce this night's maintenance
  slipway.stack.maintenance_page:
    application: shop
    state: announced
    text: The shop gets a new database.
    starts: "2026-11-24T22:00:00+01:00"
    ends: "2026-11-24T22:30:00+01:00"
    owner: Ada

- name: Show the page to all but the office
  slipway.stack.maintenance_page:
    application: shop
    state: "on"
    allow: [192.0.2.0/24, "2001:db8:17::/48"]
    owner: Ada

- name: End it
  slipway.stack.maintenance_page:
    application: shop
    state: "off"
    owner: Ada
"""

RETURN = r"""
maintenance:
  description:
    - The state, as it is or, in check mode, would be. Times are in UTC and null where there is none.
    - C(since) is when the state became what it is, C(overdue) whether C(ends) has passed.
  type: dict
  returned: success
  sample:
    state: "on"
    message: The shop gets a new database.
    starts: "2026-11-24T21:00:00Z"
    ends: "2026-11-24T21:30:00Z"
    allow: [192.0.2.0/24, "2001:db8:17::/48"]
    owner: Ada
    reason: ""
    since: "2026-11-24T21:00:03Z"
    overdue: false
previous:
  description: The state that was found, of the same form.
  type: dict
  returned: success
  sample:
    state: announced
    message: The shop gets a new database.
    starts: "2026-11-24T21:00:00Z"
    ends: "2026-11-24T21:30:00Z"
    allow: []
    owner: Ada
    reason: ""
    since: "2026-11-24T09:12:40Z"
    overdue: false
left_alone:
  description: Whether the page was left to another owner.
  type: bool
  returned: success
  sample: false
running:
  description: Whether nginx runs. If not, it reads the state when it starts.
  type: bool
  returned: success
  sample: true
"""

from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError, fenced
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import AdminError
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance import (
    MaintenanceError,
    Request,
    applied,
    describe,
    differs,
    parse_request,
    plan,
    report_state,
    warnings,
)
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance_host import MaintenanceHost
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError


def apply(module: AnsibleModule, host: MaintenanceHost, request: Request) -> dict:
    """Change the state; return what the module says of it."""
    application = module.params["application"]
    now = datetime.now(timezone.utc)
    current = host.read(application)
    found = plan(current, request, now)
    after = applied(current, request, now) if found.actions else current
    report = host.report()
    # An interrupted run, or one that nginx did not hear of, is made good by the next.
    behind = report is not None and differs(report, application, current)
    changed = bool(found.actions) or behind
    if changed and not module.check_mode:
        if found.actions:
            host.write(application, after)
        report, problem = host.sync()
        if report is not None and differs(report, application, after):
            raise AdminError(
                f"The state of {application} is written, but nginx did not take it and keeps the one it had"
                f"{': ' + problem if problem else ''}. Correct that and run this again."
            )
        if problem:
            module.warn(f"nginx took the state of {application}, but: {problem}")
    for warning in warnings(after, now):
        module.warn(f"{application}: {warning}")
    return {
        "changed": changed,
        "diff": describe(current, found.actions),
        "maintenance": report_state(after, now),
        "previous": report_state(current, now),
        # Not "skipped": Ansible takes a result with that key for a task that did not run.
        "left_alone": found.skipped,
        "running": report is not None,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "application": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["off", "announced", "on"]},
            "text": {"type": "str"},
            "starts": {"type": "str"},
            "ends": {"type": "str"},
            "allow": {"type": "list", "elements": "str"},
            "owner": {"type": "str", "default": ""},
            "reason": {"type": "str", "default": ""},
            "when_owned_by_other": {"type": "str", "default": "fail", "choices": ["fail", "skip", "take"]},
            "fence": {"type": "int"},
        },
        supports_check_mode=True,
    )
    host = MaintenanceHost()
    try:
        request = parse_request(module.params)
        with fenced(module.params["fence"], check_only=module.check_mode):
            if module.check_mode:
                result = apply(module, host, request)
            else:
                with host.locked(module.params["application"]):
                    result = apply(module, host, request)
    except (FenceError, MaintenanceError, StateFileError, AdminError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
