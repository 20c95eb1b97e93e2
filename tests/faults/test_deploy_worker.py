"""A worker without a port gets its release while there is work: each job is done, by the old one or by the new one."""

from __future__ import annotations

import subprocess
import sys
import threading

from tests.support.deploy import ARTIFACTS, LONG, deploy, drained, module, new_release, rollback
from tests.support.http import Client
from tests.support.say import say
from tests.support.stack import ROOT
from tests.support.wait import wait_for

WORKER = "/srv/slipway/mailer"
JOBS_EACH_SECOND = 10
# What is current, and in which release's folder the worker runs.
LOOK = f"basename -a $(readlink {WORKER}/current) $(readlink /proc/$(systemctl show -P MainPID slipway-mailer@1)/cwd)"


class Work:
    """Jobs come at a constant rate until it ends: the shop queues a mail for each note."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.queued = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._queue)

    def _queue(self) -> None:
        while not self._end.wait(1 / JOBS_EACH_SECOND):
            assert self.client.post("/api/notes", {"text": "work"}).status == 201
            self.queued += 1

    def __enter__(self) -> Work:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()


def mail(client: Client) -> dict[str, int]:
    return client.get("/api/mail").json()


def releases(stack, hosts) -> set[str]:
    return {name for host in hosts for name in stack.shell(host, LOOK).split()}


@LONG
def test_a_worker_gets_its_release_and_no_job_is_lost(demo, whole):
    hosts = demo.groups["shop"]
    before = releases(demo, hosts)
    release = new_release("worker")
    words = ["examples/build.py", "--release", release, "--output", str(ARTIFACTS), "sample_worker"]
    built = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    _program, _release, sha256, path = built.stdout.split()
    watcher = Client(demo)
    done = mail(watcher)["processed"]
    with Work(Client(demo)) as work:
        run, started = deploy(demo, release, application="mailer", artifact=path, artifact_sha256=sha256)
    assert run.status == 0, run.output
    assert releases(demo, hosts) == {release}
    assert drained(demo) == {}
    wait_for("every job was done", lambda: mail(watcher)["processed"] - done >= work.queued, 30)
    say(f"did: {release} of the worker; saw: {work.queued} jobs queued, {mail(watcher)['processed'] - done} done")
    assert [one.phase for one in started.progress if one.phase == "canary"]
    run, _started = rollback(demo, deploy_application="mailer")
    assert run.status == 0, run.output
    assert releases(demo, hosts) == before
    # Other tests count on a worker that was never deployed.
    for host in hosts:
        module(demo, host, "release", root=WORKER, release=release, state="absent")
