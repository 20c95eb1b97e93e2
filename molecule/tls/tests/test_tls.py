"""Certificates as programs use them, and how they are replaced or refused."""

from __future__ import annotations

import datetime
import os
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.playbook import message

DIRECTORY = "/etc/slipway/tls"


@pytest.fixture(scope="module", autouse=True)
def as_converged(run_playbook):
    """The tests of ACME, on the same host, have certificates of their own."""
    assert run_playbook().returncode == 0


@pytest.fixture
def kept(host):
    """What is in the directory is there again afterwards."""
    host.check_output(f"rm -rf /root/tls && cp -a {DIRECTORY} /root/tls")
    yield
    host.check_output(f"cp -a /root/tls/. {DIRECTORY}/ && rm -rf /root/tls")


def verified(host, *options):
    """Whether a client that checks everything accepts a server with the host's certificate."""
    # 11D7 is port 4567, 0A a socket that listens.
    return host.run(
        "openssl s_server -quiet -accept 127.0.0.1:4567 -cert {0}/host.crt -key {0}/host.key >/dev/null 2>&1 & "
        "server=$!; tries=0; "
        "until grep -q ':11D7 [0-9A-F:]* 0A ' /proc/net/tcp || [ $tries -ge 100 ]; do "
        "tries=$((tries + 1)); sleep 0.1; done; "
        "echo | openssl s_client -connect 127.0.0.1:4567 -CAfile {0}/ca.crt -verify_return_error {1} 2>&1; "
        "code=$?; kill $server; wait $server; exit $code".format(DIRECTORY, " ".join(options))
    )


@pytest.mark.parametrize(
    "check",
    [
        "-verify_hostname localhost",
        "-verify_ip 127.0.0.1",
        "-verify_ip ::1",
        "-verify_hostname any.tls.test",
        "-verify_hostname xn--bcher-kva.test",
    ],
)
def test_clients_verify_each_name(host, check):
    session = verified(host, check)
    assert session.rc == 0
    assert "Verify return code: 0 (ok)" in session.stdout


def test_another_name_is_not_verified(host):
    refused = verified(host, "-verify_hostname other.test")
    assert refused.rc != 0
    assert "hostname mismatch" in refused.stdout.lower()


def test_only_root_and_the_group_read_the_key(host):
    assert host.run(f"su -s /bin/sh nobody -c 'cat {DIRECTORY}/host.key'").rc != 0
    assert host.run(f"su -s /bin/sh nobody -c 'cat {DIRECTORY}/host.crt {DIRECTORY}/ca.crt'").rc == 0
    key = host.file(f"{DIRECTORY}/host.key")
    assert (key.mode, key.user, key.group) == (0o640, "root", "ssl-cert")


def test_the_certificate_ends_within_what_browsers_accept(host):
    assert host.run(f"openssl x509 -in {DIRECTORY}/host.crt -checkend {364 * 86400}").rc == 0
    assert host.run(f"openssl x509 -in {DIRECTORY}/host.crt -checkend {366 * 86400}").rc == 1
    assert host.check_output(f"openssl x509 -in {DIRECTORY}/host.crt -noout -purpose").count("server : Yes") >= 1


def test_the_authority_is_private_and_signs_only_hosts(host):
    ca = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "ca"
    assert (ca / "ca.key").stat().st_mode & 0o777 == 0o600
    assert ca.stat().st_mode & 0o777 == 0o700
    assert host.run(f"ls {DIRECTORY} | grep -x ca.key").rc == 1
    certificate = x509.load_pem_x509_certificate((ca / "ca.crt").read_bytes())
    limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical
    assert (limits.value.ca, limits.value.path_length) == (True, 0)


def test_a_changed_name_renews_the_certificate_but_not_the_key(host, kept, converge):
    key = host.file(f"{DIRECTORY}/host.key").sha256sum
    names = ["localhost", "new.test"]
    predicted = converge("--check", tls_names=names)
    assert "changed=1 " in predicted.stdout
    assert "new.test" not in host.check_output(f"openssl x509 -in {DIRECTORY}/host.crt -noout -text")
    done = converge(tls_names=names)
    assert done.returncode == 0
    assert verified(host, "-verify_hostname new.test").rc == 0
    assert host.file(f"{DIRECTORY}/host.key").sha256sum == key
    assert "changed=0 " in converge(tls_names=names).stdout


def test_a_certificate_near_its_end_is_renewed(host, kept, converge):
    before = host.file(f"{DIRECTORY}/host.crt").sha256sum
    assert converge(tls_renew_before_days=400).returncode == 0
    assert host.file(f"{DIRECTORY}/host.crt").sha256sum != before


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def given(tmp_path):
    """A pair of files, and the variables that name them."""

    def make(days=30, mode=0o600, mismatch=False, name="given.test"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        (tmp_path / "site.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (tmp_path / "site.key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1()) if mismatch else key))
        (tmp_path / "site.key").chmod(mode)
        shutil.copy(tmp_path / "site.crt", tmp_path / "ca.crt")
        return {
            "tls_mode": "given",
            "tls_names": ["given.test"],
            "tls_certificate_file": str(tmp_path / "site.crt"),
            "tls_key_file": str(tmp_path / "site.key"),
            "tls_ca_file": str(tmp_path / "ca.crt"),
        }

    return make


def test_a_given_pair_is_used_and_its_key_shown_nowhere(host, kept, converge, given):
    variables = given()
    done = converge("--diff", "-vvv", **variables)
    assert done.returncode == 0
    secret = Path(variables["tls_key_file"]).read_text().splitlines()[1]
    assert secret not in done.stdout + done.stderr
    # In brackets, the journal's note of this very command does not match.
    assert host.run(f"journalctl --no-pager | grep '[{secret[0]}]{secret[1:]}'").rc == 1
    assert verified(host, "-verify_hostname given.test").rc == 0
    assert host.file(f"{DIRECTORY}/host.key").mode == 0o640
    assert "changed=0 " in converge(**variables).stdout


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"mismatch": True}, "it is not the key of tls_certificate_file"),
        ({"days": -1}, "it expired at"),
        ({"mode": 0o644}, "everybody on the controller can read it (mode 0644)"),
        ({"name": "other.test"}, "it lacks given.test"),
    ],
)
def test_a_given_pair_that_does_not_serve_is_refused_before_anything_changes(host, converge, given, fault, told):
    before = host.check_output(f"sha256sum {DIRECTORY}/*")
    refused = converge(**given(**fault))
    assert refused.returncode != 0
    assert told in message(refused)
    assert "changed=0 " in refused.stdout
    assert host.check_output(f"sha256sum {DIRECTORY}/*") == before


def further(variables, names=("given.test",)):
    """The given pair, declared beside the host's own certificate."""
    files = {option: variables[f"tls_{option}"] for option in ("certificate_file", "key_file", "ca_file")}
    return [{"name": "shop", "mode": "given", "names": list(names), **files}]


def test_a_given_pair_stands_beside_the_hosts_own(host, kept, converge, given):
    before = host.check_output(f"sha256sum {DIRECTORY}/host.* {DIRECTORY}/ca.crt")
    certificates = further(given())
    assert "changed=0 " not in converge("--check", tls_certificates=certificates).stdout
    assert not host.file(f"{DIRECTORY}/shop.crt").exists
    assert converge(tls_certificates=certificates).returncode == 0
    try:
        key = host.file(f"{DIRECTORY}/shop.key")
        assert (key.mode, key.user, key.group) == (0o640, "root", "ssl-cert")
        host.check_output(f"openssl x509 -in {DIRECTORY}/shop.crt -noout -checkhost given.test | grep 'does match'")
        assert host.check_output(f"sha256sum {DIRECTORY}/host.* {DIRECTORY}/ca.crt") == before
        assert "changed=0 " in converge(tls_certificates=certificates).stdout
    finally:
        host.check_output(f"rm -f {DIRECTORY}/shop.*")


def test_a_given_pair_beside_the_hosts_own_that_does_not_serve_is_refused(host, converge, given):
    before = host.check_output(f"sha256sum {DIRECTORY}/*")
    variables = given(mode=0o644)
    Path(variables["tls_certificate_file"]).write_text("nothing")
    refused = converge(tls_certificates=further(variables))
    assert refused.returncode != 0
    assert "tls_certificates[0] (shop).certificate_file: it holds no certificate in PEM form" in message(refused)
    assert "changed=0 " in refused.stdout
    assert host.check_output(f"sha256sum {DIRECTORY}/*") == before


def test_a_missing_file_is_named(converge, given):
    refused = converge(**{**given(), "tls_ca_file": "/nowhere/ca.crt"})
    assert refused.returncode != 0
    assert "tls_ca_file: /nowhere/ca.crt on the controller is not a file" in message(refused)
