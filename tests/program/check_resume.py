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


def longer(program):
    """max_steps goes round the data again; a finished run goes on when it is given more, bit for bit where its schedule does not depend on the end."""
    settings = dict(training__batch_size=10, data__packing="false", schedule__type="constant", schedule__warmup_ratio=0, training__save_steps=5, lora__dropout=0.1)
    straight, grown = program.folder / "long", program.folder / "grown"
    out = program.run("train", program.config("long.yaml", training__output_dir=straight, training__max_steps=10, **settings))
    check(len(program.losses(straight)) == 10, "max_steps counts, whatever epochs says: 40 rows are 4 steps")
    check("training.max_steps 10 overrides training.epochs 1: about 2.5 passes" in out, out)
    for more in ({"training__epochs": 1}, {"training__epochs": 2}, {"training__epochs": 2, "training__max_steps": 10}):
        out = program.run("train", program.config("grown.yaml", training__output_dir=grown, **more, **settings), *(["--resume"] if grown.exists() else []))
    check("the run goes on to step 10 instead of 8, at the same learning rate" in out, out)
    check(program.losses(grown) == program.losses(straight), f"{program.losses(grown)} {program.losses(straight)}")
    for name in FILES:
        check((grown / "checkpoints" / "step-00000010" / name).read_bytes() == (straight / "checkpoints" / "step-00000010" / name).read_bytes(), f"{name} differs")
    err = program.run("train", program.config("grown.yaml", training__output_dir=grown, training__max_steps=9, **settings), "--resume", expect=2)
    check("started for 10 steps, and these settings make 9" in err and "longer, not shorter" in err, err)

    settings["schedule__type"] = "linear"
    folder = program.folder / "linear"
    program.run("train", program.config("linear.yaml", training__output_dir=folder, **settings))
    out = program.run("train", program.config("linear.yaml", training__output_dir=folder, training__epochs=2, **settings), "--resume")
    check("its schedule (linear) is drawn anew over all 8 steps: the learning rate of step 5 is 0.005 instead of 0" in out, out)
    rates = [line["learning_rate"] for line in program.metrics(folder) if "learning_rate" in line]
    check([round(rate * 800) for rate in rates] == [8, 6, 4, 2, 4, 3, 2, 1], f"as transformers' schedule over 8 steps from the fifth on: {rates}")


def everything(program):
    resumes(program)
    longer(program)


main(everything)
