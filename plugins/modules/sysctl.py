#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Kernel settings of a whole host in one call, refusals reported."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl
short_description: Kernel settings of a whole host in one call, refusals reported
version_added: 0.1.0
description:
  - Sets kernel parameters, and attributes below C(/sys), now and for every boot. All are given at once; the files are
    wholly the module's.
  - What the kernel does not hold after the attempt is reported in RV(refused) with the reason. That is a key that does
    not exist, one that is read-only (as many are in a container), or a value that the kernel rejects. It is not an
    error, is not counted as a change, and stays in the file as a comment that a later run tries again.
  - A value that the kernel changes, as when it finds fewer huge pages than asked for, is reported there too, and is
    persisted as asked for, because it may be had at the next boot.
author:
  - slipway.stack founders (@slipway)
attributes:
  check_mode:
    description:
      - Can run in check mode and predicts the changes.
      - A value that the kernel rejects only when it is tried is predicted as a change until a run has tried it.
    support: full
  diff_mode:
    description: Shows the file and the live values.
    support: full
  platform:
    description: Systems it works on.
    support: full
    platforms: Debian, Ubuntu
options:
  settings:
    description:
      - Keys and values, such as C(net.core.somaxconn=65535). Order is kept, in the attempts as in the file.
      - A list is joined by blanks, a boolean becomes 1 or 0, and whitespace within a value does not count as a
        difference.
      - A key with dots in a part of its name is written with slashes, C(net/ipv4/conf/eth0.100/rp_filter).
      - Required with O(state=present).
    type: dict
  file:
    description: Absolute path of the file that persists the settings.
    type: path
    default: /etc/sysctl.d/60-slipway.conf
  sysfs:
    description:
      - Attributes below C(/sys) and their values, persisted for C(systemd-tmpfiles).
      - Of an attribute that lists its choices, the chosen one is compared.
      - Without it O(sysfs_file) is not looked at; an empty dictionary removes it.
    type: dict
  sysfs_file:
    description:
      - Absolute path of the file that persists O(sysfs).
      - Without it, the file in C(/etc/tmpfiles.d) that has the same name as O(file).
    type: path
  state:
    description:
      - With V(present) the settings are applied and persisted. Keys that left O(settings) leave the file; the kernel
        keeps their last value until it boots.
      - With V(absent) the files are removed; the kernel keeps its values until it boots.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Widen the queues of a web server
  slipway.stack.sysctl:
    settings:
      net.core.somaxconn: 65535
      net.ipv4.ip_local_port_range: 10000 65535
  register: kernel

- name: Switch transparent huge pages off
  slipway.stack.sysctl:
    settings: {}
    sysfs:
      kernel/mm/transparent_hugepage/enabled: never

- name: Show what the kernel refused
  ansible.builtin.debug:
    var: kernel.refused
  when: kernel.refused | length > 0

- name: Leave the settings to the distribution from the next boot on
  slipway.stack.sysctl:
    state: absent
"""

RETURN = r"""
applied:
  description: Live values that were changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"key": "net.core.somaxconn", "before": "4096", "after": "65535"}]
refused:
  description: Settings that the kernel does not hold, with the reason.
  returned: always
  type: list
  elements: dict
  sample: [{"key": "net.ipv4.tcp_tw_recycle", "value": "1", "reason": "no such key in this kernel or container"}]
file:
  description: The file that persists the settings.
  returned: always
  type: str
  sample: /etc/sysctl.d/60-slipway.conf
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.client import Kernel
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.model import (
    Change,
    Refusal,
    normalise,
    parse_refused,
    plan,
    predict,
    render,
    sysctl_line,
    tmpfiles_line,
)


@dataclass(frozen=True)
class Part:
    """One tree of the kernel's, what is wanted of it, and the file that persists that. Nothing wanted: no file."""

    root: str
    option: str
    wanted: dict[str, str]
    file: Path
    line: Callable[[str, str], str]


@dataclass(frozen=True)
class Outcome:
    """What became, or would become, of one part."""

    part: Part
    applied: tuple[Change, ...]
    refused: tuple[Refusal, ...]
    before: str
    after: str

    def diff(self) -> list[dict[str, str]]:
        return [
            {
                "before_header": str(self.part.file),
                "after_header": str(self.part.file),
                "before": self.before,
                "after": self.after,
            },
            {
                "before_header": self.part.root,
                "after_header": self.part.root,
                "before": "".join(f"{change.key} = {change.before}\n" for change in self.applied),
                "after": "".join(f"{change.key} = {change.after}\n" for change in self.applied),
            },
        ]


def parts_of(params: dict[str, Any]) -> list[Part]:
    """The trees to look at. Raises ValueError naming an option that is wrong."""
    for option in ("file", "sysfs_file"):
        if params[option] is not None and not params[option].startswith("/"):
            raise ValueError(f"{option}: {params[option]!r} is not an absolute path")
    file = Path(params["file"])
    sysfs_file = Path(params["sysfs_file"] or f"/etc/tmpfiles.d/{file.name}")
    absent = params["state"] == "absent"
    settings = {} if absent else normalise(params["settings"])
    parts = [Part("/proc/sys", "settings", settings, file, sysctl_line)]
    if absent or params["sysfs"] is not None:
        attributes = {} if absent else normalise(params["sysfs"], "sysfs")
        parts.append(Part("/sys", "sysfs", attributes, sysfs_file, tmpfiles_line))
    return parts


def ensure(module: AnsibleModule, part: Part) -> Outcome:
    kernel = Kernel(part.root)
    before = part.file.read_text(encoding="utf-8") if part.file.exists() else ""
    planned = plan(part.wanted, kernel.read(part.wanted))
    if module.check_mode:
        refusals = predict(planned, parse_refused(before))
    else:
        refusals = planned.refusals + kernel.apply(planned.changes)
    by_key = {refusal.key: refusal for refusal in refusals}
    refused = tuple(by_key[key] for key in part.wanted if key in by_key)
    after = render(part.wanted, refused, part.line) if part.wanted else ""
    if after != before and not module.check_mode:
        write(part.file, after)
    applied = tuple(change for change in planned.changes if change.key not in by_key)
    return Outcome(part, applied, refused, before, after)


def write(path: Path, text: str) -> None:
    """Replace the file by rename, or remove it where there is nothing to say."""
    if not text:
        path.unlink()
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".slipway-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict"},
            "file": {"type": "path", "default": "/etc/sysctl.d/60-slipway.conf"},
            "sysfs": {"type": "dict"},
            "sysfs_file": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["settings"])],
        supports_check_mode=True,
    )
    try:
        outcomes = [ensure(module, part) for part in parts_of(module.params)]
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=any(outcome.applied or outcome.after != outcome.before for outcome in outcomes),
        applied=[asdict(change) for outcome in outcomes for change in outcome.applied],
        refused=[
            {"key": refusal.key, "value": refusal.value, "reason": refusal.reason}
            for outcome in outcomes
            for refusal in outcome.refused
        ],
        diff=[difference for outcome in outcomes for difference in outcome.diff()],
        file=module.params["file"],
    )


if __name__ == "__main__":
    main()
