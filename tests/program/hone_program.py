"""What the checks of the whole program share: a temporary place, a tiny model, data, and calls of the hone command."""
import json
import os
import pathlib
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time


class Program:
    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.hone = self.build / "apps" / "hone"
        self._temporary = tempfile.TemporaryDirectory(prefix="hone-check-")
        self.folder = pathlib.Path(self._temporary.name)
        self.environment = dict(os.environ, HONE_HOME=str(self.folder / "home"), HONE_MODELS=str(self.folder / "models"), NO_COLOR="1")
        self.environment.pop("OLLAMA_MODELS", None)
        self.environment.pop("HONE_FORCE_ISA", None)

    def tiny_model(self, kind="f32"):
        path = self.folder / f"tiny-{kind}.gguf"
        if not path.exists():
            subprocess.run([self.build / "tests" / "hone_tiny_model", path, kind], check=True)
        return path

    def rows(self, name="rows.jsonl", count=40, seed=1):
        rng = random.Random(seed)
        path = self.folder / name
        with path.open("w", encoding="utf-8") as file:
            for i in range(count):
                question = " ".join(rng.choice(["the", "that", "this", "then", "数字"]) for _ in range(rng.randint(1, 9)))
                file.write(json.dumps({"messages": [{"role": "user", "content": question},
                                                    {"role": "assistant", "content": f"number {i % 5}"}]}, ensure_ascii=False) + "\n")
        return path

    def config(self, name="tiny.yaml", **settings):
        path = self.folder / name
        lines = {"model.base": self.tiny_model(), "data": self.rows(), "data.cutoff_length": 128, "training.learning_rate": "1e-2",
                 "training.batch_size": 1, "training.precision": "f32", "lora.r": 4, "training.output_dir": self.folder / "run"}
        lines.update({key.replace("__", "."): value for key, value in settings.items()})
        path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), encoding="utf-8")
        return path

    def start(self, *words, **options):
        return subprocess.Popen([self.hone, *map(str, words)], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **options)

    def run(self, *words, expect=0):
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        if process.returncode != expect:
            raise AssertionError(f"hone {' '.join(map(str, words))}: exit {process.returncode}, expected {expect}\n{out}\n{err}")
        return out if expect == 0 else err

    def metrics(self, folder):
        path = pathlib.Path(folder) / "metrics.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]

    def losses(self, folder):
        return [m["loss"] for m in self.metrics(folder) if "loss" in m]


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class Running:
    """A verb that goes on until it is stopped, and says in its first lines where it listens: `url`, its `port`, and the `token` behind it, if any.
    As a context it ends with the block. `drain`: nobody reads the rest of what it says, and a full pipe must not hold it up."""
    address = r"http://127\.0\.0\.1:(\d+)(?:/#token=(\w+))?"
    first_lines = 5  # among which the address is
    patience = 30    # seconds for its end

    def __init__(self, program, *words, drain=False):
        self.process = program.start(*words)
        said, found = "", None
        for _ in range(self.first_lines):
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            line = self.process.stdout.readline() if ready else ""
            said += line
            found = re.search(self.address, line)
            if found or not line:
                break
        if not found:
            self.process.kill()
            raise AssertionError(f"hone {' '.join(map(str, words))} did not say where it listens: {said} {self.process.stderr.read()}")
        self.url, self.port, self.token = found.group(), int(found.group(1)), found.group(2)
        if drain:
            threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self, expect=0, signal_number=signal.SIGTERM):
        """The seconds it took to end; `said` is what stood on standard error."""
        started = time.monotonic()
        if signal_number:
            self.process.send_signal(signal_number)
        code = self.process.wait(timeout=self.patience)
        took = time.monotonic() - started
        self.said = self.process.stderr.read()
        check(code == expect, f"hone ended with {code}, expected {expect}: {self.said}")
        return took

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.process.poll() is None:
            self.kill()
            if failure[0] is not None:
                print(self.process.stderr.read())


def begin(program, *words, drain=False):
    """The process of such a verb, its port and its token."""
    running = Running(program, *words, drain=drain)
    return running.process, running.port, running.token


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"did not happen in {seconds} s: {what}")


def main(function):
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # hone run reads what a pipe brings: not what this program was started with
    program = Program(sys.argv[1])
    try:
        function(program)
    except AssertionError as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
    print("ok")
