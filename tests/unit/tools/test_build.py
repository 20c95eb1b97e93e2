# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same sources make the same artefact, whoever builds it and when."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "examples" / "build.py"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("examples_build", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sources(folder: Path, names: list[str], mode: int, time: int) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
        path.chmod(mode)
        os.utime(path, (time, time))
    return folder


def test_an_archive_depends_on_names_and_contents_only(build: ModuleType, tmp_path: Path) -> None:
    names = ["server.js", "src/a.js", "src/b.js"]
    first = sources(tmp_path / "first", names, 0o600, 1)
    second = sources(tmp_path / "second", names[::-1], 0o664, 1_000_000_000)
    build.pack(first, tmp_path / "first.tar.gz")
    build.pack(second, tmp_path / "other.tar.gz")
    assert (tmp_path / "first.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "first.tar.gz") as archive:
        assert archive.getnames() == names


def test_an_archive_tells_what_may_be_executed(build: ModuleType, tmp_path: Path) -> None:
    build.pack(sources(tmp_path / "plain", ["run"], 0o644, 1), tmp_path / "plain.tar.gz")
    build.pack(sources(tmp_path / "program", ["run"], 0o755, 1), tmp_path / "program.tar.gz")
    assert (tmp_path / "plain.tar.gz").read_bytes() != (tmp_path / "program.tar.gz").read_bytes()


FAULTS = ("exits", "never_ready", "answers_500", "hangs_on_sigterm", "never_stops", "breaks_on_app2")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_started_in_place_of_the_program(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(build, "install_dependencies", lambda _folder: None)
    good = build.build("sample_app", tmp_path, "good")
    broken = build.build("sample_app", tmp_path, "broken", fault)
    with tarfile.open(good["path"]) as archive:
        start = archive.extractfile("server.js").read()
    with tarfile.open(broken["path"]) as archive:
        assert archive.extractfile("program.js").read() == start
        assert ("server.js", archive.extractfile("server.js").read().decode()) == build.fault_source(fault)
    assert json.loads((tmp_path / "sample_app-broken.json").read_text()) == broken
    # The one to run is still the good one.
    assert json.loads((tmp_path / "sample_app.json").read_text()) == good


@pytest.mark.parametrize("fault", ["migration_fails", "drops_column"])
def test_a_fault_in_sql_comes_last_among_the_migrations(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(build, "install_dependencies", lambda _folder: None)
    broken = build.build("sample_app", tmp_path, "", fault)
    with tarfile.open(broken["path"]) as archive:
        migrations = [name for name in archive.getnames() if re.fullmatch(r"migrations/[^/]+", name)]
        assert migrations[-1] == "migrations/9999_fault.sql"
        assert "program.js" not in archive.getnames()


def test_a_host_is_written_into_its_fault_as_text(build: ModuleType) -> None:
    assert 'os.hostname() === "app\'2"' in build.fault_source("breaks_on_app'2")[1]


@pytest.mark.parametrize("fault", ["nope", "breaks_on_", "../exits"])
def test_an_unknown_fault_is_refused(build: ModuleType, fault: str) -> None:
    with pytest.raises(build.BuildError, match="there are exits, never_ready"):
        build.fault_source(fault)
