#!/usr/bin/env bash
# Builds into build/ (or the folder of the preset given as the first argument): everything, or the targets given after it.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" ${2:+--target "${@:2}"}
