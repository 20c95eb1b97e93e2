#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Facts that sizing and preflight need, in one quick read."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Facts that sizing and preflight need, in one quick read
version_added: 0.1.0
description:
  - Returns the fact C(slipway_host) with the processors and the memory that a host may really use, its release, clock,
    file systems and disk kind, and every TCP port that somebody listens on, with the process and the systemd unit.
  - Limits of a container's cgroup (version 1 and 2) are respected for memory and processors.
  - Only reads. Without root, ports are returned with unknown process and unit where the kernel hides them.
author:
  - slipway.stack founders (@slipway)
attributes:
  check_mode:
    description: Can run in check mode, and does the same there.
    support: full
  diff_mode:
    description: There is nothing to differ.
    support: none
  facts:
    description: Returns an C(ansible_facts) dictionary.
    support: full
  platform:
    description: Systems it works on.
    support: full
    platforms: Debian, Ubuntu
options: {}
"""

EXAMPLES = r"""
- name: Read the host
  slipway.stack.host_info:

- name: Show the memory that services may share
  ansible.builtin.debug:
    msg: "{{ ansible_facts['slipway_host']['memory_mb'] }} MB"
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to the host.
  returned: always
  type: dict
  contains:
    slipway_host:
      description: What the host has.
      returned: always
      type: dict
      contains:
        cores:
          description: Processors that may be used, a cgroup's quota rounded up.
          type: int
          sample: 4
        memory_mb:
          description: Memory in MiB, or the cgroup's limit where that is lower.
          type: int
          sample: 7941
        distribution:
          description: C(ID) of os-release.
          type: str
          sample: debian
        version:
          description: C(VERSION_ID) of os-release.
          type: str
          sample: "13"
        codename:
          description: C(VERSION_CODENAME) of os-release.
          type: str
          sample: trixie
        kernel:
          description: Release of the running kernel.
          type: str
          sample: 6.12.43+deb13-cloud-amd64
        container:
          description: Whether the host is a container.
          type: bool
          sample: false
        python:
          description: Version of the Python that the module ran on.
          type: str
          sample: 3.13.5
        epoch:
          description: The host's clock, in seconds since 1970 (UTC).
          type: float
          sample: 1790000000.123
        filesystems:
          description:
            - Space by mount point, for file systems that hold data.
            - C(free_percent) is counted as C(df) does, available / (used + available).
          type: dict
          sample: {"/": {"total_mb": 50185, "free_mb": 40148, "free_percent": 84.2}}
        rotational:
          description:
            - Whether the disk under C(/var/lib) turns; null when the kernel cannot know, as for most virtual disks.
          type: bool
          sample: false
        limits:
          description:
            - The highest limits of open files (C(nofile)) and processes (C(nproc)) that the host can give a process.
            - Null where there is no bound.
          type: dict
          sample: {"nofile": 1048576, "nproc": null}
        listeners:
          description: TCP ports that somebody listens on.
          type: list
          elements: dict
          sample: [{"address": "0.0.0.0", "port": 22, "process": "sshd", "unit": "ssh.service"}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.host.info import collect
from ansible_collections.slipway.stack.plugins.module_utils.host.local import LocalSystem


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        host = collect(LocalSystem())
    except ValueError as error:
        module.fail_json(msg=f"the host cannot be read: {error}")
    module.exit_json(changed=False, ansible_facts={"slipway_host": host.as_dict()})


if __name__ == "__main__":
    main()
