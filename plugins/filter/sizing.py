# Copyright (c) slipway.stack contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the domain sizing: plain data in and out, arithmetic in module_utils/sizing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.sizing import budget, kernel, postgresql, redis


def _refused(name: str, error: ValueError | TypeError) -> AnsibleFilterError:
    return AnsibleFilterError(f"slipway.stack.{name}: {error}")


def postgresql_settings(memory_mb: Any, **options: Any) -> list[dict[str, Any]]:
    try:
        return [setting.as_dict() for setting in postgresql.postgresql_settings(memory_mb, **options)]
    except (ValueError, TypeError) as error:
        raise _refused("postgresql_settings", error) from error


def redis_settings(memory_mb: Any, **options: Any) -> list[dict[str, Any]]:
    try:
        return [setting.as_dict() for setting in redis.redis_settings(memory_mb, **options)]
    except (ValueError, TypeError) as error:
        raise _refused("redis_settings", error) from error


def memory_budget(host_memory_mb: Any, services: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    try:
        found = asdict(budget.memory_budget(host_memory_mb, services))
    except (ValueError, TypeError) as error:
        raise _refused("memory_budget", error) from error
    return {**found, "explanation": list(found["explanation"])}


def kernel_settings(services: Iterable[str], host: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    try:
        found = kernel.kernel_settings(
            services,
            host.get("memory_mb"),
            bool(host.get("container", False)),
            **options,  # type: ignore[arg-type]
        )
    except (ValueError, TypeError) as error:
        raise _refused("kernel_settings", error) from error
    pages = found.transparent_hugepages
    return {
        "sysctl": [setting.as_dict() for setting in found.sysctl],
        "transparent_hugepages": pages.as_dict() if pages else None,
    }


def huge_pages(shared_memory_in_huge_pages: Any) -> int:
    try:
        return kernel.huge_pages(shared_memory_in_huge_pages)
    except (ValueError, TypeError) as error:
        raise _refused("huge_pages", error) from error


class FilterModule:
    """Filters of slipway.stack that size a host's services."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "postgresql_settings": postgresql_settings,
            "redis_settings": redis_settings,
            "memory_budget": memory_budget,
            "kernel_settings": kernel_settings,
            "huge_pages": huge_pages,
        }
