#!/usr/bin/env python3
"""A run that is killed with kill -9 at random moments and resumed ends with the same bytes as one that was never stopped."""
import json
import random
import signal
import time

from hone_program import check, main

STEPS = 14
FILES = ("weights.safetensors", "optimizer.safetensors")


def final(folder):
    checkpoint = folder / "checkpoints" / f"step-{STEPS:08}"
    state = json.loads((checkpoint / "state.json").read_text())
    state.pop("seconds")  # wall clock
    return {name: (checkpoint / name).read_bytes() for name in FILES}, state, (folder / "best" / "adapter_model.safetensors").read_bytes()


def counted_from_the_start(program):
    """What a resumed run says of itself is said of the whole run."""
    folder = program.folder / "stopped"
    config = program.config("stopped.yaml", training__output_dir=folder, training__epochs=3, training__save_steps=5)
    process = program.start("train", config, "training.max_steps=400", "training.epochs=400")
    while len(program.losses(folder)) < 30 and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    check(process.returncode == 130, out)
    at = len(program.losses(folder))
    lines = program.run("train", config, "training.max_steps=400", "training.epochs=400", "--resume", "--json").splitlines()
    run, summary = json.loads(lines[0])["run"], json.loads(lines[-1])
    metrics = program.metrics(folder)
    state = json.loads((folder / "checkpoints" / "step-00000400" / "state.json").read_text())
    wanted = {"first_loss": metrics[0]["smoothed_loss"], "tokens": state["tokens"], "tokens_per_second": state["tokens"] / state["seconds"], "seconds": state["seconds"]}
    check(at < 400 and abs(metrics[at]["smoothed_loss"] - wanted["first_loss"]) > 0.5, f"it was resumed after the loss had fallen: {at}")
    shown = json.loads(program.run("runs", "show", run, "--json"))
    for name, value in wanted.items():
        for place, figures in (("summary", summary), ("history", shown["summary"])):
            check(abs(figures[name] - value) < 1e-6 * abs(value), f"{place}: {name} is {figures[name]}, of the whole run it is {value}")
    check(summary["peak_memory"] >= max(m["memory"] for m in metrics if "memory" in m), "the peak is that of all sessions")


def resumes(program):
    counted_from_the_start(program)
    settings = dict(training__max_steps=STEPS, training__epochs=9, training__save_steps=3, lora__dropout=0.1, dropout_rate=0.05,
                    training__gradient_accumulation=2, data__validation_share=0.2, training__eval_steps=4)
    straight = program.folder / "straight"
    program.run("train", program.config("straight.yaml", training__output_dir=straight, **settings))
    expected = final(straight)
    check(len(program.losses(straight)) == STEPS, "every step has a line in metrics.jsonl")

    seed = random.randrange(1 << 30)
    print(f"random seed {seed}")
    rng = random.Random(seed)
    for attempt in range(3):
        folder = program.folder / f"killed-{attempt}"
        config = program.config(f"killed-{attempt}.yaml", training__output_dir=folder, **settings)
        kills = sorted(rng.sample(range(1, STEPS), 2))
        arguments = ["train", config]
        for kill in kills:
            process = program.start(*arguments)
            deadline = time.time() + 120
            while len(program.losses(folder)) < kill and process.poll() is None and time.time() < deadline:
                time.sleep(0.001)
            time.sleep(rng.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            arguments = ["train", config, "--resume"]
        program.run(*arguments)
        files, state, adapter = final(folder)
        for name in FILES:
            check(files[name] == expected[0][name], f"{name} differs after kills at {kills}")
        check(state == expected[1], f"state differs after kills at {kills}: {state} {expected[1]}")
        check(adapter == expected[2], f"the best adapter differs after kills at {kills}")
        check(program.losses(folder) == program.losses(straight), "the recorded losses differ")

    # A damaged newest checkpoint is passed over.
    folder = program.folder / "damaged"
    config = program.config("damaged.yaml", training__output_dir=folder, **dict(settings, training__max_steps=7))
    program.run("train", config)
    weights = folder / "checkpoints" / "step-00000007" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    out = program.run("train", config, "--resume")
    check("passed over step-00000007" in out, f"the damaged checkpoint is reported: {out}")
    # Other settings cannot continue this run.
    err = program.run("train", config, "--resume", "training.seed=43", expect=2)
    check("training.seed: 42 → 43" in err, err)


main(resumes)
