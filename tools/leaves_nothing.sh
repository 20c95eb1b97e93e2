#!/usr/bin/env bash
# tools/leaves_nothing.sh COMMAND...: run it, and fail where it failed, or where the machine's containers, networks,
# kernel settings or this checkout's files differ afterwards. The Docker Engine itself may be new.
set -euo pipefail
cd "$(dirname "$0")/.."

# An engine that does not answer yet may hold stopped containers that are not ours: then only running ones count.
engine=$(docker version > /dev/null 2>&1 && echo answers || echo silent)

snapshot() {
    if [ "$engine" = answers ]; then
        docker ps --all --no-trunc --format 'container {{.ID}} {{.Names}}' | sort
        docker network ls --no-trunc --filter type=custom --format 'network {{.ID}} {{.Name}}' | sort
    else
        docker ps --no-trunc --format 'container {{.ID}} {{.Names}}' 2> /dev/null | sort || true
    fi
    # Settings, not counters. What this kernel lacks is left out.
    (cd /proc/sys && grep -s '' vm/{swappiness,overcommit_memory,max_map_count,nr_hugepages} vm/dirty_* \
        kernel/{pid_max,sysrq,printk} fs/file-max fs/inotify/* fs/protected_*) || true
    grep -sH '' /sys/kernel/mm/transparent_hugepage/enabled || true
    git status --porcelain
}

before=$(snapshot)
status=0
"$@" || status=$?
if ! difference=$(diff <(echo "$before") <(snapshot)); then
    echo "$1 did not leave the machine as it was (< before, > after):"
    echo "$difference"
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
