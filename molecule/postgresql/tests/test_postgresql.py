"""A server that lets its owners in over TLS and nobody else, with the settings that were sized."""

from __future__ import annotations

import json
from shlex import quote

import pytest

SHOP = {"database": "shop", "user": "shop", "password": 'it\'s a "test" $%} ü'}
LEDGER = {"database": "ledger", "user": "clerk", "password": "another-password-for-tests"}
CA = "/etc/ssl/certs/ssl-cert-snakeoil.pem"


def psql(host, login, sql, address="127.0.0.1", tls="verify-ca"):
    """Run ``sql`` over the network as the owner of a database."""
    target = f"host={address} dbname={login['database']} user={login['user']} sslmode={tls} sslrootcert={CA}"
    return host.run(f"PGPASSWORD={quote(login['password'])} psql -XAtc {quote(sql)} {quote(target)}")


def as_postgres(host, sql):
    """The single value that ``sql`` returns to the server's own user."""
    return host.check_output(f"runuser -u postgres -- psql -XAtc {quote(sql)} postgres")


@pytest.fixture
def address(host):
    return host.check_output("hostname -I").split()[0]


@pytest.mark.parametrize("login", [SHOP, LEDGER], ids=["shop", "ledger"])
def test_an_owner_writes_and_reads_over_tls(host, login):
    sql = (
        "CREATE TEMPORARY TABLE proof (n int); INSERT INTO proof VALUES (42);"
        "SELECT n, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) FROM proof"
    )
    assert psql(host, login, sql).stdout.splitlines()[-1] == "42|t"


def test_an_owner_makes_tables_that_stay(host):
    assert psql(host, SHOP, "CREATE TABLE IF NOT EXISTS goods (id int); DROP TABLE goods").succeeded


def test_a_client_that_is_named_comes_in_from_its_address(host, address):
    assert psql(host, SHOP, "SELECT 1", address).stdout.strip() == "1"


def test_a_client_that_is_not_named_is_turned_away(host, address):
    assert "no pg_hba.conf entry" in psql(host, LEDGER, "SELECT 1", address).stderr


def test_without_tls_nobody_comes_in(host):
    assert "no encryption" in psql(host, SHOP, "SELECT 1", tls="disable").stderr


def test_with_a_wrong_password_nobody_comes_in(host):
    assert "password authentication failed" in psql(host, {**SHOP, "password": "wrong"}, "SELECT 1").stderr


def test_an_owner_does_not_reach_the_database_of_another(host):
    assert "no pg_hba.conf entry" in psql(host, {**SHOP, "database": "ledger"}, "SELECT 1").stderr
    assert as_postgres(host, "SELECT has_database_privilege('shop', 'ledger', 'CONNECT')") == "f"


@pytest.mark.parametrize(
    "sql",
    ["CREATE ROLE intruder", "CREATE DATABASE more", "COPY (SELECT 1) TO PROGRAM 'cat'", "SELECT * FROM pg_authid"],
)
def test_an_owner_has_no_other_privilege(host, sql):
    refused = psql(host, SHOP, sql).stderr
    assert "permission denied" in refused or "must be superuser" in refused  # the second in version 15


def test_old_protocols_are_refused(host):
    target = "-connect 127.0.0.1:5432 -starttls postgres"
    assert host.run(f"openssl s_client {target} -tls1_2 </dev/null").succeeded
    assert host.run(f"openssl s_client {target} -tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null").failed


def test_the_server_stores_verifiers_and_logged_no_password(host):
    sql = "SELECT string_agg(left(rolpassword, 14), ',') FROM pg_authid WHERE rolname IN ('shop', 'clerk')"
    stored = as_postgres(host, sql)
    assert stored == "SCRAM-SHA-256$,SCRAM-SHA-256$"
    for login in (SHOP, LEDGER):
        searched = host.run(f"grep -rqF {quote(login['password'])} /var/log/postgresql")
        assert searched.rc == 1


def test_sized_settings_are_live(host):
    sql = "SELECT json_object_agg(name, current_setting(name)) FROM pg_settings"
    live = json.loads(as_postgres(host, sql))
    assert live["shared_buffers"] == "100MB"
    assert live["effective_cache_size"] == "300MB"
    assert live["max_connections"] == "60"
    assert live["work_mem"] == "6MB"
    assert live["jit"] == "off"
    assert live["data_checksums"] == "on"
    assert live["server_encoding"] == "UTF8"
    assert as_postgres(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"


def test_more_connections_than_sized_are_refused(host):
    # Each holds one for a moment; three of the sixty are kept for the superuser.
    sleeper = (
        "PGPASSWORD={} psql -XAtc 'SELECT pg_sleep(4)' 'host=127.0.0.1 dbname=ledger user=clerk sslmode=require' 2>&1"
    )
    many = f"for i in $(seq 70); do {sleeper.format(LEDGER['password'])} & done; wait"
    assert "remaining connection slots are reserved" in host.check_output(many)
    assert psql(host, LEDGER, "SELECT 1").succeeded


def test_extensions_are_there(host):
    assert psql(host, SHOP, "SELECT similarity('shop', 'shops') > 0.5").stdout.strip() == "t"


def test_it_comes_back_at_boot_and_is_the_last_to_be_killed(host):
    assert host.service("postgresql").is_enabled
    units = host.check_output("systemctl list-units --plain --no-legend 'postgresql@*'").split()
    # As the unit is configured: not every test host may lower the score of a process.
    assert host.check_output(f"systemctl show -p OOMScoreAdjust --value {units[0]}") == "-900"


def test_a_crashed_backend_costs_no_committed_row(host):
    assert psql(
        host, LEDGER, "CREATE TABLE IF NOT EXISTS kept (n int); TRUNCATE kept; INSERT INTO kept VALUES (7)"
    ).succeeded
    backend = as_postgres(host, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    assert host.run(f"kill -KILL {backend}").succeeded
    answer = host.run(
        f"for i in $(seq 50); do PGPASSWORD={LEDGER['password']} psql -XAtc 'SELECT n FROM kept' "
        "'host=127.0.0.1 dbname=ledger user=clerk sslmode=require' 2>/dev/null && exit; sleep 0.2; done; exit 1"
    )
    assert answer.stdout.strip() == "7"
    assert psql(host, LEDGER, "DROP TABLE kept").succeeded
