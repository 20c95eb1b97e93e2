"""Waits with a clock of the test's own, and the order in which a plan is carried out."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster import converge
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.client import Loading, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import (
    Meet,
    Pulse,
    RedisClusterError,
    Replicate,
)
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.plan import obstacles, plan, predict
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.wait import wait_until
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.redis_cluster.cluster_states import (
    node,
    six,
    untouched,
)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def read(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Nodes:
    """Instances whose news travel: what was applied shows after a few looks only."""

    def __init__(self, state, delay=3, loading=0):
        self.real = state
        self.shown = state
        self.delay = delay
        self.looks = 0
        self.loading = loading
        self.log = []

    def state(self, wanted, absent=None):
        if self.loading:
            self.loading -= 1
            raise Loading("data1 is still loading")
        self.looks += 1
        if self.looks % self.delay == 0:
            self.shown = self.real
        return self.shown

    def apply(self, action, state):
        if isinstance(action, Replicate):
            assert action.master in {view.endpoint for view in self.shown.views}
            assert len(self.shown.view(action.node).known) == len(self.shown.views)
        self.log.append(action)
        self.real = predict(self.real, [action])


def timing(clock, seconds=10):
    return converge.Timing(seconds, clock.read, clock.sleep)


def test_replicas_wait_for_introductions_and_the_run_for_service():
    nodes, clock = Nodes(untouched(six())), Clock()
    before = converge.read(nodes, six(), timing(clock))
    actions = plan(before, six())
    after = converge.apply(nodes, six(), before, actions, timing(clock))
    assert obstacles(after) == ()
    assert plan(after, six()) == ()
    last_meet = max(index for index, action in enumerate(nodes.log) if isinstance(action, Meet))
    assert all(isinstance(action, Replicate) for action in nodes.log[last_meet + 1 :])


def test_loading_instances_are_waited_for():
    clock = Clock()
    state = converge.read(Nodes(untouched(six()), loading=4), six(), timing(clock))
    assert len(state.views) == 6
    assert clock.now > 0


def test_a_deadline_names_what_was_missing():
    with pytest.raises(RedisClusterError, match=r"not done after 5 seconds: .*cluster_state:fail"):
        converge.serving(Nodes(untouched(six())), six(), timing(Clock(), 5))


def test_a_condition_met_at_the_deadline_counts():
    clock = Clock()
    seen = wait_until(
        clock.read,
        lambda now: () if now >= 1 else ("early",),
        timeout_seconds=1,
        clock=clock.read,
        sleep=clock.sleep,
        interval_seconds=0.5,
    )
    assert seen == 1


class Instance:
    """Gives one answer after another; the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def pulse(self, endpoint):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_restarted_member_is_waited_for_until_its_cluster_serves():
    clock = Clock()
    instance = Instance(Unreachable("refused"), Loading("loading"), Pulse(16384, False), Pulse(16384, True))
    assert converge.back_in_service(instance, node(1), timing(clock), whole=True) == Pulse(16384, True)
    assert clock.now == pytest.approx(0.3)


@pytest.mark.parametrize("pulse", [Pulse(0, True), Pulse(0, False), Pulse(5461, False)])
def test_an_instance_of_no_formed_cluster_only_has_to_answer(pulse):
    assert converge.back_in_service(Instance(pulse), node(1), timing(Clock()), whole=True) == pulse


def test_a_restarted_member_that_does_not_serve_again_is_named():
    with pytest.raises(RedisClusterError, match=r"not done after 10 seconds: data1 .* reports cluster_state:fail"):
        converge.back_in_service(Instance(Pulse(16384, False)), node(1), timing(Clock()), whole=True)


def test_a_member_of_a_cluster_that_was_down_only_has_to_answer():
    down = Pulse(16384, False)
    assert converge.back_in_service(Instance(down), node(1), timing(Clock()), whole=False) == down


@pytest.mark.parametrize(
    ("answer", "served"),
    [
        (Pulse(16384, True), True),
        (Pulse(0, True), True),
        (Pulse(16384, False), False),
        (Unreachable("refused"), False),
        (Loading("loading"), False),
        (RedisClusterError("another password"), True),
    ],
)
def test_what_served_before_its_restart_has_to_serve_again(answer, served):
    assert converge.was_serving(Instance(answer), node(1)) is served
