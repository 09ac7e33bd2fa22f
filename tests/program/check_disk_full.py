#!/usr/bin/env python3
"""A full disk: hone saves, or says which file could not be written, what it needed, what is free and what to do, and exits with
1. Whatever was saved before stays whole, and once there is room a resumed run ends with the same bytes as an undisturbed one.

First on a real small file system (tmpfs, mounted in a namespace of this process's own), or under a limit on file sizes where
that is not allowed. Then with the disk full from the n-th writing call on, for many n (tests/tools/fault.cc)."""
import ctypes
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys

from hone_program import check, main

STEPS, SETTINGS = 6, dict(training__max_steps=6, training__epochs=9, training__save_steps=2, training__keep_checkpoints=2, data__validation_share=0.2,
                          training__eval_steps=3, training__gradient_accumulation=2, report_to="tensorboard", training__sample_prompts="the that", training__sample_tokens=4)
FILES = ("weights.safetensors", "optimizer.safetensors")


def result(program, folder):
    checkpoint = folder / "checkpoints" / f"step-{STEPS:08}"
    return [(checkpoint / name).read_bytes() for name in FILES], (folder / "best" / "adapter_model.safetensors").read_bytes(), program.losses(folder), (folder / "samples.jsonl").read_bytes()


def explained(err, words):
    """The message of a refused write: names a file, the reason, and the remedy."""
    check("hone: /" in err and "hint:" in err and "this is a bug" not in err, err)
    check(any(word in err for word in words), f"none of {words} in: {err}")


def hone(program, *words, limit=None, **environment):
    def before():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    process = subprocess.run([program.hone, *map(str, words)], env=dict(program.environment, **environment), capture_output=True, text=True, timeout=300,
                             preexec_fn=before)
    return process.returncode, process.stdout, process.stderr


class SmallDisk:
    """A tmpfs of a few hundred KiB, filled up to a wanted rest."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.filler = folder / "filler"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=1500k") != 0:
            raise OSError(ctypes.get_errno(), "mount")

    def leave(self, free):
        self.filler.unlink(missing_ok=True)
        there = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        with self.filler.open("wb") as file:
            file.write(b"\0" * max(0, there - free))

    def make_room(self):
        self.filler.unlink(missing_ok=True)

    def close(self):
        ctypes.CDLL(None).umount2(str(self.folder).encode(), 2)


def own_namespace():
    """True when this process may now mount: as root, or as root of a namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, new_user, new_mount, private = os.getuid(), 0x10000000, 0x00020000, 1 << 18 | 1 << 14
    if libc.unshare(new_mount if user == 0 else new_user | new_mount) != 0:
        return False
    try:
        if user != 0:
            pathlib.Path("/proc/self/setgroups").write_text("deny")
            pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            pathlib.Path("/proc/self/gid_map").write_text(f"0 {os.getgid()} 1")
    except OSError:
        return False
    return libc.mount(None, b"/", None, private, None) == 0


def on_small_disk(program, expected):
    disk = SmallDisk(program.folder / "disk")
    try:
        run = disk.folder / "run"
        config = program.config("small-disk.yaml", training__output_dir=run, **SETTINGS)
        full = ["No space left on device"]
        # Before the first checkpoint: nothing was trained, nothing is left behind that would hinder a second try.
        disk.leave(60 << 10)
        code, _, err = hone(program, "train", config)
        check(code == 1, f"exit {code}: {err}")
        explained(err, full)
        check("needed" in err and "free" in err, f"says how much: {err}")
        # In the middle: room for one checkpoint, not for two.
        shutil.rmtree(run)
        disk.leave(300 << 10)
        code, _, err = hone(program, "train", config)
        check(code == 1, f"exit {code}: {err}")
        explained(err, full)
        check("--resume" in err, f"says how to go on: {err}")
        kept = sorted(path.name for path in (run / "checkpoints").iterdir())
        check(kept and not any(name.startswith(".") for name in kept), f"whole checkpoints stay, and nothing else: {kept}")
        disk.make_room()
        code, _, err = hone(program, "train", config, "--resume")
        check(code == 0, err)
        check(result(program, run) == expected, "resumed after room was made: other bytes than undisturbed")
        # Exports: the merged model does not fit, the run is untouched, and nothing half-written stays.
        disk.leave(100 << 10)
        before = sorted(path.name for path in disk.folder.iterdir())
        for form in ("gguf", "peft", "gguf-lora"):
            out = disk.folder / ("model.gguf" if form == "gguf" else form)
            disk.leave(100 << 10 if form == "gguf" else 4 << 10)
            code, _, err = hone(program, "export", run, "--format", form, "--out", out)
            check(code == 1, f"export {form}: exit {code}: {err}")
            explained(err, full)
            if out.is_dir():
                check(not list(out.iterdir()), f"export {form} left {list(out.iterdir())}")
                out.rmdir()
            check(sorted(path.name for path in disk.folder.iterdir()) == before, f"export {form} left {sorted(disk.folder.iterdir())}")
        # The history on a full disk, the run elsewhere: what was trained is saved before the run ends.
        history, elsewhere = disk.folder / "home", program.folder / "elsewhere"
        disk.make_room()
        history.mkdir()
        disk.leave(48 << 10)
        config = program.config("history.yaml", training__output_dir=elsewhere, **SETTINGS)
        code, _, err = hone(program, "train", config, HONE_HOME=str(history))
        check(code == 1 and "runs.db" in err and "HONE_HOME" in err, f"exit {code}: {err}")
        disk.make_room()
        code, _, err = hone(program, "train", config, "--resume", HONE_HOME=str(history))
        check(code == 0, err)
        check(result(program, elsewhere) == expected, "resumed after the history had no room: other bytes than undisturbed")
    finally:
        disk.close()


def under_a_limit(program, expected):
    """No mount is allowed here: files may not grow beyond a limit instead (EFBIG)."""
    run = program.folder / "limited"
    config = program.config("limited.yaml", training__output_dir=run, **SETTINGS)
    code, _, err = hone(program, "train", config, limit=30 << 10)
    check(code == 1, f"exit {code}: {err}")
    explained(err, ["File too large", "disk I/O error", "full"])


def at_any_call(program, expected):
    fault = program.build / "tests" / "libhone_fault.so"
    count_file = program.folder / "count"
    settings = dict(SETTINGS)

    def faulty(number, fault_word, *words):
        run = program.folder / f"full-{number}"
        config = program.config(f"full-{number}.yaml", training__output_dir=run, **settings)
        environment = dict(LD_PRELOAD=str(fault), HONE_FAULT=fault_word, HONE_FAULT_COUNT=str(count_file), HONE_HOME=str(program.folder / f"home-{number}"))
        return run, config, environment

    run, config, environment = faulty("none", "count:0")
    code, _, err = hone(program, "train", config, **environment)
    check(code == 0, err)
    check(result(program, run) == expected, "counting changes nothing")
    calls = int(count_file.read_text())
    check(calls > 50, f"{calls} calls counted")
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    every = 1 if "--all" in sys.argv else max(1, calls // 14)
    points = list(range(1 + rng.randrange(every), calls + 1, every))
    print(f"{calls} calls change files; full at {len(points)} of them (seed {seed})")
    seen = 0
    for n in points:
        run, config, environment = faulty(n, f"full:{n}")
        code, out, err = hone(program, "train", config, **environment)
        if code != 0:
            check(code == 1, f"full at call {n}: exit {code}: {err}")
            explained(err, ["No space left on device", "full", "disk I/O error", "unable to open database"])
            seen += 1
        code, out, err = hone(program, "train", config, "--resume", HONE_HOME=environment["HONE_HOME"])
        check(code == 0, f"full at call {n}, then resumed: {err}")
        check(result(program, run) == expected, f"full at call {n}, then resumed: other bytes than undisturbed")
        shutil.rmtree(run)
    check(seen >= len(points) // 2, f"only {seen} of {len(points)} faults were seen")


def disk_full(program):
    straight = program.folder / "straight"
    program.run("train", program.config("straight.yaml", training__output_dir=straight, **SETTINGS))
    expected = result(program, straight)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if own_namespace():
        on_small_disk(program, expected)
        print("seen on a full file system of its own")
    else:
        under_a_limit(program, expected)
        print("no mount allowed: seen under a limit on file sizes")
    at_any_call(program, expected)


main(disk_full)
