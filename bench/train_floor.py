#!/usr/bin/env python3
"""Training speed and memory beside PyTorch + PEFT + bitsandbytes, one row of 512 tokens per step, LoRA r16 on every linear layer of SmolLM2-135M.

usage: bench/train_floor.py HONE MODEL.gguf PEER_PYTHON PEER_SCRIPT [rounds]
HONE is build/apps/hone, MODEL the GGUF of SmolLM2-135M-Instruct, PEER_PYTHON a Python with torch, peft and bitsandbytes, PEER_SCRIPT a script that takes
--shape --mode --batch --seq --steps and prints one JSON line with tok_s and peak_rss_gib. Peer and hone run in turn; ratios are per round.
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

hone, model, python, script = sys.argv[1:5]
rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
work = pathlib.Path(tempfile.mkdtemp(prefix="hone-bench-"))
words = "the model reads each row of text and learns what comes next in a long and winding sentence about weather trade and music".split()
rng = random.Random(1)
with (work / "text.jsonl").open("w") as file:
    for _ in range(40):
        file.write(json.dumps({"text": " ".join(rng.choice(words) for _ in range(1200))}) + "\n")


def peer(mode):
    out = subprocess.run([python, script, "--shape", "smollm2-135m", "--mode", mode, "--batch", "1", "--seq", "512", "--steps", "4"], check=True, capture_output=True, text=True).stdout
    result = json.loads(out.strip().splitlines()[-1])
    return result["tok_s"], result["peak_rss_gib"], result["first_step_s"]


def own(quantization):
    yaml = work / "bench.yaml"
    yaml.write_text(f"model: {{base: {model}, quantization: {quantization}}}\ndata: {work}/text.jsonl\ndata.cutoff_length: 512\n"
                    f"training: {{method: pretrain, batch_size: 1, max_steps: 12, output_dir: {work}/run}}\n")
    out = subprocess.run([hone, "train", yaml, "--json", "--overwrite"], check=True, capture_output=True, text=True, env=dict(os.environ, HONE_HOME=str(work / "home"))).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    steps = [line["tokens_per_second"] for line in lines if line["kind"] == "step"]
    summary = lines[-1]
    return statistics.median(steps[1:]), summary["peak_memory"] / 2**30, summary["seconds_to_first_step"]


results = {}
for _ in range(rounds):
    for name, call in (("PyTorch + PEFT nf4", lambda: peer("nf4")), ("hone nf4", lambda: own("nf4")), ("hone q4_1 as stored", lambda: own("auto"))):
        results.setdefault(name, []).append(call())
reference = results["PyTorch + PEFT nf4"]
print("| | tok/s | ratio (spread) | peak GiB | share of the peer's | first step after s |")
print("|---|---|---|---|---|---|")
for name, rows in results.items():
    ratios = sorted(row[0] / base[0] for row, base in zip(rows, reference))
    median = [statistics.median(row[i] for row in rows) for i in range(3)]
    print(f"| {name} | {median[0]:.0f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) | {median[1]:.2f} | "
          f"{median[1] / statistics.median(row[1] for row in reference):.2f} | {median[2]:.1f} |")
