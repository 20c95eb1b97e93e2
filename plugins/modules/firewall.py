#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A host's firewall from declared rules; a change takes itself back unless a new connection confirms it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall
short_description: A default-drop firewall from declared rules, which takes a change back unless it is confirmed
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Drops what comes in and is not declared, with one nftables table, C(inet slipway), that is replaced as a whole and
    at once. Other tables, such as those of Docker or fail2ban, are not touched. What goes out and what is forwarded is
    not filtered.
  - Always let in are answers (established and related connections), the loopback interface, the ICMP and ICMPv6 that
    IP needs (errors, path MTU, echo, neighbours, routers, listeners of multicast), and answers of DHCP servers.
  - A change takes two steps. O(state=present) sets a timer that brings the former rules back after
    O(confirm_seconds), and loads the new ones. O(state=confirmed), over a I(new) connection, stops the timer and makes
    the rules those that the host boots with. Without it, the host is where it was. It boots with the former rules
    until then.
  - Rules are refused that would drop the SSH connection which the module itself runs over, if it came anew.
  - The rules are first loaded in an empty network namespace. That tests them, and gives the form in which the running
    ones have to be listed. A table that somebody changed by hand is noticed by that and replaced.
options:
  rules:
    description: Who may reach what.
    type: list
    elements: dict
    default: []
    suboptions: &rule
      name:
        description: A name of its own, of 1 to 63 lower-case letters, digits, - and _, the first a letter.
        type: str
        required: true
      sources:
        description: Addresses and networks, IPv4 and IPv6, or only V(any). Names are not looked up.
        type: list
        elements: str
        required: true
      protocol:
        description: The protocol; V(icmp) is that of IPv4 and that of IPv6.
        type: str
        choices: [tcp, udp, sctp, icmp, igmp, gre, esp, ah, vrrp]
        default: tcp
      ports:
        description: Ports and ranges of ports such as V(8000-8010), for those protocols that have ports.
        type: list
        elements: str
        default: []
  extra_rules:
    description: More of them. They are added to O(rules); only messages tell the two apart.
    type: list
    elements: dict
    default: []
    suboptions: *rule
  ssh_port:
    description: The port that SSH listens at.
    type: int
    default: 22
  ssh_sources:
    description: From where SSH is let in, as O(rules[].sources).
    type: list
    elements: str
    default: [any]
  ssh_check:
    description:
      - Refuse rules that leave out the SSH connection that the module runs over, and a user who has no authorised key
        where sshd takes nothing else.
      - Without it, only the timer is between a wrong rule and a locked-out operator.
    type: bool
    default: true
  log:
    description: Note dropped packets in the kernel's log, at most O(log_per_minute) of them.
    type: bool
    default: false
  log_per_minute:
    description: How many dropped packets are noted a minute, from 1 to 10000.
    type: int
    default: 10
  confirm_seconds:
    description: Seconds after which unconfirmed rules are taken back, from 10 to 3600.
    type: int
    default: 30
  new_connection:
    description:
      - With O(state=confirmed), insist on another SSH connection than the one that the rules were tried over.
      - Only where the host is not reached over SSH can that be left out.
    type: bool
    default: true
  file:
    description: Absolute path of the file that the host loads its rules from at boot.
    type: path
    default: /etc/slipway/firewall.nft
  state:
    description:
      - V(present) tries the rules.
      - V(confirmed) keeps those that are being tried; O(rules) are not looked at. Nothing changes where there are none.
      - V(absent) takes the table, the file and the unit from the host. That opens the host, so that it needs no
        confirmation.
    type: str
    choices: [present, confirmed, absent]
    default: present
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    description: Predicts the change; the rules are loaded in a network namespace of their own, if nft is installed.
    support: full
  diff_mode:
    description: Shows the file, or where somebody changed the table by hand, the table as nft lists it.
    support: full
  platform:
    support: full
    platforms: Debian, Ubuntu
notes:
  - systemd and, for the rules, the package C(nftables) have to be there. The package's own C(nftables.service) is not
    used, because it flushes the tables of others too.
"""

EXAMPLES = r"""
- name: Let the web in from everywhere, and the database's clients from one network
  slipway.stack.firewall:
    rules:
      - {name: web, sources: [any], ports: [80, 443]}
      - {name: postgresql, sources: [192.0.2.0/24, "2001:db8:1::/64"], ports: [5432]}
    ssh_sources: [198.51.100.0/24]
  register: tried

- name: Keep the rules if a new connection gets in
  when: tried.pending
  block:
    - name: Come in anew
      ansible.builtin.wait_for_connection:
        timeout: 60

    - name: Keep them
      slipway.stack.firewall:
        state: confirmed

- name: Take the firewall away
  slipway.stack.firewall:
    state: absent
"""

RETURN = r"""
pending:
  description: Whether rules wait for their confirmation, or would in a run that is not in check mode.
  returned: always
  type: bool
  sample: true
actions:
  description: >-
    What was done, or would be: V(revert) what an earlier run tried, V(try) the rules, write those for the next V(boot),
    V(keep) what was tried, V(remove) all.
  returned: always
  type: list
  elements: str
  sample: [try]
session:
  description: The SSH connection that the module ran over, as this host sees it; V(none) where it is not one.
  returned: with O(state=present)
  type: str
  sample: 198.51.100.7 50412 192.0.2.10 22
"""

from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.firewall.host import Host
from ansible_collections.slipway.stack.plugins.module_utils.firewall.model import (
    FirewallError,
    Policy,
    Settings,
    findings,
    policy,
    ssh_rule,
)
from ansible_collections.slipway.stack.plugins.module_utils.firewall.plan import (
    Boot,
    Current,
    Wanted,
    plan,
    plan_removal,
)
from ansible_collections.slipway.stack.plugins.module_utils.firewall.render import TABLE, script, unit
from ansible_collections.slipway.stack.plugins.module_utils.firewall.ssh import lockout

RULE = {
    "name": {"type": "str", "required": True},
    "sources": {"type": "list", "elements": "str", "required": True},
    "protocol": {
        "type": "str",
        "choices": ["tcp", "udp", "sctp", "icmp", "igmp", "gre", "esp", "ah", "vrrp"],
        "default": "tcp",
    },
    "ports": {"type": "list", "elements": "str", "default": []},
}
DEFAULT_NFT = "/usr/sbin/nft"


def policy_of(params: dict[str, Any]) -> Policy:
    """The rules of the options, judged."""
    settings = Settings(params["ssh_port"], params["ssh_sources"], params["confirm_seconds"], params["log_per_minute"])
    lists = {"rules": params["rules"], "extra_rules": params["extra_rules"]}
    found = findings(lists, settings)
    if found:
        raise FirewallError("\n".join(found))
    rules = [ssh_rule(params["ssh_port"], params["ssh_sources"]), *params["rules"], *params["extra_rules"]]
    return policy(rules, params["log_per_minute"] if params["log"] else 0)


def diff_of(file: str, current: Current, wanted: Wanted) -> list[dict[str, str]]:
    """What is loaded at boot, or, where only that was changed, what runs."""
    if current.boot.rules != wanted.boot.rules:
        name, before, after = file, current.boot.rules, wanted.boot.rules
    else:
        name, before, after = f"table {TABLE}", current.running, wanted.running
    return [{"before_header": name, "after_header": name, "before": before or "", "after": after or ""}]


def present(module: AnsibleModule, host: Host) -> dict[str, Any]:
    """Try the rules, where they are not yet those that run."""
    params = module.params
    rules = policy_of(params)
    session = host.session()
    if session and params["ssh_check"]:
        found = [text for text in (lockout(rules, session), host.keyless(session)) if text]
        if found:
            raise FirewallError("\n".join(found))
    text = script(rules)
    if not host.nft and not module.check_mode:
        raise FirewallError("nft is not there; install the package nftables")
    if not host.nft:
        module.warn("nft is not installed yet, so that the rules could not be tested.")
    running = host.trial(text) if host.nft else None
    wanted = Wanted(running, Boot(text, unit(host.nft or DEFAULT_NFT, params["file"]), True))
    current = host.read()
    actions = plan(current, wanted)
    done = {"changed": bool(actions), "diff": diff_of(params["file"], current, wanted)}
    if not module.check_mode:
        # Also where nothing is pending: the trace of rules that were taken back is of no more use.
        host.revert()
        if "revert" in actions:
            actions = ("revert", *plan(host.read(), wanted))
        if "boot" in actions:
            host.write_boot(wanted.boot)
        if "try" in actions:
            host.attempt(text, params["confirm_seconds"], session)
    return {
        **done,
        "actions": actions,
        "pending": "try" in actions,
        "session": str(session) if session else "none",
    }


def confirmed(module: AnsibleModule, host: Host) -> dict[str, Any]:
    """Keep the rules that were tried."""
    if not host.tried:
        return {"changed": False, "actions": (), "pending": False}
    session = host.session()
    if module.params["new_connection"] and session and session.is_same_as(host.tried_over()):
        raise FirewallError(
            f"this is the connection that the rules were tried over ({session}), and says nothing about the next one: "
            "confirm over a new one, as ansible.builtin.wait_for_connection makes it"
        )
    current = host.read()
    if module.check_mode:
        return {"changed": current.pending, "actions": ("keep",) if current.pending else (), "pending": False}
    kept = host.keep()
    if kept is None:
        host.settle()
        raise FirewallError(
            "no new connection confirmed the rules in time, so that they were taken back and the former ones are in "
            "force. Look at firewall_ssh_port and firewall_ssh_sources, and at firewall_confirm_seconds where "
            "connections take long"
        )
    boot = Boot(kept, unit(host.nft or DEFAULT_NFT, module.params["file"]), True)
    host.write_boot(boot)
    host.settle()
    wanted = Wanted(current.running, boot)
    return {
        "changed": True,
        "actions": ("keep",),
        "pending": False,
        "diff": diff_of(module.params["file"], current, wanted),
    }


def absent(module: AnsibleModule, host: Host) -> dict[str, Any]:
    """Take the firewall away."""
    current = host.read()
    actions = plan_removal(current)
    if actions and not module.check_mode:
        host.remove()
    wanted = Wanted(None, Boot())
    return {
        "changed": bool(actions),
        "actions": actions,
        "pending": False,
        "diff": diff_of(module.params["file"], current, wanted),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "rules": {"type": "list", "elements": "dict", "default": [], "options": RULE},
            "extra_rules": {"type": "list", "elements": "dict", "default": [], "options": RULE},
            "ssh_port": {"type": "int", "default": 22},
            "ssh_sources": {"type": "list", "elements": "str", "default": ["any"]},
            "ssh_check": {"type": "bool", "default": True},
            "log": {"type": "bool", "default": False},
            "log_per_minute": {"type": "int", "default": 10},
            "confirm_seconds": {"type": "int", "default": 30},
            "new_connection": {"type": "bool", "default": True},
            "file": {"type": "path", "default": "/etc/slipway/firewall.nft"},
            "state": {"type": "str", "choices": ["present", "confirmed", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    states = {"present": present, "confirmed": confirmed, "absent": absent}
    try:
        if not module.params["file"].startswith("/"):
            raise FirewallError(f"file is {module.params['file']!r}; expected an absolute path")
        host = Host(module.run_command, module.get_bin_path, module.params["file"])
        with nullcontext() if module.check_mode else host.locked():
            result = states[module.params["state"]](module, host)
    except (FirewallError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
