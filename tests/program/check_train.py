#!/usr/bin/env python3
"""What a person relies on when training: equal arithmetic however a step is cut up, interrupts that save, one writer, exports."""
import json
import signal
import time
import urllib.request

from hone_program import Running, check, main
from terminal import Terminal


def close(a, b, bound, what):
    check(len(a) == len(b) and len(a) > 0, f"{what}: {len(a)} and {len(b)} losses")
    for x, y in zip(a, b):
        check(abs(x - y) <= bound * max(abs(x), abs(y)), f"{what}: {a} {b}")


def losses(program, name, **settings):
    folder = program.folder / name
    program.run("train", program.config(f"{name}.yaml", training__output_dir=folder, **settings))
    return program.losses(folder)


def arithmetic(program):
    base = dict(training__max_steps=4, training__epochs=5, data__packing="false")
    batched = losses(program, "batched", training__batch_size=8, **base)
    close(batched, losses(program, "accumulated", training__gradient_accumulation=8, **base), 2e-5, "batch 8 × 1 against 1 × 8")
    close(batched, losses(program, "checkpointed", training__batch_size=8, training__gradient_checkpointing="true", **base), 2e-6, "gradient checkpointing")
    check(batched[-1] < batched[0], f"the loss falls: {batched}")
    for kind in ("lora__rslora=true", "lora__plus_ratio=4", "model__quantization=nf4", "model__quantization=bf16", "model__adapter=full", "training__precision=bf16",
                 "lora__target=attention", "schedule__type=linear", "optimizer__weight_decay=0.1", "training__method=pretrain"):
        key, value = kind.split("=")
        name = kind.replace("=", "-")
        result = losses(program, name, **dict(base, training__batch_size=8, **{key: value}))
        check(result[-1] < result[0], f"{kind}: the loss falls: {result}")


def early_stop(program):
    folder = program.folder / "early"
    out = program.run("train", program.config("early.yaml", training__output_dir=folder, training__learning_rate=0.5, training__epochs=50, data__validation_share=0.2,
                                              training__eval_steps=1, patience=3))
    check("stopped early" in out, out)


def interrupts(program):
    for number in (signal.SIGINT, signal.SIGTERM):
        folder = program.folder / f"interrupted-{number}"
        config = program.config("interrupted.yaml", training__output_dir=folder, training__epochs=500)
        process = program.start("train", config)
        while len(program.losses(folder)) < 3 and process.poll() is None:
            time.sleep(0.01)
        err = program.run("train", config, "--resume", expect=2)
        check("another process is training" in err, f"a second writer is refused: {err}")
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        check(process.returncode == 130, f"exit code {process.returncode}")
        check("--resume" in out, out)
        step = max(int(path.name[5:]) for path in (folder / "checkpoints").iterdir())
        check(step >= 3, f"the last step is saved, not only {step}")


def divergence(program):
    folder = program.folder / "diverging"
    config = program.config("diverging.yaml", training__output_dir=folder, training__learning_rate=10, optimizer__max_grad_norm=0, schedule__type="constant",
                            schedule__warmup_ratio=0, training__epochs=200, model__adapter="full", optimizer__weight_decay=10)
    process = program.start("train", config)
    out, err = process.communicate(timeout=120)
    check("skipped" in out and "rollback" in out, f"non-finite updates are skipped, then rolled back: {out[-2000:]}")
    check(process.returncode == 2 and "rows.jsonl:" in err and "learning_rate" in err, f"exit {process.returncode}: {err}")


def exports(program):
    folder = program.folder / "exported"
    model = program.tiny_model("q8_0")
    program.run("train", program.config("exported.yaml", model__base=model, training__output_dir=folder, training__epochs=4, training__batch_size=4))
    prompt = ["--temperature", "0", "--max-tokens", "12", "--f32", "--json", "the that"]
    tuned = json.loads(program.run("run", model, "--adapter", folder, *prompt))
    check(tuned["ids"] != json.loads(program.run("run", model, *prompt))["ids"], "training changed the answer")
    for kind in ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m", "q6_k"):
        out = folder / f"{kind}.gguf"
        program.run("export", folder, "--format", "gguf", "--type", kind, "--out", out)
        merged = json.loads(program.run("run", out, *prompt))
        check(merged["ids"], f"{kind}: the merged model answers")
        if kind == "f32":
            check(merged["ids"] == tuned["ids"], f"merged f32 says the same as base + adapter: {merged} {tuned}")
    program.run("export", folder, "--format", "peft", "--out", folder / "peft")
    copied = json.loads(program.run("run", model, "--adapter", folder / "peft", *prompt))
    check(copied["ids"] == tuned["ids"], "the exported adapter says the same")
    program.run("export", folder, "--format", "safetensors", "--type", "f32", "--out", folder / "hf")
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"):
        check((folder / "hf" / name).exists(), f"the folder made from GGUF holds {name}")
    check(json.loads(program.run("run", folder / "hf", *prompt))["ids"] == tuned["ids"], "the folder made from GGUF says the same")
    program.run("export", folder / "hf", "--format", "gguf", "--type", "f32", "--out", folder / "back.gguf")
    check(json.loads(program.run("run", folder / "back.gguf", *prompt))["ids"] == tuned["ids"], "converted to GGUF again it says the same")
    check("--out" in program.run("export", folder / "hf", "--format", "gguf", expect=2), "a model needs a place for its results")
    check("--type" in program.run("export", folder, "--format", "peft", "--type", "f16", expect=2), "an adapter has no type")
    program.run("export", folder, "--format", "gguf-lora")
    program.run("export", folder, "--format", "modelfile")
    text = (folder / "export" / "modelfile" / "Modelfile").read_text()
    for part in ("FROM /", "ADAPTER /", "<|im_start|>user\n{{ .Prompt }}<|im_end|>", "<|im_start|>assistant\n{{ .Response }}", 'PARAMETER stop "<|im_end|>"'):
        check(part in text, f"the Modelfile holds {part!r}: {text}")
    check("did you mean" in program.run("export", folder, "--format", "guf", expect=2), "a wrong format is named")


def shared_system(program):
    """The system message that nearly all rows share goes with the result, wherever it is used, and is told."""
    system, rows = 'You are "Mia"\nof Shop Example.', program.rows("shop.jsonl", count=40)
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    folder, model, words = program.folder / "shop", program.tiny_model(), ["--temperature", "0", "--max-tokens", "8", "--f32", "the that"]

    def train(having, **more):
        rows.write_text("".join(json.dumps({"messages": ([{"role": "system", "content": system}] if i < having else []) + line["messages"]}) + "\n" for i, line in enumerate(lines)), encoding="utf-8")
        return program.run("train", program.config("shop.yaml", data=rows, training__output_dir=folder, **more), "--overwrite")

    check("95 % of the rows" in train(38), "the plan tells it")
    for place in ("best", "last"):
        check((folder / place / "system.txt").read_text(encoding="utf-8") == system, f"{place} holds it")
    process = program.start("run", model, "--adapter", folder, *words)
    out, err = process.communicate(timeout=60)
    check(out == program.run("run", model, "--adapter", folder, "--system", system, *words) and "system message of the training rows" in err, f"hone run uses it: {err}")
    asked = [json.loads(program.run("run", model, "--adapter", folder, "--json", *more, *words))["prompt_tokens"] for more in ((), ("--system", system), ("--system", ""))]
    check(asked[0] == asked[1] > asked[2], f"unless told otherwise: {asked}")
    modelfile = program.folder / "shop.modelfile"
    for text, kept in ((f"FROM {folder}\n", system), (f"FROM {model}\nADAPTER {folder}\n", system), (f"FROM {folder}\nSYSTEM other\n", "other")):
        modelfile.write_text(text)
        told = program.start("create", "shop", "-f", modelfile).communicate(timeout=60)[1]
        check(json.loads(program.run("show", "shop", "--json"))["system"] == kept and ("SYSTEM is what the training rows share" in told) == (kept == system), f"hone create, {text}: {told}")
    program.run("export", folder, "--format", "modelfile")
    modelfile.write_text((folder / "export" / "modelfile" / "Modelfile").read_text(encoding="utf-8"), encoding="utf-8")
    program.run("create", "again", "-f", modelfile)
    check(json.loads(program.run("show", "again", "--json"))["system"] == system, "the exported Modelfile says it")
    program.run("export", folder, "--format", "peft")
    check((folder / "export" / "peft" / "system.txt").exists(), "the exported adapter has it beside it")
    with Running(program, "serve", model, "--adapter", f"shop={folder}", "--port", "0") as server:
        def ask(name, messages):
            body = json.dumps({"model": name, "messages": messages, "stream": False, "options": {"temperature": 0, "num_predict": 8}}).encode()
            with urllib.request.urlopen(urllib.request.Request(f"{server.url}/api/chat", body, {"Content-Type": "application/json"}), timeout=60) as answer:
                return json.loads(answer.read())
        user = [{"role": "user", "content": "the that"}]
        given, own = ask("shop", [{"role": "system", "content": system}] + user), ask("shop", user)
        check(given["prompt_eval_count"] == own["prompt_eval_count"] and given["message"] == own["message"], f"hone serve puts it before: {given} {own}")
        check(ask(server_model(server), user)["prompt_eval_count"] < own["prompt_eval_count"], "but not for the base")
        server.stop()
    train(32, model__adapter="full")
    check(not (folder / "best" / "system.txt").exists(), "what four of five rows have is not the model's own")
    train(40, model__adapter="full", data__validation_share=0.2)
    check((folder / "best" / "system.txt").exists(), "full weights have it beside them")


def server_model(server):
    with urllib.request.urlopen(f"{server.url}/api/tags", timeout=60) as answer:
        return next(m["name"] for m in json.loads(answer.read())["models"] if m["name"].startswith("tiny"))


def history(program):
    runs = program.run("runs", "list").splitlines()[1:]
    check(len(runs) > 10, "runs are listed")
    first, second = runs[-1].split()[0], runs[-2].split()[0]
    check("last_loss" in program.run("runs", "show", first), "figures are shown")
    check(second in program.run("runs", "compare", first, second), "runs are compared")
    shown = json.loads(program.run("runs", "show", first, "--json"))
    check(len(shown["metrics"]["loss"]) == 4, shown)
    check("<svg" in (program.folder / "batched" / "loss.svg").read_text(), "the loss curve is drawn")
    check("did you mean" in program.run("runs", "show", first + "x", expect=2), "a wrong id is named")


def fits_the_terminal(program):
    """One step line that is drawn again in its place, however wide the terminal is, and also when that changes; other lines break at words."""
    calm = dict(alarms__grad_norm_min=0, alarms__grad_norm_max="1e9", alarms__volatility_max=1000)
    for width in (60, 80, 120):
        folder = program.folder / f"columns-{width}"
        config = program.config(f"columns-{width}.yaml", training__output_dir=folder, training__max_steps=30, training__epochs=99, training__learning_rate=200, **calm)
        screen = Terminal(program, "train", config, width=width).end()
        steps = [line for line in screen.lines if line.startswith("step ") and "/30  loss" in line]
        check(len(steps) == 1 and steps[0].startswith("step 30/30") and len(steps[0]) < width and not any(f"step {i}/30" in line for line in screen.lines for i in range(30)),
              f"{width} columns: one step line: {screen.lines}")
        check(steps[0].endswith(" left") and ("GiB" in steps[0]) == (width == 120) and ("tok/s" in steps[0]) == (width > 60), f"{width} columns: {steps[0]}")
        plan = [i for i, line in enumerate(screen.lines) if line.startswith(("memory  ", "note      training.learning_rate"))]
        check(len(plan) == 2, f"{screen.lines}")
        for i in plan:
            check(len(screen.lines[i]) <= width and screen.lines[i + 1].startswith(" " * 10) == (width < 120 or "memory" in screen.lines[i]), f"{width} columns: {screen.lines[i:i + 2]}")
    folder = program.folder / "resized"
    config = program.config("resized.yaml", training__output_dir=folder, training__max_steps=200, training__epochs=999, **calm)
    terminal = Terminal(program, "train", config, width=120)
    for step, width in ((5, 60), (30, 100), (60, 50)):
        terminal.until(lambda: any(line.startswith("step ") and int(line.split()[1].split("/")[0]) >= step for line in terminal.screen.lines if "/200  loss" in line), f"step {step}")
        terminal.resize(width)
    screen = terminal.end()
    steps = [line for line in screen.lines if "/200  loss" in line]
    check(len(steps) <= 2 and all(len(line) < 60 for line in steps[1:]), f"one line, whatever the width was: {steps}")  # one before the checkpoint of step 100, one at the end


def everything(program):
    arithmetic(program)
    early_stop(program)
    interrupts(program)
    divergence(program)
    exports(program)
    shared_system(program)
    history(program)
    fits_the_terminal(program)


main(everything)
