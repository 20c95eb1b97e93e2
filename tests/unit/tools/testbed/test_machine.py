# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The development machine's package setup, carried over to hosts of another release."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed import image, machine
from testbed.machine import PackageSetup, Source

DEB822 = """\
# The distribution.
Types: deb
# An older mirror:
URIs: http://mirror.invalid/debian/
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.invalid/security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://mirror.invalid/off
Suites: bookworm
Components: main
"""

ONE_LINE = """\
# deb http://mirror.invalid/off bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.invalid/debian bookworm main contrib # comment
deb-src http://mirror.invalid/debian bookworm main
deb http://vendor.invalid/apt stable main
deb http://flat.invalid/ ./
"""


def test_deb822_sources_are_read() -> None:
    main = ("main", "contrib")
    assert machine.parse_deb822(DEB822) == [
        Source("http://mirror.invalid/debian", "bookworm", main),
        Source("http://mirror.invalid/debian", "bookworm-updates", main),
        Source("http://mirror.invalid/debian", "bookworm-backports", main),
        Source("http://mirror.invalid/security", "bookworm-security", ("main",)),
    ]


def test_one_line_sources_are_read() -> None:
    assert machine.parse_one_line(ONE_LINE) == [
        Source("http://mirror.invalid/debian", "bookworm", ("main", "contrib")),
        Source("http://vendor.invalid/apt", "stable", ("main",)),
    ]


def test_only_the_distribution_is_carried_over_and_once() -> None:
    sources = machine.parse_deb822(DEB822) + machine.parse_one_line(ONE_LINE)
    wanted = machine.of_release(sources, "bookworm", "trixie")
    assert [source.suite for source in wanted] == ["trixie", "trixie-updates", "trixie-security"]
    assert machine.parse_deb822(machine.render_deb822(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_CODENAME="bookworm"\n', {"ID": "debian", "VERSION_CODENAME": "bookworm"}),
        ("# ID=x\n\nID='ubuntu'\n", {"ID": "ubuntu"}),
        ("", {}),
    ],
)
def test_os_release_is_read(text: str, expected: dict[str, str]) -> None:
    assert machine.os_release(text) == expected


def _root(folder: Path, identity: str) -> Path:
    (folder / "etc/apt/sources.list.d").mkdir(parents=True)
    (folder / "etc/os-release").write_text(f"ID={identity}\nVERSION_CODENAME=bookworm\n")
    (folder / "etc/apt/sources.list").write_text(ONE_LINE)
    (folder / "etc/apt/sources.list.d/debian.sources").write_text(DEB822)
    (folder / "etc/apt/sources.list.d/off.sources.disabled").write_text(DEB822.replace("mirror", "other"))
    (folder / "usr/local/share/ca-certificates").mkdir(parents=True)
    (folder / "usr/local/share/ca-certificates/office.crt").write_text("PEM")
    return folder


def test_a_debian_machine_lends_its_sources_and_authorities(tmp_path: Path) -> None:
    setup = machine.read(_root(tmp_path, "debian"))
    assert {source.uri for source in setup.sources} == {
        "http://mirror.invalid/debian",
        "http://mirror.invalid/security",
    }
    assert setup.codename == "bookworm"
    assert setup.certificates == {"office.crt": "PEM"}


def test_another_distribution_lends_no_sources(tmp_path: Path) -> None:
    assert machine.read(_root(tmp_path, "ubuntu")).sources == ()


def test_apt_settings_that_hosts_need_are_carried_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dump = (
        'APT::Architecture "amd64";\nAcquire::Check-Date "false";\nAcquire::Retries "3";\n'
        'Acquire::http::Proxy "http://proxy.invalid:8080";\n'
    )
    monkeypatch.setattr(machine, "_apt_config", lambda: dump)
    setup = machine.read(tmp_path)
    assert setup.settings == 'Acquire::Check-Date "false";\nAcquire::Retries "3";\n'
    assert setup.proxy == "http://proxy.invalid:8080"


@pytest.mark.parametrize("proxy", ["http://localhost:3142", "http://127.0.0.1:3142/", "http://[::1]:3142"])
def test_a_proxy_on_loopback_is_of_no_use_to_a_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proxy: str
) -> None:
    monkeypatch.setattr(machine, "_apt_config", lambda: f'Acquire::http::Proxy "{proxy}";\n')
    assert machine.read(tmp_path).proxy == ""


def test_the_image_changes_with_whatever_is_in_it() -> None:
    bare = PackageSetup((), "", "", "", {})
    source = Source("http://mirror.invalid/debian", "bookworm", ("main",))
    setups = [
        bare,
        PackageSetup((source,), "bookworm", "", "", {}),
        PackageSetup((), "", 'Acquire::Retries "3";\n', "", {}),
        PackageSetup((), "", "", "", {"office.crt": "PEM"}),
    ]
    prints = [image.fingerprint(image.recipe("trixie", setup)) for setup in setups]
    assert len(set(prints)) == len(setups)
    assert prints[0] == image.fingerprint(image.recipe("trixie", bare))
    # How the machine reaches its mirror is not part of what it got from there.
    assert prints[0] == image.fingerprint(image.recipe("trixie", PackageSetup((), "", "", "http://p.invalid", {})))
