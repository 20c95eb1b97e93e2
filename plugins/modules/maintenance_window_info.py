#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Tell whether changes are allowed, and when they will be."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_window_info
short_description: Tell when changes are allowed
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Tells whether changes are allowed at a moment, and at which times they are next.
  - Run it on the controller (C(delegate_to=localhost)).
options:
  count:
    description: How many of the next times at which O(needed_seconds) fit to tell, 1 to 100.
    type: int
    default: 5
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.window
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
  - module: slipway.stack.maintenance_window
"""

EXAMPLES = r"""
- name: Ask for the next three windows in which an hour fits
  slipway.stack.maintenance_window_info:
    windows:
      - timezone: Europe/Berlin
        starts: "22:00"
        duration_minutes: 120
        rrule: FREQ=WEEKLY;BYDAY=TU,TH
    needed_seconds: 3600
    count: 3
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
upcoming:
  description: The next times at which O(needed_seconds) fit, in their order and of the same form, at most O(count).
  type: list
  elements: dict
  returned: success
  sample: [{starts: "2026-11-26T22:00:00+01:00", ends: "2026-11-27T00:00:00+01:00"}]
msg:
  description: The answer in sentences.
  type: str
  returned: always
  sample: "Outside the windows at Tue 2026-11-24 20:00 UTC. The next window is Tue 2026-11-24 22:00 to Wed 2026-11-25
    00:00 Europe/Berlin (Tue 2026-11-24 21:00 to 23:00 UTC), in 1 h."
"""

from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.slipway.stack.plugins.module_utils.deploy.window import (
    DATEUTIL_IMPORT_ERROR,
    OPTIONS,
    WindowError,
    as_dict,
    ask,
    describe,
    parse_at,
    parse_calendar,
    report,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={**OPTIONS, "count": {"type": "int", "default": 5}},
        supports_check_mode=True,
    )
    params = module.params
    if DATEUTIL_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("python-dateutil"), exception=DATEUTIL_IMPORT_ERROR)
    try:
        calendar = parse_calendar(params["windows"], params["freezes"])
        at = parse_at(params["at"]) if params["at"] else datetime.now(timezone.utc)
        answer = ask(calendar, at, params["needed_seconds"], params["count"])
    except WindowError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**report(answer), upcoming=[as_dict(span) for span in answer.following], msg=describe(answer))


if __name__ == "__main__":
    main()
