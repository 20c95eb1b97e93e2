"""The static files of releases, as browsers with pages of earlier and later releases ask for them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.edge import answer, await_value, curl, meanwhile_all

PROJECT = Path(__file__).parents[3]
PACKER = PROJECT / "molecule" / "nginx" / "files" / "pack_assets.py"
FOLDER = PROJECT / "build" / "molecule" / "assets"
ROOT = "/srv/slipway/assets/assets"
DIRECTORIES = ["public", "dist"]


@pytest.fixture(scope="module")
def packed():
    """Release -> path and checksum, as converge.yml has them."""
    return json.loads(subprocess.run([sys.executable, PACKER, FOLDER], check=True, capture_output=True).stdout)


def store(host, **options):
    """Run the module as root on the host."""
    arguments = json.dumps({"root": ROOT, **options})
    result = host.ansible("slipway.stack.asset_store", arguments, check=False, become=True)
    assert not result.get("failed"), result
    return result


@pytest.fixture(scope="module")
def archives(host, packed):
    """Release -> its archive on the host."""
    there = {release: f"/var/tmp/slipway-test-{release}.tar" for release in packed}
    for release, path in there.items():
        host.ansible("ansible.builtin.copy", f"src={packed[release]['path']} dest={path}", check=False, become=True)
    yield there
    host.check_output("rm -f /var/tmp/slipway-test-*.tar")


@pytest.fixture
def deploy(host, packed, archives):
    """Bring a release to the edge as a deploy does; only the first stays after the test."""

    def run(release):
        digest = packed[release]["sha256"]
        return store(host, release=release, src=archives[release], sha256=digest, directories=DIRECTORIES)

    yield run
    for release in ("r2", "r3"):
        store(host, release=release, state="absent")


def is_from_a_member(host, path):
    return "x-member" in dict(answer(host, f"https://assets.test{path}")[1])


def test_files_come_from_the_edge_for_a_year(host):
    status, headers, body = answer(host, "https://assets.test/static/app.r1.js")
    assert status == "HTTP/2 200"
    assert "x-member" not in dict(headers)
    assert [value for name, value in headers if name == "cache-control"] == ["public, max-age=31536000, immutable"]
    assert body.startswith("release('r1')")


def test_a_file_that_is_not_there_is_asked_of_the_application(host):
    assert is_from_a_member(host, "/static/app.r9.js")


@pytest.mark.parametrize(
    "path", ["/static/../server.js", "/static/../../server.js", "/static/%2e%2e/server.js", "/static/"]
)
def test_nothing_else_of_the_release_is_sent(host, path):
    assert "the program" not in curl(host, f"--path-as-is https://assets.test{path}")
    assert "server.js" not in host.check_output(f"find {ROOT} -type f")


def test_precompressed_copies_are_sent_to_whoever_takes_them(host):
    _, headers, body = answer(host, "--compressed https://assets.test/static/app.r1.js")
    assert dict(headers)["content-encoding"] == "gzip"
    assert body.endswith("// gzip")
    assert "content-encoding" not in dict(answer(host, "https://assets.test/static/app.r1.js")[1])


def test_a_new_file_is_sent_at_once_also_where_it_was_asked_for_before(host, deploy):
    for _ in range(5):
        assert is_from_a_member(host, "/static/app.r2.js")
    assert deploy("r2")["changed"]
    assert not is_from_a_member(host, "/static/app.r2.js")


def test_a_replaced_page_is_sent_at_once_and_not_kept_by_browsers(host, deploy):
    for _ in range(5):
        assert "<title>r1</title>" in curl(host, "https://assets.test/shop/")
    tag = dict(answer(host, "https://assets.test/shop/")[1])["etag"]
    deploy("r2")
    status, headers, body = answer(host, f"-H 'If-None-Match: {tag}' https://assets.test/shop/any/view")
    assert (status, body) == ("HTTP/2 200", "<title>r2</title>")
    assert dict(headers)["cache-control"] == "no-cache"


def test_files_of_earlier_releases_stay_reachable_during_and_after_deploys(host, deploy):
    """Pages of r1, and soon of r2, are open in browsers while r2 and r3 are rolled out."""
    loads = [("load", "assets.test", f"/static/{name}", 25, 2) for name in ("app.r1.js", "same.css")]
    with meanwhile_all(host, *loads) as seen:
        time.sleep(1)
        deploy("r2")
        with meanwhile_all(host, ("load", "assets.test", "/static/app.r2.js", 12, 2)) as seen_second:
            time.sleep(0.5)
            deploy("r3")
    for found in (*seen, *seen_second):
        assert found["errors"] == []
        assert set(found["statuses"]) == {"200"}
        # None was passed on to a member, whose release may not have the file any more.
        assert set(found["members"]) == {"none"}
        assert found["statuses"]["200"] > 100
    assert not any(is_from_a_member(host, f"/static/app.{release}.js") for release in ("r1", "r2", "r3"))
    await_value(lambda: curl(host, "https://assets.test/shop/"), "<title>r3</title>")


def test_an_archive_with_another_checksum_is_refused_and_all_stays(host, packed):
    before = host.check_output(f"find {ROOT} -printf '%P %i\\n' | sort")
    arguments = {"root": ROOT, "release": "r9", "src": "/etc/hosts", "sha256": packed["r2"]["sha256"]}
    result = host.ansible(
        "slipway.stack.asset_store", json.dumps({**arguments, "directories": DIRECTORIES}), check=False, become=True
    )
    assert "/etc/hosts has the SHA-256 checksum" in result["msg"]
    assert host.check_output(f"find {ROOT} -printf '%P %i\\n' | sort") == before
