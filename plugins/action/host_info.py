# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs the module host_info and compares the host's clock with the controller's."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.stack.plugins.module_utils.host.clock import Sample, best, sharp

_MORE_SAMPLES = 3


class ActionModule(ActionBase):
    """Adds clock_offset_seconds and clock_uncertainty_seconds to the fact slipway_host."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        before = time.time()
        result = self._execute_module(module_name="slipway.stack.host_info", task_vars=task_vars)
        after = time.time()
        host = (result.get("ansible_facts") or {}).get("slipway_host")
        if not host:
            return result
        samples = [Sample(before, after, host["epoch"])]
        # A module run takes long on a busy controller. The way to a mere `date` is shorter, so its answer is sharper.
        while not sharp(best(samples)) and len(samples) <= _MORE_SAMPLES:
            sample = self._ask()
            if sample is None:
                break
            samples.append(sample)
        chosen = best(samples)
        host["clock_offset_seconds"] = round(chosen.offset, 3)
        host["clock_uncertainty_seconds"] = round(chosen.uncertainty, 3)
        return result

    def _ask(self) -> Sample | None:
        command = f"{self._compute_environment_string()} date +%s.%N".strip()
        before = time.time()
        answer = self._low_level_execute_command(command, sudoable=False)
        after = time.time()
        lines = str(answer.get("stdout", "")).split()
        try:
            return Sample(before, after, float(lines[-1]))
        except (IndexError, ValueError):
            return None
