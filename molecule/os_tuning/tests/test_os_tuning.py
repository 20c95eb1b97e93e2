"""What a tuned host does: sessions and units have the limits, the kernel holds its settings, the journal its bounds."""

from __future__ import annotations

import re

import pytest

ASKED_NOFILE = 65536
HELD = {
    "net.core.somaxconn": "65535",
    "net.ipv4.tcp_max_syn_backlog": "8192",
    "net.ipv4.tcp_fin_timeout": "15",
    "net.ipv4.tcp_keepalive_time": "60",
    "net.ipv4.tcp_tw_reuse": "1",
    "net.ipv4.ip_local_port_range": "10000 65535",
    "net.ipv4.ip_local_reserved_ports": "16379-16380",
}


def possible_nofile(host) -> int:
    """What the host can give: a container without CAP_SYS_RESOURCE cannot exceed its own hard limit."""
    capabilities = int(re.search(r"CapEff:\s*(\w+)", host.file("/proc/1/status").content_string).group(1), 16)
    if capabilities & 1 << 24:
        return ASKED_NOFILE
    own = int(re.search(r"Max open files\s+\d+\s+(\d+)", host.file("/proc/1/limits").content_string).group(1))
    return min(ASKED_NOFILE, own)


@pytest.mark.parametrize(("key", "value"), HELD.items())
def test_the_running_kernel_holds_the_setting(host, key, value):
    text = host.file("/proc/sys/" + key.replace(".", "/")).content_string
    assert " ".join(text.split()) == value


def test_settings_survive_a_boot(host):
    """systemd-sysctl reads the same values out of the file that the kernel holds now."""
    host.run_expect([0], "echo 60 > /proc/sys/net/ipv4/tcp_fin_timeout")
    host.run_expect([0], "/usr/lib/systemd/systemd-sysctl /etc/sysctl.d/60-slipway.conf")
    assert host.file("/proc/sys/net/ipv4/tcp_fin_timeout").content_string.strip() == "15"


def test_whatever_the_kernel_refuses_is_in_the_file_with_its_reason(host):
    for line in host.file("/etc/sysctl.d/60-slipway.conf").content_string.splitlines():
        if line.startswith("#!"):
            assert re.fullmatch(r"#! \S+ = .+ \(.+\)", line)
        elif not line.startswith("#"):
            key, value = line.split(" = ")
            held = host.file("/proc/sys/" + key.replace(".", "/")).content_string
            assert " ".join(held.split()) == value


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_a_login_session_has_the_limits(host, user):
    """runuser opens a PAM session, as sshd and login do."""
    command = f"runuser -u {user} -- bash -c 'ulimit -Sn; ulimit -Hn; ulimit -Su; ulimit -Hu'"
    expected = str(possible_nofile(host))
    assert host.check_output(command).split() == [expected, expected, "65536", "65536"]


def test_a_new_unit_has_the_limits(host):
    assert "DefaultLimitNOFILE=65536" in host.check_output("systemctl show -p DefaultLimitNOFILE")
    output = host.check_output("systemd-run --quiet --collect --pipe --wait bash -c 'ulimit -Sn; ulimit -Su'")
    assert output.split() == [str(possible_nofile(host)), "65536"]


def test_the_journal_is_persistent_and_bounded(host):
    assert host.file("/var/log/journal").is_directory
    message = "slipway-os-tuning-probe"
    host.run_expect([0], f"systemd-run --quiet --collect --wait --unit=slipway-probe echo {message}")
    host.run_expect([0], "journalctl --sync")
    machine = host.file("/etc/machine-id").content_string.strip()
    host.run_expect([0], f"journalctl --directory=/var/log/journal/{machine} --grep={message} --lines=1")
    told = host.check_output("journalctl -u systemd-journald --grep='System Journal' -o cat | tail -n 1")
    assert re.search(r"max 64(\.0)?M", told)


def test_logs_rotate(host):
    host.run_expect([0], "logrotate --debug /etc/logrotate.conf")
    assert host.service("logrotate.timer").is_enabled


def test_the_time_service_starts_with_the_host(host):
    assert host.service("systemd-timesyncd").is_enabled
    in_container = host.run("systemd-detect-virt --container --quiet").rc == 0
    assert host.service("systemd-timesyncd").is_running is not in_container


def test_transparent_huge_pages_are_off_or_refused_with_the_reason(host):
    persisted = host.file("/etc/tmpfiles.d/60-slipway.conf").content_string
    if "[never]" in host.file("/sys/kernel/mm/transparent_hugepage/enabled").content_string:
        assert "w- /sys/kernel/mm/transparent_hugepage/enabled - - - - never" in persisted
    else:
        assert re.search(r"^#! kernel/mm/transparent_hugepage/enabled = never \(.+\)$", persisted, re.MULTILINE)
    assert host.run("systemd-tmpfiles --create /etc/tmpfiles.d/60-slipway.conf").rc == 0
