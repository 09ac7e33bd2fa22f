#!/usr/bin/env python3
"""Data larger than memory: reading a large file takes no more memory than reading a small one. Its speed is printed."""
import json
import os
import random
import time

from hone_program import check, main

MEGABYTES = 300
WORDS = "the that this then than there their thing other with more weather whether 数字 mother".split()


def row(rng, question, answer):
    words = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(4, count))) for count in (question, answer)]
    return json.dumps({"messages": [{"role": "user", "content": words[0]}, {"role": "assistant", "content": words[1]}]}, ensure_ascii=False) + "\n"


def write(path, megabytes):
    """Many short rows, and one of 300 KB at the start."""
    rng = random.Random(3)
    block = "".join(row(rng, 60, 120) for _ in range(4000)).encode()
    with path.open("wb") as file:
        file.write(json.dumps({"messages": [{"role": "user", "content": "the " * 75000}, {"role": "assistant", "content": "that"}]}).encode() + b"\n")
        while file.tell() < megabytes * 1000000:
            file.write(block)
    return path


def measured(program, *words):
    begun = time.time()
    process = program.start(*words)
    out = process.stdout.read()
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    check(process.returncode == 0, error)
    return out, time.time() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def streaming(program):
    results = {}
    for name, megabytes in (("small", 1), ("large", MEGABYTES)):
        data = write(program.folder / f"{name}.jsonl", megabytes)
        config = program.config(f"{name}.yaml", data=data, training__output_dir=program.folder / f"run-{name}", training__max_steps=3)
        _, wall, cpu, memory = measured(program, "train", config, "--dry-run")
        out, _, _, training = measured(program, "train", config, "--json")
        summary = json.loads(out.splitlines()[-1])
        results[name] = memory, training
        size = data.stat().st_size / 1e6
        print(f"{name}: {size:.0f} MB, plan after {wall:.1f} s ({size / wall:.0f} MB/s, {size / cpu:.0f} MB per second of processor time), "
              f"first step after {summary['seconds_to_first_step']:.1f} s; peak {memory:.0f} MiB, {training:.0f} MiB in training")
        data.unlink()
    for kind, small, large in (("planning", results["small"][0], results["large"][0]), ("training", results["small"][1], results["large"][1])):
        check(large - small < 60, f"{kind} takes {large - small:.0f} MiB more for the large file")


main(streaming)
