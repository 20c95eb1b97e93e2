"""Every role's argument specification says what its defaults say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())


def load(path: Path) -> dict:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request):
    return request.param


def options_of(role: Path) -> dict:
    return load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})


def test_every_default_is_specified_and_every_optional_option_has_its_default(role):
    defaults = {
        name: value for name, value in load(role / "defaults" / "main.yml").items() if not name.startswith("__")
    }
    optional = {name: option.get("default") for name, option in options_of(role).items() if not option.get("required")}
    assert optional == defaults


def test_a_required_option_has_no_default(role):
    defaults = load(role / "defaults" / "main.yml")
    wrong = [
        name
        for name, option in options_of(role).items()
        if option.get("required") and (name in defaults or "default" in option)
    ]
    assert wrong == []


def test_options_are_described_typed_and_named_after_the_role(role):
    wrong = [
        name
        for name, option in options_of(role).items()
        if not option.get("description") or not option.get("type") or not name.startswith(f"{role.name}_")
    ]
    assert wrong == []


def test_a_secret_is_marked_as_one(role):
    words = ("password", "secret")
    wrong = [
        name
        for name, option in options_of(role).items()
        if name.endswith(words) and option["type"] == "str" and not option.get("no_log")
    ]
    assert wrong == []


def test_the_role_has_its_readme_and_metadata(role):
    assert (role / "README.md").is_file()
    assert load(role / "meta" / "main.yml")["galaxy_info"]["license"] == "GPL-3.0-or-later"
