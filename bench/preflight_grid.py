#!/usr/bin/env python3
"""Predicted against measured peak memory of training, over weight formats, shapes and gradient checkpointing.

preflight_grid.py HONE MODEL.gguf [--quick] [TINY_MODEL_PROGRAM]: prints a table; exits 1 when a prediction is off by more than
10 %. Each line is a training run of two steps of full rows in a process of its own; what is measured is its VmHWM."""
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

WORDS = "the cat sat on a mat while rain fell over old roofs and nobody came to look for it until morning".split()


def rows(path, tokens):
    rng = random.Random(1)
    # One long text: it is cut into samples of the whole cut-off length, so that every row of a batch is full.
    with path.open("w") as file:
        file.write(json.dumps({"text": " ".join(rng.choice(WORDS) for _ in range(tokens))}) + "\n")


def measure(hone, model, folder, name, settings):
    """(predicted, measured) bytes of one run."""
    batch, cutoff = settings["training.batch_size"], settings["data.cutoff_length"]
    data = folder / f"rows-{batch * cutoff}.jsonl"
    if not data.exists():
        rows(data, 3 * batch * cutoff)
    config = folder / f"{name}.yaml"
    lines = {"model.base": model, "data": data, "training.max_steps": 2, "training.method": "pretrain", "training.output_dir": folder / name, **settings}
    config.write_text("".join(f"{key}: {json.dumps(value) if isinstance(value, bool) else value}\n" for key, value in lines.items()))
    result = subprocess.run([hone, "train", config, "--json"], env=dict(os.environ, HONE_HOME=str(folder / "home")), capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{name}: {result.stderr}")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    plan = next(line for line in lines if line["kind"] == "plan")
    return plan["memory_peak"], next(line for line in lines if line["kind"] == "summary")["peak_memory"], plan.get("memory", {})


def grid(quick):
    shapes = [(1, 512), (4, 512), (1, 2048)] if not quick else [(1, 512)]
    for base, (batch, cutoff), checkpointing in itertools.product(["auto", "nf4", "bf16", "f32"], shapes, [False, True]):
        yield base, batch, cutoff, checkpointing


def main():
    quick = "--quick" in sys.argv
    hone, model, *tiny = [word for word in sys.argv[1:] if word != "--quick"]
    print("| model | weights | rows | checkpointing | predicted MiB | measured MiB | off |\n|---|---|---|---|---|---|---|")
    worst = 0
    with tempfile.TemporaryDirectory(prefix="hone-grid-") as temporary:
        folder = pathlib.Path(temporary)
        runs = [(pathlib.Path(model).stem.split(".")[0], model, *point) for point in grid(quick)]
        for program in tiny:
            for family in ("llama", "qwen2", "qwen3", "deepseek2"):
                path = folder / f"{family}.gguf"
                subprocess.run([program, path, "f32", family, "8"], check=True)
                runs += [(f"small {family}", path, "auto", 4, 512, checkpointing) for checkpointing in (False, True)]
        for number, (label, path, base, batch, cutoff, checkpointing) in enumerate(runs):
            settings = {"model.quantization": base, "training.batch_size": batch, "data.cutoff_length": cutoff,
                        "training.gradient_checkpointing": checkpointing}
            predicted, measured, parts = measure(hone, path, folder, f"run-{number}", settings)
            off = predicted / measured - 1
            worst = max(worst, abs(off))
            print(f"| {label} | {base} | {batch} × {cutoff} | {'yes' if checkpointing else 'no'} | {predicted / 2**20:.0f} | {measured / 2**20:.0f} "
                  f"| {100 * off:+.1f} % |", flush=True)
            if os.environ.get("HONE_GRID_PARTS"):
                print("    " + "  ".join(f"{key} {value / 2**20:.1f}" for key, value in parts.items()), flush=True)
    print(f"\nworst: {100 * worst:.1f} %")
    sys.exit(worst > 0.1)


if __name__ == "__main__":
    main()
