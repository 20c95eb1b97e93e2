# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The options that say when an application may be changed, which two modules have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Descriptions of the options."""

    DOCUMENTATION = r"""
options:
  windows:
    description:
      - Times at which changes are allowed. Without any, they always are, but for O(freezes).
      - A window begins and ends when the clocks of its time zone show that. In a night in which they are changed, it
        lasts an hour less or more. A time that the clocks skip is the moment at which they are set forward; one that
        they show twice is the first of the two.
      - Windows that touch or overlap are one.
    type: list
    elements: dict
    default: []
    suboptions:
      timezone:
        description: Name of the time zone, such as V(Europe/Berlin) or V(UTC), as the controller knows it.
        type: str
        required: true
      starts:
        description: When it opens, such as V("22:00"), with the quotes.
        type: str
        required: true
      duration_minutes:
        description: Minutes until it closes, 1 to 10080 (a week). It may go past midnight.
        type: int
        required: true
      rrule:
        description:
          - On which days it opens, as the RRULE of RFC 5545 with a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY, such as
            V(FREQ=WEEKLY;BYDAY=TU,TH) or V(FREQ=MONTHLY;BYDAY=1SU).
          - A rule that counts, by INTERVAL or COUNT, or that does not name a day, needs the first date in C(from).
        type: str
        default: FREQ=DAILY
      from:
        description: The first date on which it may open.
        type: str
      until:
        description: The last date on which it may open.
        type: str
  freezes:
    description: Times at which changes are not allowed, whatever windows there are.
    type: list
    elements: dict
    default: []
    suboptions:
      timezone:
        description: Name of the time zone whose clocks C(from) and C(until) mean.
        type: str
        required: true
      from:
        description: When it begins, as a date and time such as V(2026-12-20T18:00), or as a date, at its first minute.
        type: str
        required: true
      until:
        description: When it ends, in the same form. What is given is not frozen any more.
        type: str
        required: true
      reason:
        description: Why, for people to read.
        type: str
        default: ""
  needed_seconds:
    description: How many seconds the changes may take. So many have to remain of the window.
    type: int
    default: 0
  at:
    description:
      - The moment asked about, in ISO 8601 with an offset from UTC, such as V(2026-11-24T22:00:00+01:00).
      - Without it, it is now, by the controller's clock.
    type: str
requirements:
  - python-dateutil (on the controller)
"""
