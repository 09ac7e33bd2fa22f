#!/usr/bin/env python3
"""What can happen to a run besides a full disk: kill -9 at any call that changes files, files that change or shrink under it,
places it may not write to, names with spaces and other alphabets, two processes at once."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from hone_program import check, main

STEPS, SETTINGS = 5, dict(training__max_steps=5, training__epochs=9, training__save_steps=2, data__validation_share=0.2, training__eval_steps=2,
                           report_to="tensorboard", training__sample_prompts="the that", training__sample_tokens=4)
FILES = ("weights.safetensors", "optimizer.safetensors")


def result(program, folder):
    checkpoint = folder / "checkpoints" / f"step-{STEPS:08}"
    state = json.loads((checkpoint / "state.json").read_text())
    state.pop("seconds")
    return ([(checkpoint / name).read_bytes() for name in FILES], (folder / "best" / "adapter_model.safetensors").read_bytes(),
            (folder / "last" / "adapter_model.safetensors").read_bytes(), state, program.losses(folder), (folder / "samples.jsonl").read_bytes())


def killed_at_any_call(program, expected):
    """kill -9 just before the n-th call that writes, renames or removes: the first checkpoint, the exchange of best, all of it."""
    fault = {"LD_PRELOAD": str(program.build / "tests" / "libhone_fault.so")}
    count_file = program.folder / "count"
    plain = dict(program.environment)

    def run(n, word, *options):
        config = program.config(f"killed-{n}.yaml", training__output_dir=program.folder / f"killed-{n}", **SETTINGS)
        program.environment = dict(plain, HONE_HOME=str(program.folder / f"home-{n}"), **(dict(fault, HONE_FAULT=word, HONE_FAULT_COUNT=str(count_file)) if word else {}))
        process = program.start("train", config, *options)
        out, err = process.communicate(timeout=120)
        program.environment = plain
        return process.returncode, out, err

    code, _, err = run(0, "count:0")
    check(code == 0, err)
    calls = int(count_file.read_text())
    seed = random.randrange(1 << 30)
    every = 1 if "--all" in sys.argv else max(1, calls // 14)
    points = list(range(1 + random.Random(seed).randrange(every), calls + 1, every))
    killed = 0
    for n in points:
        code, _, err = run(n, f"kill:{n}")
        killed += code == -signal.SIGKILL
        code, _, err = run(n, None, "--resume")
        check(code == 0, f"killed at call {n}, then resumed: {err}")
        folder = program.folder / f"killed-{n}"
        check(result(program, folder) == expected, f"killed at call {n}, then resumed: other bytes than undisturbed")
        left = [path.name for path in folder.iterdir() if "partial" in path.name or path.name.endswith(".old")]
        check(not left, f"killed at call {n}: {left} stayed behind")
        shutil.rmtree(folder)
    check(killed > len(points) * 0.8, f"only {killed} of {len(points)} were killed")
    print(f"killed at {killed} of {calls} calls (seed {seed})")


def wait_for_steps(program, process, folder, steps=3):
    deadline = time.time() + 60
    while len(program.losses(folder)) < steps and process.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    check(process.poll() is None, f"training ended too early: {process.communicate() if process.poll() is not None else ''}")


def long_run(program, name, **settings):
    folder = program.folder / name
    config = program.config(f"{name}.yaml", training__output_dir=folder, training__epochs=5000, **settings)
    process = program.start("train", config)
    wait_for_steps(program, process, folder)
    return folder, config, process


def goes_on(program, config, folder):
    before = len(program.losses(folder))
    process = program.start("train", config, "--resume")
    wait_for_steps(program, process, folder, before + 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    check(process.returncode == 130, f"resumed: exit {process.returncode}: {err}")


def data_that_changes(program):
    for name, change, expect_end in (("cut", lambda path, text: path.write_bytes(text[:len(text) // 2]), True),
                                     ("edited", lambda path, text: path.write_bytes(text.replace(b"number 1", b"number 7")), True),
                                     ("grown", lambda path, text: path.write_bytes(text + text), True),
                                     ("touched", lambda path, text: os.utime(path), False)):
        data = program.rows(f"{name}.jsonl", count=60)
        text = data.read_bytes()
        folder, config, process = long_run(program, f"data-{name}", data=data)
        change(data, text)
        if not expect_end:
            wait_for_steps(program, process, folder, len(program.losses(folder)) + 3)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            check(process.returncode == 130, f"a file that is only touched changes nothing: exit {process.returncode}")
            continue
        _, err = process.communicate(timeout=60)
        check(process.returncode == 1 and f"{name}.jsonl" in err and "hint:" in err and "--resume" in err, f"data {name}: exit {process.returncode}: {err}")
        err = program.run("train", config, "--resume", expect=2)
        check("not those of the saved run" in err or (name == "cut" and "cut.jsonl:" in err), err)
        data.write_bytes(text)
        steps = max(int(path.name[5:]) for path in (folder / "checkpoints").iterdir())
        check(steps >= 3, f"what was trained before is saved: {steps}")
        goes_on(program, config, folder)


def model_that_shrinks(program):
    model = program.folder / "shrinking.gguf"
    shutil.copyfile(program.tiny_model(), model)
    content = model.read_bytes()
    folder, config, process = long_run(program, "model-cut", model__base=model)
    with model.open("r+b") as file:
        file.truncate(8192)
    _, err = process.communicate(timeout=60)
    check(process.returncode == 1 and "shrinking.gguf" in err and "hint:" in err, f"exit {process.returncode}: {err}")
    err = program.run("train", config, "--resume", expect=2)
    check("shrinking.gguf" in err, err)
    model.write_bytes(content)
    goes_on(program, config, folder)
    # Written over while it is used: found at the next checkpoint, before anything of it is saved.
    folder, config, process = long_run(program, "model-edited", model__base=model, training__save_steps=20)
    with model.open("r+b") as file:
        file.seek(len(content) - 4000)
        file.write(b"\0" * 4000)
    _, err = process.communicate(timeout=60)
    check(process.returncode == 1 and "shrinking.gguf" in err and "changed" in err, f"exit {process.returncode}: {err}")


def places(program):
    odd = program.folder / "a place with spaces, 数据 und Ümläute"
    odd.mkdir()
    model, data = odd / "模型 1.gguf", odd / "zeilen ä.jsonl"
    shutil.copyfile(program.tiny_model(), model)
    shutil.copyfile(program.rows(), data)
    config = odd / "einstellungen 一.yaml"
    config.write_text(f"model.base: '{model}'\ndata: '{data}'\ndata.cutoff_length: 128\ntraining: {{max_steps: 2, output_dir: '{odd / 'lauf 一'}'}}\n", encoding="utf-8")
    out = program.run("train", config)
    check("lauf 一" in out, out)
    program.run("run", model, "--adapter", odd / "lauf 一", "--max-tokens", "3", "the")
    program.run("export", odd / "lauf 一", "--format", "gguf", "--type", "f16", "--out", odd / "ergebnis ß.gguf")
    program.run("run", odd / "ergebnis ß.gguf", "--max-tokens", "3", "the")
    # Where nothing may be written.
    program.run("train", program.config("below-a-file.yaml", training__output_dir=data / "run", training__max_steps=1), expect=1)
    locked = program.folder / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    config = program.config("locked.yaml", training__output_dir=locked / "run", training__max_steps=1)
    if os.geteuid() == 0:  # root may write anywhere but under /proc
        config = program.config("locked.yaml", training__output_dir="/proc/hone-run", training__max_steps=1)
        err = program.run("train", config, expect=2)
        check("/proc/hone-run" in err and "hint:" in err and "bug" not in err, err)
    else:
        err = program.run("train", config, expect=1)
        check("locked/run" in err and "Permission denied" in err and "may write to" in err, err)
    locked.chmod(0o755)


def signals(program):
    # A terminal that goes away: saved, as after Ctrl-C.
    folder, config, process = long_run(program, "hang-up")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    check(process.returncode == 130, f"exit {process.returncode}")
    # A reader that goes away.
    folder = program.folder / "pipe"
    process = subprocess.Popen([program.hone, "train", program.config("pipe.yaml", training__output_dir=folder, training__epochs=5000)], env=program.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_steps(program, process, folder)
    process.stdout.close()
    err = process.stderr.read()
    check(process.wait(timeout=60) == 1 and "standard output" in err, f"exit {process.returncode}: {err}")
    check(max(int(path.name[5:]) for path in (folder / "checkpoints").iterdir()) >= 3, "what was trained is saved")
    # Only damaged checkpoints: --resume says so, --overwrite starts again.
    for path in (folder / "checkpoints").rglob("state.json"):
        path.write_text("{")
    check("--overwrite" in program.run("train", program.folder / "pipe.yaml", "--resume", expect=2), "names the remedy")
    before = sorted(path.name for path in (program.folder / "pipe").rglob("*"))
    said = program.run("train", program.folder / "pipe.yaml", "--resume", "--overwrite", "training.max_steps=1", expect=2)
    check("leave out one of the two" in said and sorted(path.name for path in (program.folder / "pipe").rglob("*")) == before, said)
    program.run("train", program.folder / "pipe.yaml", "--overwrite", "training.max_steps=1")


def crash(program):
    straight = program.folder / "straight"
    program.run("train", program.config("straight.yaml", training__output_dir=straight, **SETTINGS))
    expected = result(program, straight)
    data_that_changes(program)
    model_that_shrinks(program)
    places(program)
    signals(program)
    killed_at_any_call(program, expected)


main(crash)
