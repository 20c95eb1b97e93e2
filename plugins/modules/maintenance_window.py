#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Go on only when changes are allowed, and there is time enough for them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_window
short_description: Go on only when changes are allowed
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Tells whether changes are allowed at this moment, or fails when they are not, or waits until they are. What it says
    names the next window, in its own time zone and in UTC.
  - Run it on the controller (C(delegate_to=localhost)).
options:
  when_closed:
    description:
      - What to do when changes are not allowed.
      - V(fail) fails.
      - V(wait) waits for the next window in which O(needed_seconds) fit, and fails at once if that begins later than
        O(wait_timeout_seconds) from now. In check mode, it does not wait.
      - V(continue) goes on, and RV(open) says so.
    type: str
    choices: [fail, wait, continue]
    default: fail
  wait_timeout_seconds:
    description: How many seconds to wait at most, at least 1.
    type: int
    default: 86400
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.window
attributes:
  check_mode:
    description: Changes nothing, and refuses as a run would; nothing is waited for.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  platform:
    support: full
seealso:
  - module: slipway.stack.maintenance_window_info
"""

EXAMPLES = r"""
- name: Go on only on Tuesday and Thursday night, and when 20 minutes remain
  slipway.stack.maintenance_window:
    windows:
      - timezone: Europe/Berlin
        starts: "22:00"
        duration_minutes: 120
        rrule: FREQ=WEEKLY;BYDAY=TU,TH
    freezes:
      - timezone: Europe/Berlin
        from: 2026-12-20
        until: 2027-01-03
        reason: Christmas
    needed_seconds: 1200
  delegate_to: localhost
  become: false
"""

RETURN = r"""
open:
  description: Whether changes that take O(needed_seconds) may begin.
  type: bool
  returned: success
  sample: true
reason:
  description:
    - C(inside) or C(no_windows) when they may.
    - C(outside), C(frozen) or, when not enough time remains, C(too_short) when they may not.
  type: str
  returned: success
  sample: inside
window:
  description:
    - What is open at the moment, also when it is too short; null when nothing is. It ends where a freeze begins.
    - Moments are in ISO 8601, by the clocks of the window's time zone; null where no end is in sight.
  type: dict
  returned: success
  sample: {starts: "2026-11-24T22:00:00+01:00", ends: "2026-11-25T00:00:00+01:00"}
next:
  description: The next time, later than now, at which O(needed_seconds) fit, of the same form; null without one in
    five years.
  type: dict
  returned: success
  sample: {starts: "2026-11-26T22:00:00+01:00", ends: "2026-11-27T00:00:00+01:00"}
remaining_seconds:
  description: Seconds until RV(window) ends; 0 when nothing is open, null when no end is in sight.
  type: int
  returned: success
  sample: 5400
waited_seconds:
  description: How long it was waited.
  type: int
  returned: success
  sample: 0
msg:
  description: The answer in sentences.
  type: str
  returned: always
  sample: "Inside the window Tue 2026-11-24 22:00 to Wed 2026-11-25 00:00 Europe/Berlin (Tue 2026-11-24 21:00 to 23:00
    UTC); 1 h 30 min remain."
"""

import time
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.slipway.stack.plugins.module_utils.deploy.window import (
    DATEUTIL_IMPORT_ERROR,
    OPTIONS,
    WindowError,
    ask,
    describe,
    parse_at,
    parse_calendar,
    report,
    wait_open,
)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Ask, or wait; return what the module says of it."""
    calendar = parse_calendar(params["windows"], params["freezes"])
    waits = params["when_closed"] == "wait"
    if params["at"] and waits:
        raise WindowError("at: is for questions only; leave it out with when_closed: wait")
    began = now()
    if waits and not check_mode:
        answer = wait_open(calendar, params["needed_seconds"], params["wait_timeout_seconds"], now, time.sleep)
    else:
        at = parse_at(params["at"]) if params["at"] else began
        answer = ask(calendar, at, params["needed_seconds"])
    waited = int((answer.at - began).total_seconds()) if waits else 0
    return {**report(answer), "waited_seconds": waited, "msg": describe(answer)}


def now() -> datetime:
    """Return the present."""
    return datetime.now(timezone.utc)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "when_closed": {"type": "str", "choices": ["fail", "wait", "continue"], "default": "fail"},
            "wait_timeout_seconds": {"type": "int", "default": 86400},
        },
        supports_check_mode=True,
    )
    if DATEUTIL_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("python-dateutil"), exception=DATEUTIL_IMPORT_ERROR)
    try:
        result = run(module.params, module.check_mode)
    except WindowError as problem:
        module.fail_json(msg=str(problem))
    if result["open"] or module.params["when_closed"] == "continue":
        module.exit_json(**result)
    if module.params["when_closed"] == "wait" and module.check_mode:
        module.exit_json(**result)
    module.fail_json(**result)


if __name__ == "__main__":
    main()
