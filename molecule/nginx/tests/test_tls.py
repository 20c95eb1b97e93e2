"""TLS as scanners judge it, and certificates that change while nginx serves them."""

from __future__ import annotations

import base64
import datetime
import json
import shlex
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.playbook import message

SOCKET = "/var/lib/slipway/nginx/admin.sock"
FILES = "/etc/ssl/slipway-test"
CERTIFICATE, KEY = f"{FILES}/site.crt", f"{FILES}/site.key"
CERTIFICATES = {"nginx_certificate": CERTIFICATE, "nginx_certificate_key": KEY}

# What testssl.sh reports above LOW though the edge is as it should be.
ALLOWED = {
    "cert_revocation": "the test's authority is private: it publishes no revocations",
    "cert_chain_of_trust": "the test's authority is private: no browser knows it",
    "cert_trust": "the same, in the words of testssl.sh 3.0",
}
SEVERE = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Issues certificates for the names of the scenario."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(named("slipway test authority"), self.key.public_key(), 900, authority=True)

    def pair(self):
        """A certificate that lasts as long as those of public authorities, and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(named("shop.test"), key.public_key(), 90)
        return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def _sign(self, subject, public_key, days, authority=False):
        begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(named("slipway test authority"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False),
                critical=True,
            )
        )
        if not authority:
            names = [x509.DNSName(name) for name in ("shop.test", "*.shop.test")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())


def write(host, **files):
    """Files of the test's folder, by name, with dots written as underscores."""
    for name, content in files.items():
        path = f"{FILES}/{name.replace('_', '.')}"
        host.check_output(f"mkdir -p {FILES} && echo {base64.b64encode(content).decode()} | base64 -d > {path}")


@pytest.fixture(scope="module")
def authority(host, run_playbook):
    """An edge with a certificate of this authority."""
    made = Authority()
    certificate, key = made.pair()
    write(host, site_crt=certificate, site_key=key, ca_crt=made.pem())
    done = run_playbook(**CERTIFICATES)
    assert done.returncode == 0, done.stdout
    yield made
    assert run_playbook().returncode == 0
    host.check_output(f"rm -r {FILES}")


def served(host):
    return host.check_output(
        "echo | openssl s_client -connect 127.0.0.1:443 -servername shop.test 2>/dev/null | openssl x509 -noout -serial"
    )


def on_disk(host):
    return host.check_output(f"openssl x509 -in {CERTIFICATE} -noout -serial")


def workers(host):
    return host.check_output("pgrep -P $(cat /run/nginx.pid)").split()


def stale(host):
    return json.loads(host.check_output(f"curl -sf --unix-socket {SOCKET} http://edge/pools"))["stale_files"]


def post(host, body):
    """Status, and what was said."""
    host.check_output(f"echo {base64.b64encode(body.encode()).decode()} | base64 -d > /run/slipway-test-body")
    done = host.check_output(
        f"curl -s --unix-socket {SOCKET} --data-binary @/run/slipway-test-body -w '%{{http_code}}' http://edge/certificates"
    )
    host.check_output("rm /run/slipway-test-body")
    return done[-3:], done[:-3]


# What scanners say -----------------------------------------------------------------------------------------------


def assert_compliant(host, authority, tmp_path, profile):
    address = host.ansible.get_variables()["ansible_host"]
    (tmp_path / "ca.crt").write_bytes(authority.pem())
    words = [sys.executable, "-m", "sslyze", f"--mozilla_config={profile}"]
    words += [f"--certinfo_ca_file={tmp_path}/ca.crt", f"shop.test:443{{{address}}}"]
    scan = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert "shop.test:443: OK - Compliant" in scan.stdout, scan.stdout[-1500:]
    assert scan.returncode == 0


def test_sslyze_finds_what_is_usual_to_be_mozillas_intermediate(host, authority, tmp_path):
    assert_compliant(host, authority, tmp_path, "intermediate")


def test_sslyze_finds_the_modern_profile_to_be_mozillas(host, authority, converge, tmp_path):
    try:
        assert converge(nginx_tls_profile="modern", **CERTIFICATES).returncode == 0
        assert_compliant(host, authority, tmp_path, "modern")
    finally:
        assert converge(**CERTIFICATES).returncode == 0


def test_testssl_finds_nothing_above_low_but_the_private_authority(host, authority):
    """All of its checks but those that pretend to be one client after another, which judge nothing.

    About a minute on two free cores. All of them: without the options -p to -U.
    """
    host.check_output(
        "command -v testssl > /dev/null || DEBIAN_FRONTEND=noninteractive"
        " apt-get install -qy --no-install-recommends testssl.sh"
    )
    report = "/run/slipway-testssl.json"
    host.check_output(f"rm -f {report}")
    # Its exit status counts what it found, which is judged below.
    scan = host.run(
        f"TERM=dumb testssl --quiet --color 0 --warnings off --ip 127.0.0.1 --add-ca {FILES}/ca.crt"
        f" -p -s -f -P -S -h -U --jsonfile {report} shop.test:443"
    )
    findings = json.loads(host.check_output(f"cat {report}"))
    assert len(findings) > 60, scan.stdout[-1500:]
    severe = [
        (finding["id"], finding["severity"], finding["finding"])
        for finding in findings
        if finding["severity"] in SEVERE and finding["id"].split()[0] not in ALLOWED
    ]
    assert severe == []


# Certificates that change ----------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_taken_by_the_next_run_without_a_reload(host, authority, converge):
    before, old = workers(host), served(host)
    certificate, key = authority.pair()
    write(host, site_crt=certificate, site_key=key)
    assert stale(host) == [CERTIFICATE]
    assert served(host) == old
    done = converge(**CERTIFICATES)
    assert done.returncode == 0, done.stdout
    assert "changed=0 " not in done.stdout
    assert served(host) == on_disk(host) != old
    assert workers(host) == before
    assert stale(host) == []
    assert "changed=0 " in converge(**CERTIFICATES).stdout


def test_root_hands_a_renewed_certificate_over_by_a_program(host, authority):
    before = workers(host)
    certificate, key = authority.pair()
    write(host, site_crt=certificate, site_key=key)
    assert host.check_output("/usr/local/lib/slipway/edge-certificates") == f"nginx took {CERTIFICATE}"
    assert served(host) == on_disk(host)
    assert host.check_output("/usr/local/lib/slipway/edge-certificates") == "nginx has them all"
    assert workers(host) == before
    # A worker that dies takes nothing with it.
    host.check_output("kill -9 $(pgrep -P $(cat /run/nginx.pid) | head -n 1); sleep 0.5")
    assert served(host) == on_disk(host)
    assert stale(host) == []


def test_sessions_are_resumed_across_a_change(host, authority):
    for version in ("-tls1_2", "-tls1_3"):
        connect = f"openssl s_client -connect 127.0.0.1:443 -servername shop.test {version}"
        host.check_output(f"(sleep 1; echo) | {connect} -sess_out /run/slipway-test-session > /dev/null 2>&1")
        certificate, key = authority.pair()
        write(host, site_crt=certificate, site_key=key)
        host.check_output("/usr/local/lib/slipway/edge-certificates")
        assert "Reused, " in host.check_output(f"echo | {connect} -sess_in /run/slipway-test-session 2>/dev/null")


def test_nginx_refuses_a_pair_that_it_could_not_serve(host, authority):
    before = served(host)
    (certificate, key), (other, _key) = authority.pair(), authority.pair()
    good = {"certificate": certificate.decode(), "key": key.decode()}
    for body, status, told in (
        ({CERTIFICATE: {**good, "certificate": other.decode()}}, "500", "the key is not that of the certificate"),
        ({CERTIFICATE: {**good, "certificate": "nothing"}}, "500", "the certificate is not PEM"),
        ({CERTIFICATE: {**good, "key": "nothing"}}, "500", "the key is not PEM"),
        ({CERTIFICATE: {"certificate": "nothing"}}, "500", "expected an object with certificate and key"),
        ({CERTIFICATE: good, "/elsewhere.crt": good}, "500", "/elsewhere.crt: nginx serves no such certificate"),
        ("nothing", "400", "expected a JSON object"),
    ):
        answered, text = post(host, json.dumps(body))
        assert answered == status
        assert told in json.loads(text)["error"]
        assert served(host) == before
    write(host, site_crt=other)
    try:
        failed = host.run("/usr/local/lib/slipway/edge-certificates")
        assert failed.rc == 1
        assert "the key is not that of the certificate" in failed.stderr
    finally:
        host.check_output(f"rm {FILES}/*.crt {FILES}/*.key")
        write(host, site_crt=certificate, site_key=key, ca_crt=authority.pem())
        host.check_output("/usr/local/lib/slipway/edge-certificates")
    assert served(host) == on_disk(host)


def test_a_certificate_that_does_not_serve_is_refused_with_the_running_nginx_untouched(host, authority, converge):
    look = "find /etc/nginx -type f | sort | xargs sha256sum"
    before, running, files = served(host), workers(host), host.check_output(look)
    other = shlex.quote(f"{FILES}/other.key")
    host.check_output(f"openssl ecparam -name prime256v1 -genkey -noout -out {other}")
    for variables, told in (
        ({"nginx_certificate": CERTIFICATE, "nginx_certificate_key": f"{FILES}/other.key"}, "key values mismatch"),
        ({"nginx_certificate": f"{FILES}/missing.crt", "nginx_certificate_key": KEY}, "missing.crt"),
    ):
        refused = converge(**variables)
        assert refused.returncode != 0
        assert told in message(refused)
        assert (served(host), workers(host), host.check_output(look)) == (before, running, files)
    assert "changed=0 " in converge(**CERTIFICATES).stdout
