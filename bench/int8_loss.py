#!/usr/bin/env python3
"""Whether int8 products train as well as bf16 ones: the same data, seeds and steps with either, loss curves and held-out scores side by side.

usage: bench/int8_loss.py HONE CONFIG.yaml [--steps N] [--seeds 1,2,3] [--svg FILE] [key=value …]
CONFIG names the model, the data and held-out rows (examples/triage/triage.yaml with model.base=…). The base is held as bf16 or as int8; both start
from the same adapter and see the same rows in the same order. Noise is what the seeds differ by.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("hone")
parser.add_argument("config")
parser.add_argument("settings", nargs="*")
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seeds", default="1,2,3")
parser.add_argument("--data", help="held-out rows for the score; default: the config's validation rows")
options = parser.parse_args()
work = pathlib.Path(tempfile.mkdtemp(prefix="hone-int8-"))
environment = dict(os.environ, HONE_HOME=str(work / "home"))


def run(*arguments):
    done = subprocess.run([options.hone, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def measure(seed, quantization):
    folder = work / f"{quantization}-{seed}"
    settings = [*options.settings, f"training.seed={seed}", f"model.quantization={quantization}"]
    lines = run("train", options.config, *settings, f"training.output_dir={folder}", f"training.max_steps={options.steps}", "training.epochs=1000",
                "training.eval_steps=1000000", "early_stop=false", "--json")
    steps = [json.loads(line) for line in lines.splitlines()]
    losses = [line["loss"] for line in steps if line["kind"] == "step"]
    held_out = ["--data", options.data] if options.data else []
    # The score of the last adapter, always on the bf16 base: what int8 training leaves behind must be good without int8.
    score = json.loads(run("eval", options.config, *options.settings, "model.quantization=bf16", "--adapter", str(folder / "last"), "--json", *held_out))
    return losses, score


def tail(losses, n=50):
    return statistics.mean(losses[-n:])


print("| seed | base | loss, first 20 steps | last 50 steps | held-out loss | exact match |")
print("|---|---|---|---|---|---|")
curves = {}
for seed in options.seeds.split(","):
    for quantization in ("bf16", "int8"):
        losses, score = measure(seed, quantization)
        curves[seed, quantization] = losses
        print(f"| {seed} | {quantization} | {statistics.mean(losses[:20]):.4f} | {tail(losses):.5f} | {score.get('loss', float('nan')):.5f} | {score.get('exact_match', float('nan')):.3f} |", flush=True)
seeds = options.seeds.split(",")
apart = [tail(curves[s, "int8"]) - tail(curves[s, "bf16"]) for s in seeds]
among = [tail(curves[s, "bf16"]) for s in seeds]
steps = [b - a for s in seeds for a, b in zip(curves[s, "bf16"], curves[s, "int8"])]
print(f"\nint8 − bf16, last 50 steps: {statistics.mean(apart):+.5f} (by seed {', '.join(f'{a:+.5f}' for a in apart)}); "
      f"bf16 seeds are spread over {max(among) - min(among):.5f}")
print(f"int8 − bf16, step by step: mean {statistics.mean(steps):+.5f}, standard deviation {statistics.pstdev(steps):.5f}")
