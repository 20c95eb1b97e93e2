"""The files and the socket behind the maintenance page: in a directory of their own, with a socket that is played."""

from __future__ import annotations

import json

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import AdminError, NotRunning
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance import ON, Maintenance, MaintenanceError
from ansible_collections.slipway.stack.plugins.module_utils.nginx.maintenance_host import MaintenanceHost


class Nginx:
    """Stands for the admin socket."""

    def __init__(self, syncing=None, reporting=None):
        self.syncing, self.reporting = syncing, reporting

    def sync(self):
        if self.syncing:
            raise self.syncing
        return {}

    def request(self, method, path):
        assert (method, path) == ("GET", "/maintenance")
        if self.reporting:
            raise self.reporting
        return {"applications": {}}


@pytest.fixture
def host(tmp_path):
    settings = tmp_path / "maintenance.json"
    settings.write_text('{"applications": {"shop": {"path": ""}}, "retry_after_seconds": 300}', encoding="utf-8")
    return MaintenanceHost(str(settings), str(tmp_path), Nginx())


def test_what_is_written_is_read(host):
    assert host.read("shop") == Maintenance()
    with host.locked("shop"):
        host.write("shop", Maintenance(ON, "m", owner="Ada"))
    assert host.read("shop") == Maintenance(ON, "m", owner="Ada")


@pytest.mark.parametrize("name", ["shpo", "../../etc/passwd", ""])
def test_a_name_that_is_not_known_never_becomes_a_path(host, name):
    with pytest.raises(MaintenanceError, match="expected one of shop"):
        host.read(name)
    with pytest.raises(MaintenanceError, match="expected one of shop"), host.locked(name):
        pass


def test_a_host_without_the_role_is_no_edge(tmp_path):
    with pytest.raises(MaintenanceError, match="this host is no edge"):
        MaintenanceHost(str(tmp_path / "nothing.json"), str(tmp_path)).read("shop")


def test_a_broken_file_is_named(host, tmp_path):
    (tmp_path / "shop.json").write_text(json.dumps({"state": "maybe"}), encoding="utf-8")
    with pytest.raises(MaintenanceError, match=r"/shop\.json: state is 'maybe'.*remove it to start anew"):
        host.read("shop")


def test_nginx_that_does_not_run_is_no_problem(tmp_path):
    stopped = MaintenanceHost(directory=str(tmp_path), admin=Nginx(NotRunning("no"), NotRunning("no")))
    assert stopped.report() is None
    assert stopped.sync() == (None, "")


def test_a_problem_of_a_sync_comes_with_what_nginx_follows(tmp_path):
    beside = MaintenanceHost(directory=str(tmp_path), admin=Nginx(AdminError("another file is broken")))
    assert beside.sync() == ({"applications": {}}, "another file is broken")
