#!/bin/bash
# tools/molecule.sh [SCENARIO]: all role scenarios, or one, on Debian 13 and Debian 12 at the same time.
# Debian 13 goes through check, converge, idempotence, verify; Debian 12 through converge and verify. Tests that run a
# role again are left out with SLIPWAY_LONG_TESTS=false.
set -euo pipefail
cd "$(dirname "$0")/.."

# Wide enough for the lines of Ansible where nobody watches.
export COLUMNS=${COLUMNS:-160}

which=(--all)
if [ $# -gt 0 ]; then
    which=(--scenario-name "$1")
fi

run() { # RELEASE BASE-CONFIG...
    local release=$1 configs=()
    shift
    for config in "$@"; do
        configs+=(--base-config ".config/molecule/$config.yml")
    done
    # What an earlier run left tells of hosts that may be gone.
    rm -rf "build/molecule/$release"
    mkdir -p "build/molecule/$release"
    python tools/testbed down "molecule_$release" > /dev/null || true
    SLIPWAY_RELEASE=$release MOLECULE_EPHEMERAL_DIRECTORY=$PWD/build/molecule/$release \
        molecule "${configs[@]}" test "${which[@]}"
}

log=build/molecule/bookworm.log
mkdir -p build/molecule
run bookworm config bookworm > "$log" 2>&1 &
bookworm=$!
status=0
run trixie config || status=$?
if wait "$bookworm"; then
    echo "Debian 12 passed: $log"
else
    status=1
    tail -n 200 "$log"
    echo "Debian 12 failed: $log"
fi
exit "$status"
