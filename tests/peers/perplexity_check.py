#!/usr/bin/env python3
"""The perplexity of a text is llama-perplexity's (chunks) and transformers' (sliding windows).

    perplexity_check.py HONE LLAMA MODEL.gguf TEXT      LLAMA is the folder of llama.cpp's programs; needs torch and transformers

The model is first written out in F32 by `hone export`, so that nobody rounds: llama.cpp multiplies quantised blocks by activations in bytes.
"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

hone, llama, model, text = (pathlib.Path(word).resolve() for word in sys.argv[1:5])
WINDOW, STRIDE, BOUND = 512, 192, 2e-4
failures = []


def call(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{words}: exit {done.returncode}\n{done.stderr}")
    return done.stdout + done.stderr


def expect(found, expected, what):
    print(f"{what}: hone {found:.4f}, {expected:.4f}")
    if not abs(found / expected - 1) <= BOUND:
        failures.append(what)


def by_transformers(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tokenizer(text.read_text(encoding="utf-8"), return_tensors="pt").input_ids
    total, count, previous = 0.0, 0, 0
    for begin in range(0, ids.shape[1], STRIDE):
        end = min(begin + WINDOW, ids.shape[1])
        part = ids[:, begin:end]
        labels = part.clone()
        labels[:, : part.shape[1] - (end - previous)] = -100
        valid = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            total += reference(part, labels=labels).loss.double().item() * valid
        count, previous = count + valid, end
        if end == ids.shape[1]:
            break
    return math.exp(total / count)


with tempfile.TemporaryDirectory(prefix="perplexity-check-") as name:
    work = pathlib.Path(name)
    environment = dict(os.environ, HONE_HOME=str(work / "home"), LD_LIBRARY_PATH=str(llama))
    rows, config = work / "row.jsonl", work / "model.yaml"
    rows.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    config.write_text(f"model.base: {work / 'f32.gguf'}\ndata.validation: {rows}\ntraining.precision: f32\ntraining.output_dir: {work / 'run'}\n")
    call(hone, "export", model, "--format", "gguf", "--type", "f32", "--out", work / "f32.gguf", env=environment)
    call(hone, "export", model, "--format", "safetensors", "--type", "f32", "--out", work / "hf", env=environment)

    def by_hone(method):
        out = call(hone, "eval", config, "--no-answers", "--text", text, "--json", f"eval.perplexity={method}", f"eval.window={WINDOW}", f"eval.stride={STRIDE}", env=environment)
        return json.loads(out)["text_perplexity"]

    log = call(llama / "llama-perplexity", "-m", work / "f32.gguf", "-f", text, "-c", WINDOW, "-b", WINDOW, "--no-warmup", "-ctk", "f32", "-ctv", "f32", env=environment)
    expect(by_hone("chunks"), float(re.search(r"PPL = ([\d.]+)", log).group(1)), "chunks, llama-perplexity")
    expect(by_hone("sliding"), by_transformers(work / "hf"), "sliding windows, transformers")
sys.exit(f"{failures}" if failures else 0)
