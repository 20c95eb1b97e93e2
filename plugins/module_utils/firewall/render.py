# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that make a policy the host's: one for nft, and the unit that loads it at boot."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from .model import WITH_PORTS, WITHOUT_PORTS, Network, Policy, Rule

TABLE = "inet slipway"
UNIT = "slipway-firewall.service"
REVERT_UNIT = "slipway-firewall-revert"

# One transaction: adding first makes the deletion work where there is no table yet, and no packet sees it gone.
REMOVE = f"table {TABLE}\ndelete table {TABLE}\n"

_HEADER = "# Managed by slipway.stack.firewall: changes made by hand are lost.\n"

# Neighbours, routers and multicast groups are only ever on the link, where the hop limit is still 255 or 1.
_BASE = (
    'iif "lo" accept',
    "ct state vmap { established : accept, related : accept, invalid : drop }",
    "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept",
    "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept",
    "ip6 hoplimit 255 icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
    "ip6 saddr fe80::/10 icmpv6 type { mld-listener-query, mld-listener-report, mld2-listener-report } accept",
    'udp sport 67 udp dport 68 accept comment "dhcp"',
    'ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "dhcp"',
)


def script(policy: Policy) -> str:
    """What ``nft -f`` loads: the table ``inet slipway`` replaced as a whole, no other touched."""
    return _HEADER + REMOVE + f"table {TABLE} {{\n" + "".join(_body(policy)) + "}\n"


def restore(listing: str | None) -> str:
    """What ``nft -f`` loads to have the table again as it was listed, or gone where it was not there."""
    return REMOVE + (listing or "")


def _body(policy: Policy) -> Iterator[str]:
    yield "\tcounter dropped {\n\t}\n"
    for rule in policy.rules:
        yield from _sets(rule)
    yield "\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n"
    yield from (f"\t\t{line}\n" for line in _input(policy))
    yield "\t}\n"


def _input(policy: Policy) -> Iterator[str]:
    yield from _BASE
    for rule in policy.rules:
        yield from _lines(rule)
    if policy.log_per_minute:
        yield f'limit rate {policy.log_per_minute}/minute burst 5 packets log prefix "slipway-firewall: "'
    yield 'counter name "dropped" drop'


def _sets(rule: Rule) -> Iterator[str]:
    for version, members in _by_version(rule):
        elements = ",\n\t\t\t".join(
            str(member.network_address if member.num_addresses == 1 else member) for member in members
        )
        yield (
            f"\tset {rule.name}_v{version} {{\n\t\ttype ipv{version}_addr\n\t\tflags interval\n"
            f"\t\telements = {{\n\t\t\t{elements} }}\n\t}}\n"
        )


def _lines(rule: Rule) -> Iterator[str]:
    what = f'{_target(rule)} accept comment "{rule.name}"'
    if not rule.sources:
        yield what
    for version, _members in _by_version(rule):
        yield f"{'ip' if version == 4 else 'ip6'} saddr @{rule.name}_v{version} {what}"


def _by_version(rule: Rule) -> Iterator[tuple[int, tuple[Network, ...]]]:
    for version in (4, 6):
        members = tuple(source for source in rule.sources if (4 if isinstance(source, IPv4Network) else 6) == version)
        if members:
            yield version, members


def _target(rule: Rule) -> str:
    if rule.protocol in WITH_PORTS:
        ports = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in rule.ports)
        return f"{rule.protocol} dport {{ {ports} }}"
    if rule.protocol == "icmp":
        return "meta l4proto { 1, 58 }"
    return f"meta l4proto {WITHOUT_PORTS[rule.protocol]}"


def unit(nft: str, rules_file: str) -> str:
    """The unit that loads the rules before any interface comes up.

    It never unloads them: a restart would leave a gap, and at shutdown services may outlive it. The distribution's
    own nftables.service, where somebody uses it, flushes everything when it starts: this one comes after it, and again
    with it.
    """
    return f"""\
# Managed by slipway.stack.firewall: changes made by hand are lost.
[Unit]
Description=Firewall of slipway.stack
Documentation=man:nft(8)
DefaultDependencies=no
RequiresMountsFor={rules_file}
After=systemd-modules-load.service local-fs.target nftables.service
Wants=network-pre.target
Before=network-pre.target sysinit.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
ConditionPathExists={rules_file}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={nft} -f {rules_file}
ExecReload={nft} -f {rules_file}
CapabilityBoundingSet=CAP_NET_ADMIN
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077

[Install]
WantedBy=sysinit.target
"""
