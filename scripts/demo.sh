#!/usr/bin/env bash
# Installs, builds, and teaches a small model to triage: the score before, a few minutes of training, the score after.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --build
scripts/build.sh release hone
hone=build/apps/hone
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

cache=${XDG_CACHE_HOME:-$HOME/.cache}/hone/demo
model=$(scripts/fetch_demo_model.sh "$cache")
run=${1:-runs/triage}
settings=(examples/triage/triage.yaml "model.base=$model" "training.output_dir=$run")

say "1. What the base model scores on 108 complaints it has to triage"
$hone eval "${settings[@]}" --json > "$cache/before.json"
python3 scripts/show_score.py "$cache/before.json"

say "2. Training LoRA on the model's own 4-bit blocks"
$hone train "${settings[@]}" --overwrite

say "3. The same complaints, answered with the adapter"
$hone eval "${settings[@]}" --adapter "$run" --json > "$cache/after.json"
python3 scripts/show_score.py "$cache/after.json" "$cache/before.json"

say "4. Exporting the adapter"
for format in peft gguf-lora modelfile; do $hone export "$run" --format "$format" --out "$run/export/$format"; done

say "5. One complaint, one answer"
prompt="My father has crushing chest pain since lunch."
printf '%s\n' "$prompt"
$hone run "$model" --adapter "$run" --system "Triage. Reply with JSON only." --temperature 0 "$prompt"
