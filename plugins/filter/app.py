# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role app: judge an application's environment and instances, and write them for systemd."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.app import declaration, environment


def _mapping(filter_name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"{filter_name} takes a dictionary of variables; got {type(value).__name__}")
    return value


def environment_file(value: object) -> str:
    """The text of a systemd EnvironmentFile."""
    try:
        return environment.environment_file(_mapping("environment_file", value))
    except environment.EnvironmentProblem as problem:
        raise AnsibleFilterError(f"environment_file: {problem}") from problem


def unit_command(value: object, directory: str) -> str:
    """An ExecStart= value."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise AnsibleFilterError(f"unit_command takes a list: the program, then its arguments; got {value!r}")
    try:
        return environment.unit_command(value, directory)
    except environment.EnvironmentProblem as problem:
        raise AnsibleFilterError(f"unit_command: {problem}") from problem


def node_options(value: str, memory_limit_mb: int, heap_ratio: float) -> str:
    """NODE_OPTIONS with the heap held below the memory limit."""
    return environment.node_options(value, int(memory_limit_mb), float(heap_ratio))


def environment_findings(
    value: object,
    required: Sequence[Any] = (),
    one_of: Sequence[Sequence[str]] = (),
    managed: Sequence[str] = (),
) -> list[str]:
    """What is wrong with an application's environment; no values."""
    return list(environment.findings(_mapping("environment_findings", value), required, one_of, managed))


def app_findings(value: object) -> list[str]:
    """What is wrong with the declaration of an application."""
    return list(declaration.findings(_mapping("app_findings", value)))


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions."""
        return {
            "app_findings": app_findings,
            "environment_file": environment_file,
            "environment_findings": environment_findings,
            "node_options": node_options,
            "unit_command": unit_command,
        }
