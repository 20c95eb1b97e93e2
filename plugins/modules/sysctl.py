# Copyright (c) slipway.stack contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl
short_description: Kernel settings of a whole file in one call, refusals reported
version_added: 0.1.0
description:
  - Sets kernel parameters now and for every boot. All keys are given at once; the file is wholly the module's.
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
  state:
    description:
      - With V(present) the settings are applied and persisted. Keys that left O(settings) leave the file; the kernel
        keeps their last value until it boots.
      - With V(absent) the file is removed; the kernel keeps its values until it boots.
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
  sample: [{"key": "net.ipv4.tcp_tw_recycle", "value": "1", "reason": "the kernel has no such key"}]
file:
  description: The file that persists the settings.
  returned: always
  type: str
  sample: /etc/sysctl.d/60-slipway.conf
"""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.client import Kernel
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.model import (
    normalise,
    parse_refused,
    plan,
    predict,
    render,
)


def present(module: AnsibleModule, kernel: Kernel) -> dict[str, Any]:
    path = Path(module.params["file"])
    wanted = normalise(module.params["settings"])
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    planned = plan(wanted, kernel.read(wanted))
    remembered = parse_refused(before)
    refused = predict(planned, remembered)
    if not module.check_mode:
        refused = planned.refusals + kernel.apply(planned.changes)
    not_held = {refusal.key for refusal in refused}
    refused = tuple(refusal for key in wanted for refusal in refused if refusal.key == key)
    applied = [change for change in planned.changes if change.key not in not_held]
    after = render(wanted, refused)
    if after != before and not module.check_mode:
        write(module, path, after)
    return {
        "changed": bool(applied) or after != before,
        "applied": [asdict(change) for change in applied],
        "refused": [{"key": refusal.key, "value": refusal.value, "reason": refusal.reason} for refusal in refused],
        "diff": [
            {"before_header": str(path), "after_header": str(path), "before": before, "after": after},
            {
                "before_header": "running kernel",
                "after_header": "running kernel",
                "before": "".join(f"{change.key} = {change.before}\n" for change in applied),
                "after": "".join(f"{change.key} = {change.after}\n" for change in applied),
            },
        ],
    }


def absent(module: AnsibleModule) -> dict[str, Any]:
    path = Path(module.params["file"])
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    changed = path.exists()
    if changed and not module.check_mode:
        path.unlink()
    return {
        "changed": changed,
        "applied": [],
        "refused": [],
        "diff": {"before_header": str(path), "after_header": str(path), "before": before, "after": ""},
    }


def write(module: AnsibleModule, path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    module.atomic_move(name, str(path))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict"},
            "file": {"type": "path", "default": "/etc/sysctl.d/60-slipway.conf"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["settings"])],
        supports_check_mode=True,
    )
    try:
        if not module.params["file"].startswith("/"):
            raise ValueError(f"file: {module.params['file']!r} is not an absolute path")
        result = absent(module) if module.params["state"] == "absent" else present(module, Kernel())
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(file=module.params["file"], **result)


if __name__ == "__main__":
    main()
