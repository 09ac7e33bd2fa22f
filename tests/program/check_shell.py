#!/usr/bin/env python3
"""hone as shells use it: prompts of several words and from pipes, output that cannot be written, paths with ~ and $NAME."""
import os
import subprocess
import tempfile

from hone_program import check, main

RUN = ("--max-tokens", 4, "--temperature", 0)


def hone(program, *words, expect=0, cwd=None, environment={}, **streams):
    streams.setdefault("stdin", subprocess.DEVNULL) if "input" not in streams else None
    process = subprocess.run([program.hone, *map(str, words)], env=dict(program.environment, **environment), cwd=cwd, text=True, timeout=120,
                             **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams})
    check(process.returncode == expect, f"hone {' '.join(map(str, words))}: exit {process.returncode}, expected {expect}\n{process.stdout}\n{process.stderr}")
    return process


def prompts(program):
    model = program.tiny_model()

    def ask(*words, **streams):
        return hone(program, "run", model, *words, *RUN, "--json", **streams).stdout.split('"prefill_seconds"')[0]

    joined = ask("the that\nthis\n\nsummarise this then")
    check(ask("the", "that") == ask("the that") != ask("the"), "several words")
    check(ask("summarise", "this", "then", input="the that\nthis\n") == joined, "what a pipe brings stands before the words")
    path = program.folder / "notes.txt"
    path.write_text("the that\nthis\n")
    with path.open() as file:
        check(ask("summarise this then", stdin=file) == joined, "what a file brings, too")
    check(ask("then", input="") == ask("then") == ask("-", input="then\n") == ask(input="then\n"), "nothing, and only that")
    for text in ("the that\n".encode("utf-16"), b"\xef\xbb\xbfthe that\n"):
        path.write_bytes(text)
        with path.open() as file:
            check(ask(stdin=file) == ask("the", "that"), f"with a byte order mark: {text}")
    for junk in (b"\x7fELF\x02\x01\x00\x00", b"caf\xe9 \xff", "the that\n".encode("utf-16-le")):
        path.write_bytes(junk)
        with path.open() as file:
            error = hone(program, "run", model, *RUN, stdin=file, expect=2).stderr
        check("standard input is not text" in error.replace(": ", " ") and "hint:" in error, f"{junk}: {error}")
    noted = hone(program, "run", model, "then", *RUN, input="the").stderr
    check("standard input (3 bytes) stands before the prompt" in noted, noted)
    check("no prompt" in hone(program, "run", model, expect=2).stderr, "no prompt at all")
    # A pipe that stays open is waited for, and that is said.
    process = subprocess.Popen([program.hone, "run", model, "then", "--max-tokens", "4"], env=program.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check("waiting for standard input" in process.stderr.readline(), "it says what it waits for")
    process.communicate("the", timeout=60)
    check(process.returncode == 0, "and goes on")


def lost_output(program):
    """Whatever the verb: what could not be written is an error, and the exit code is 1."""
    model, rows = program.tiny_model(), program.rows()
    modelfile = program.folder / "Modelfile"
    modelfile.write_text(f"FROM {model}\n")
    program.run("create", "named", "-f", modelfile)
    config = program.config(training__max_steps=2, data__validation=rows)
    program.run("train", config)
    folder = program.folder / "run"
    answers = program.folder / "said.txt"
    answers.write_text("x\n")
    verbs = [("--help",), ("--version",), ("run", "--help"), ("config",), ("config", config), ("list",), ("list", "--json"), ("show", "named"), ("show", "named", "--modelfile"), ("show", "named", "--json"),
             ("cp", "named", "other"), ("create", "third", "-f", modelfile), ("rm", "third"), ("run", model, "then", *RUN), ("run", model, "then", *RUN, "--json"), ("data", "show", rows), ("data", "check", rows),
             ("data", "convert", rows, "--to", "alpaca", "-o", program.folder / "converted.jsonl", "--overwrite"), ("data", "check", "--list-settings"), ("runs", "list"), ("train", config, "--dry-run", "--overwrite"),
             ("eval", "--predictions", answers, "--references", answers), ("eval", config, "--limit", 1), ("export", folder, "--format", "peft", "--out", program.folder / "exported")]
    for words in verbs:
        with open("/dev/full", "w") as full:
            process = hone(program, *words, stdout=full, expect=1)
        check("standard output" in process.stderr and "hint:" in process.stderr and "bug" not in process.stderr, f"{words}: {process.stderr}")
    for words in (("config",), ("run", model, "then", *RUN), ("show", "named", "--modelfile"), ("--help",)):
        reader, writer = os.pipe()
        os.close(reader)
        process = hone(program, *words, stdout=writer, expect=1)
        os.close(writer)
        check("Broken pipe" in process.stderr, f"{words}, whose reader has left: {process.stderr}")
        closed = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', program.hone, *map(str, words)], env=program.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60)
        check(closed.returncode == 1 and "standard output" in closed.stderr, f"{words} without standard output: {closed.returncode} {closed.stderr}")
    # A program that was started without its streams prints into none of the files that it opens.
    target = program.folder / "written.jsonl"
    subprocess.run(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', program.hone, "data", "convert", rows, "--to", "alpaca", "-o", target, "--overwrite"], env=program.environment, timeout=60)
    check(target.read_text().startswith("{") and all(line.startswith('{"') for line in target.read_text().splitlines()), target.read_text()[:200])


def paths(program):
    """~ and $NAME in flags and settings, which no shell has seen."""
    model, rows = program.tiny_model(), program.rows()
    with tempfile.TemporaryDirectory(dir=program.folder) as home:
        environment = {"HOME": home, "RUNS": f"{home}/runs", "HONE_HOME": f"{home}/.hone"}
        os.symlink(model, f"{home}/model.gguf")
        os.symlink(rows, f"{home}/rows.jsonl")
        config = os.path.join(home, "tiny.yaml")
        with open(config, "w") as file:
            file.write("model.base: ~/model.gguf\ndata: $HOME/rows.jsonl\ndata.validation: ${HOME}/rows.jsonl\ndata.cutoff_length: 128\ntraining: {max_steps: 2, output_dir: $RUNS/one, precision: f32}\n")
        hone(program, "train", "~/tiny.yaml", environment=environment, cwd=program.folder)
        check(os.path.exists(f"{home}/runs/one/best") and not os.path.exists(program.folder / "$RUNS") and not os.path.exists(program.folder / "~"), "a run in its place")
        tuned = hone(program, "run", "~/model.gguf", "then", "--adapter", "$RUNS/one", *RUN, environment=environment).stdout
        check(tuned == hone(program, "run", model, "then", "--adapter", f"{home}/runs/one", *RUN).stdout, "the same answer")
        hone(program, "train", config, "training.output_dir=~/runs/two", environment=environment)
        check(os.path.exists(f"{home}/runs/two/best"), "settings of the command line")
        hone(program, "export", "~/runs/one", "--format", "peft", "--out=~/peft", environment=environment)
        check(os.path.exists(f"{home}/peft/adapter_config.json"), "--out=~/…")
        hone(program, "data", "convert", "~/rows.jsonl", "--to", "alpaca", "--output=${HOME}/rows.alpaca.jsonl", environment=environment)
        check(os.path.exists(f"{home}/rows.alpaca.jsonl"), "--output=${HOME}/…")
        hone(program, "create", "homely", "-f", "-", input="FROM ~/model.gguf\nADAPTER $RUNS/one\n", environment=environment)
        check(hone(program, "run", "homely", "then", *RUN, environment=environment).stdout == tuned, "a Modelfile's paths")
        for words in (("run", "$NOT_SET_ANYWHERE/x", "then"), ("run", model, "then", "--adapter", "$NOT_SET_ANYWHERE"), ("train", config, "training.output_dir=$NOT_SET_ANYWHERE/x"), ("serve", "x=$NOT_SET_ANYWHERE"),
                      ("data", "convert", rows, "--to", "alpaca", "-o", "$NOT_SET_ANYWHERE"), ("export", "~nobody-of-this-name/run", "--format", "peft")):
            err = hone(program, *words, environment=environment, expect=2).stderr
            check(("$NOT_SET_ANYWHERE is not set" in err or "no user nobody-of-this-name" in err) and "hint:" in err, f"{words}: {err}")


def shell(program):
    prompts(program)
    lost_output(program)
    paths(program)


main(shell)
