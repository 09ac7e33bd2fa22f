#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. --sanitize: the unit tests under ASan and UBSan instead. --threads: those of the thread
# pool, the engine, the server and its models under TSan.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=release compilers=--build
selection=()
case "${1:-}" in
  "") ;;
  --sanitize) preset=sanitize compilers=--sanitize; selection=(--label-exclude program) ;;
  --threads)
    scripts/setup.sh --build
    programs=(base autograd ops infer serve)
    targets=("${programs[@]/#/hone_}")
    scripts/build.sh threads "${targets[@]/%/_tests}"
    # As many threads as processors: where there are more, those that wait keep those that work from their processor.
    threads=$(nproc)
    [ "$threads" -ge 2 ] || threads=2
    export HONE_THREADS=$threads TSAN_OPTIONS=halt_on_error=1
    for program in "${programs[@]}"; do "build-threads/tests/hone_${program}_tests" --gtest_brief=1; done
    exit ;;
  *) echo "usage: scripts/test.sh [--sanitize | --threads]" >&2; exit 2 ;;
esac
# What only the tests need (a browser, a registry) is fetched while the compiler works.
scripts/setup.sh "$compilers"
scripts/setup.sh &
setup=$!
trap wait EXIT  # an installation is not left halfway, whatever fails here
scripts/build.sh "$preset"
wait "$setup" || { echo "test: scripts/setup.sh could not install what the tests need (its message is above)" >&2; exit 1; }
folder=build
[ "$preset" = release ] || folder=build-$preset
ctest --test-dir "$folder" --output-on-failure --parallel 2 --no-tests=error "${selection[@]}"
