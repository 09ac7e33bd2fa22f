#!/usr/bin/env bash
# Installs the Debian 12 packages that hone is built and tested with, and nothing else. Safe to run again.
# --build: only those that it is built and shown (scripts/demo.sh) with, not those that only tests need. --sanitize: those of the sanitized
# build, whose compiler is clang: it needs half of the time of g++ there, and sees other faults.
set -euo pipefail

packages=(
  cmake ninja-build g++ pkg-config
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev libpcre2-dev libutf8proc-dev libsqlite3-dev libedit-dev libssl-dev libboost1.81-dev
  libgtest-dev libgmock-dev
  python3 python3-pip
)
case "${1:-}" in
  "") packages+=(python3-venv unzip openssl docker-registry chromium) ;;
  --build) ;;
  --sanitize) packages+=(clang-16 libclang-rt-16-dev) ;;
  *) echo "usage: scripts/setup.sh [--build | --sanitize]" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || { echo "setup: needs a Debian-like system (dpkg, apt-get)" >&2; exit 2; }
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: all ${#packages[@]} packages are installed"
  exit 0
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root, or install sudo, to install: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "setup: done"
