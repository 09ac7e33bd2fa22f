#!/usr/bin/env python3
"""The memory that the plan predicts is what training takes, within 20 %, for one model of each family; bench/preflight_grid.py
measures the same on a real model over a whole grid, within 10 %."""
import importlib.util
import pathlib
import subprocess

from hone_program import check, main


def memory(program):
    path = pathlib.Path(__file__).parents[2] / "bench" / "preflight_grid.py"
    spec = importlib.util.spec_from_file_location("preflight_grid", path)
    grid = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grid)
    for family in ("llama", "qwen2", "qwen3", "deepseek2"):
        model = program.folder / f"{family}.gguf"
        subprocess.run([program.build / "tests" / "hone_tiny_model", model, "f32", family, "8"], check=True)
        for checkpointing in (False, True) if family in ("llama", "deepseek2") else (False,):
            settings = {"training.batch_size": 4, "data.cutoff_length": 512, "training.gradient_checkpointing": checkpointing}
            predicted, measured, _ = grid.measure(program.hone, model, program.folder, f"{family}-{checkpointing}", settings)
            print(f"{family}{', checkpointing' if checkpointing else ''}: {predicted / 2**20:.0f} MiB predicted, {measured / 2**20:.0f} MiB measured")
            check(0.8 < predicted / measured < 1.2, "the prediction is off by more than 20 %")


main(memory)
