#!/usr/bin/env bash
# Training speed and memory beside a peer, in turn, as a table: see compare.py, which does the work.
#   bench/compare.sh HONE PEER_PYTHON PEER_SCRIPT [rounds] [--only ROW] [--quick]
set -euo pipefail
exec python3 "$(dirname "$0")/compare.py" "$@"
