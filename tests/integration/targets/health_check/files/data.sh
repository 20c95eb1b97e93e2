#!/bin/sh
# PostgreSQL with a replica, Redis with a replica, a Redis Cluster on three addresses, and a stand-in for MongoDB, on one
# host: `data.sh start`, `data.sh stop`, and the faults that vars/data.yml names. Passwords come from the environment:
# PGPASSWORD is that of the role health_test, REDISCLI_AUTH that of the cluster.
set -eu
cd /etc/health-test
version=$(ls /etc/postgresql | head -n 1)
units=/run/systemd/system

as_postgres() { sudo -u postgres "$@"; }
sql() { as_postgres psql -qAtX -v ON_ERROR_STOP=1 -p "${2:-5432}" -d postgres -c "$1" >/dev/null; }
# A session that stays: what it says first, and for how long it then keeps silent.
session() { systemd-run --quiet --unit="health-test-$1" --setenv=PGPASSWORD="$PGPASSWORD" sh -c "cd /; $2"; }
await() {
    for _ in $(seq 60); do
        if eval "$1" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    echo "in vain: $1" >&2
    exit 1
}

start_postgresql() {
    sql "ALTER SYSTEM SET archive_mode = on"
    sql "ALTER SYSTEM SET archive_command = '/bin/true'"
    systemctl restart "postgresql@$version-main"
    sql "DROP ROLE IF EXISTS health_monitor"
    sql "CREATE ROLE health_monitor LOGIN PASSWORD '$PGPASSWORD'"
    sql "GRANT pg_monitor TO health_monitor"
    pg_createcluster --port=5433 "$version" replica >/dev/null
    rm -rf "/var/lib/postgresql/$version/replica"
    as_postgres pg_basebackup -p 5432 -D "/var/lib/postgresql/$version/replica" -R -C -S health_replica -c fast
    systemctl start "postgresql@$version-replica"
}

start_redis() {
    cat >$units/health-test-redis@.service <<EOF
[Service]
User=redis
RuntimeDirectory=health-test-%i
RuntimeDirectoryPreserve=yes
ExecStart=/usr/bin/redis-server /etc/health-test/redis-%i.conf
EOF
    for name in store replica; do
        port=$([ $name = store ] && echo 17001 || echo 17002)
        printf '%s\n' "port $port" "bind 127.0.0.1" "dir /run/health-test-$name" 'save 3600 1' \
            'maxmemory 10mb' 'maxclients 30' 'repl-diskless-sync-delay 0' >redis-$name.conf
    done
    echo 'replicaof 127.0.0.1 17001' >>redis-replica.conf
    for host in 1 2 3; do
        for port in 17011 17012; do
            printf '%s\n' "port $port" "bind 127.0.0.$host" "dir /run/health-test-$host-$port" 'save ""' \
                'cluster-enabled yes' 'cluster-node-timeout 2000' 'repl-diskless-sync-delay 0' \
                "cluster-announce-ip 127.0.0.$host" "requirepass $REDISCLI_AUTH" \
                "masterauth $REDISCLI_AUTH" >redis-$host-$port.conf
        done
    done
    chmod 0644 redis-*.conf
    systemctl daemon-reload
    systemctl start health-test-redis@store health-test-redis@replica
    for host in 1 2 3; do systemctl start health-test-redis@$host-17011 health-test-redis@$host-17012; done
    for host in 1 2 3; do
        for port in 17011 17012; do await "redis-cli -h 127.0.0.$host -p $port ping | grep PONG"; done
    done
    timeout 60 redis-cli --cluster create 127.0.0.1:17011 127.0.0.2:17011 127.0.0.3:17011 \
        127.0.0.1:17012 127.0.0.2:17012 127.0.0.3:17012 --cluster-replicas 1 --cluster-yes >/dev/null
    for host in 1 2 3; do
        await "redis-cli -h 127.0.0.$host -p 17012 INFO replication | grep master_link_status:up"
    done
    await "redis-cli -p 17002 INFO replication | grep master_link_status:up"
}

mongodb_state() {
    cat >mongodb.new <<EOF
{"set": "rs0", "status": ${4:-true}, "members": {
  "127.0.0.1:27101": {"state": "$1"},
  "127.0.0.1:27102": {"state": "$2", "lag": ${5:-0}},
  "127.0.0.1:27103": {"state": "$3"}}}
EOF
    mv mongodb.new mongodb.json
}

start_mongodb() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mongodb \
        -addext subjectAltName=IP:127.0.0.1 -days 30 -keyout mongodb.key -out mongodb.crt 2>/dev/null
    printf '%s' "$MONGODB_PASSWORD" >mongodb.password
    mongodb_state PRIMARY SECONDARY SECONDARY
    systemd-run --quiet --unit=health-test-mongodb python3 /etc/health-test/mongod.py \
        --names 127.0.0.1:27101 127.0.0.1:27102 127.0.0.1:27103 --state /etc/health-test/mongodb.json \
        --user shop --password-file /etc/health-test/mongodb.password \
        --certificate /etc/health-test/mongodb.crt --key /etc/health-test/mongodb.key
}

on_store() { redis-cli -p 17001 "$@" >/dev/null; }
fill() { on_store EVAL "for i = 1, $1 do redis.call('SET', 'k' .. i, string.rep('x', 100000)) end" 0; }

case $1 in
start)
    start_postgresql
    start_redis
    start_mongodb
    ;;
stop)
    set +e
    systemctl stop health-test-mongodb health-test-clients health-test-idle health-test-slow 'health-test-redis@*'
    rm -rf $units/health-test-redis@.service /run/health-test-[123]-* /run/health-test-store /run/health-test-replica
    systemctl daemon-reload
    pg_dropcluster --stop "$version" replica
    sql "SELECT pg_drop_replication_slot('health_replica')"
    sql "ALTER SYSTEM RESET ALL"
    sql "DROP ROLE health_monitor"
    ;;
# PostgreSQL
pending)
    sql "ALTER SYSTEM SET max_connections = 120"
    sql "SELECT pg_reload_conf()"
    ;;
pending_undone)
    sql "ALTER SYSTEM RESET max_connections"
    sql "SELECT pg_reload_conf()"
    ;;
idle)
    session idle "(echo 'BEGIN; SELECT 1;'; sleep 600) | sudo -u postgres psql -qX -d postgres"
    sleep 2
    ;;
slow)
    session slow "psql -qX -h 127.0.0.1 -U health_test -d postgres -c 'SELECT pg_sleep(600)'"
    sleep 3
    ;;
session_ended)
    systemctl stop "health-test-$2"
    # A query that runs does not notice that its client has gone.
    sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'psql' AND pid <> pg_backend_pid()"
    ;;
slot)
    sql "SELECT pg_create_physical_replication_slot('health_gone', true)"
    sql "CREATE TABLE health_fill AS SELECT repeat('x', 100) FROM generate_series(1, 300000)"
    ;;
slot_undone)
    sql "SELECT pg_drop_replication_slot('health_gone')"
    sql "DROP TABLE health_fill"
    ;;
archive)
    sql "ALTER SYSTEM SET archive_command = '$2'"
    sql "SELECT pg_reload_conf()"
    sql "CREATE TABLE health_archive (); DROP TABLE health_archive; SELECT pg_switch_wal()"
    sleep 2
    ;;
paused) sql "SELECT pg_wal_replay_$2()" 5433 ;;
replica) systemctl "$2" "postgresql@$version-replica" ;;
# Redis
full)
    fill 150
    redis-cli -p 17001 SET more x || true
    ;;
empty)
    on_store FLUSHALL
    on_store CONFIG RESETSTAT
    ;;
evicted)
    on_store CONFIG SET maxmemory-policy allkeys-lru
    fill 150
    on_store CONFIG SET maxmemory-policy noeviction
    on_store FLUSHALL
    ;;
snapshot)
    # Redis refuses writes after a snapshot that failed.
    on_store SET some value
    chmod "$2" /run/health-test-store
    on_store BGSAVE
    sleep 1
    ;;
save) on_store CONFIG SET save "$2" ;;
clients)
    systemd-run --quiet --unit=health-test-clients python3 -c "import socket, time
held = [socket.create_connection(('127.0.0.1', 17001)) for _ in range(25)]
time.sleep(600)"
    ;;
node) systemctl "$2" "health-test-redis@$3" ;;
host_gone)
    systemctl stop health-test-redis@3-17011 health-test-redis@3-17012
    await "redis-cli -h 127.0.0.1 -p 17011 CLUSTER NODES | grep '127.0.0.3:17011.*master,fail ' &&
        redis-cli -h 127.0.0.1 -p 17011 CLUSTER INFO | grep cluster_state:ok"
    sleep 2
    ;;
host_back) systemctl start health-test-redis@3-17011 health-test-redis@3-17012 ;;
slots) redis-cli -h 127.0.0.1 -p 17011 CLUSTER "$2" 0 99 ;;
# MongoDB
mongodb)
    shift
    mongodb_state "$@"
    ;;
*)
    echo "unknown: $1" >&2
    exit 2
    ;;
esac
