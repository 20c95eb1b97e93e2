"""Kernel settings: what is planned, what is refused, and the file that remembers."""

from __future__ import annotations

import string
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.model import (
    HEADER,
    NO_SUCH_KEY,
    READ_ONLY,
    Change,
    Live,
    Plan,
    Refusal,
    clamp,
    normalise,
    parse_refused,
    path_of,
    plan,
    predict,
    render,
    selected,
    tmpfiles_line,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (65535, "65535"),
        ("10000\t65535", "10000 65535"),
        ("  10000   65535 \n", "10000 65535"),
        ([10000, 65535], "10000 65535"),
        (True, "1"),
        (False, "0"),
        ("fq", "fq"),
    ],
)
def test_values_become_text(raw: Any, text: str) -> None:
    assert normalise({"net.core.x": raw}) == {"net.core.x": text}


@pytest.mark.parametrize(
    "key", ["", "vm", "../../etc/passwd", "net..x", "/vm/swappiness", "net.ipv4.conf.*.x", "vm.a b", "vm.a="]
)
def test_what_is_no_key_is_refused_by_name(key: str) -> None:
    with pytest.raises(ValueError, match="is not a sysctl key") as error:
        normalise({key: 1})
    assert repr(key) in str(error.value)


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, {"a": 1}, [None], [[1]]])
def test_what_has_no_text_is_refused_by_key(value: Any) -> None:
    with pytest.raises(ValueError, match=r"vm\.swappiness"):
        normalise({"vm.swappiness": value})


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_the_first_separator_decides(key: str, path: str) -> None:
    assert path_of(key) == path


WANTED = {"net.core.somaxconn": "65535", "net.ipv4.ip_local_port_range": "10000 65535", "vm.swappiness": "1"}


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        pytest.param(
            {
                "net.core.somaxconn": Live("65535\n", True),
                "net.ipv4.ip_local_port_range": Live("10000\t65535\n", True),
                "vm.swappiness": Live("1\n", False),
            },
            Plan((), ()),
            id="held, whatever the whitespace, and read-only or not",
        ),
        pytest.param(
            {
                "net.core.somaxconn": Live("4096\n", True),
                "net.ipv4.ip_local_port_range": Live(None, False),
                "vm.swappiness": Live("60\n", False),
            },
            Plan(
                (Change("net.core.somaxconn", "4096", "65535"),),
                (
                    Refusal("net.ipv4.ip_local_port_range", "10000 65535", NO_SUCH_KEY),
                    Refusal("vm.swappiness", "1", READ_ONLY),
                ),
            ),
            id="to set, missing, read-only",
        ),
    ],
)
def test_plan(live: dict[str, Live], expected: Plan) -> None:
    assert plan(WANTED, live) == expected


def test_the_file_tells_what_is_refused_and_what_is_clamped() -> None:
    refusals = (
        Refusal("vm.swappiness", "1", READ_ONLY),
        clamp(Change("vm.nr_hugepages", "0", "2100"), "1800"),
    )
    text = render({"net.core.somaxconn": "65535", "vm.swappiness": "1", "vm.nr_hugepages": "2100"}, refusals)
    assert text == (
        HEADER
        + "net.core.somaxconn = 65535\n"
        + f"#! vm.swappiness = 1 ({READ_ONLY})\n"
        + "#~ vm.nr_hugepages = 2100 (the kernel holds 1800 instead)\n"
        + "vm.nr_hugepages = 2100\n"
    )
    assert parse_refused(text) == refusals


THP = "kernel/mm/transparent_hugepage/enabled"


def test_attributes_of_sys_are_written_at_boot_where_they_are() -> None:
    assert render({THP: "never"}, (), tmpfiles_line) == HEADER + f"w- /sys/{THP} - - - - never\n"
    refused = (Refusal(THP, "never", READ_ONLY),)
    text = render({THP: "never"}, refused, tmpfiles_line)
    assert text == HEADER + f"#! {THP} = never ({READ_ONLY})\n"
    assert parse_refused(text) == refused


@pytest.mark.parametrize(
    ("text", "value"), [("always madvise [never]\n", "never"), ("1\n", "1\n"), ("[mq-deadline] none", "mq-deadline")]
)
def test_of_choices_the_chosen_one_is_the_value(text: str, value: str) -> None:
    assert selected(text) == value


def test_a_rejection_met_before_is_predicted_for_the_same_value_only() -> None:
    planned = Plan((Change("net.core.x", "1", "5"), Change("net.core.y", "1", "6")), (Refusal("vm.z", "1", READ_ONLY),))
    remembered = (Refusal("net.core.x", "5", "Invalid argument"), Refusal("net.core.y", "7", "Invalid argument"))
    assert predict(planned, remembered) == (Refusal("vm.z", "1", READ_ONLY), remembered[0])


names = st.text(string.ascii_lowercase + string.digits + "_", min_size=1, max_size=8)
keys = st.lists(names, min_size=2, max_size=4).map(".".join)
values = st.text(string.ascii_letters + string.digits + " -_,", min_size=1, max_size=12).filter(
    lambda text: text.strip()
)


@given(st.dictionaries(keys, values, max_size=8), st.data())
def test_planning_again_after_applying_is_empty_and_the_file_round_trips(
    raw: dict[str, str], data: st.DataObject
) -> None:
    wanted = normalise(raw)
    live = {key: Live(data.draw(st.none() | values), data.draw(st.booleans())) for key in wanted}
    planned = plan(wanted, live)
    held = {**live, **{change.key: Live(change.after, True) for change in planned.changes}}
    assert plan(wanted, held) == Plan((), planned.refusals)
    text = render(wanted, planned.refusals)
    assert parse_refused(text) == planned.refusals
    refused = {refusal.key for refusal in planned.refusals}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [f"{key} = {value}" for key, value in wanted.items() if key not in refused]
