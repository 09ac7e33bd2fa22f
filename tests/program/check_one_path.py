#!/usr/bin/env python3
"""What a row teaches is what a client gets: under every chat template that ships or that the tests know, a tiny model overfitted on rows of every form
answers each row through hone run, hone eval and the chat APIs of Ollama, OpenAI and Anthropic as the row says: content, reasoning and tool calls.
HONE_OFFLINE=1: only the templates that are kept here.

usage: check_one_path.py BUILD [TEMPLATE… | carried | chosen]
"""
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

from check_templates import GOLDEN, source
from hone_program import check, main
from serve_program import Server

SHIPPED = ["chatml", "llama3", "deepseek", "deepseek2"]
OWN = ["think_open", "qwen2", "deepseek_v2"]
PUBLISHED = ["deepseekv3", "deepseek_r1_distill", "llama3", "llama3_1", "llama3_2", "qwen2_5", "qwen3", "qwen3_instruct_2507", "smollm2"]
ENDS = {"chatml": ("", "<|im_end|>"), "think": ("", "<|im_end|>"), "qwen": ("", "<|im_end|>"), "smollm2": ("<|im_start|>", "<|im_end|>"),
        "llama3": ("<|begin_of_text|>", "<|eot_id|>"), "deepseek": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")}
TOOLS = [{"type": "function", "function": {"name": "get", "description": "a town's weather", "parameters": {
    "type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": "{\"town\": \"Ulm\"}"}}


# As that of DeepSeek-V3.1: no reasoning unless it is asked for.
THINK_WHEN_ASKED = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
                    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' + "
                    "('<think>\n' if thinking else '</think>\n') }}{% endif %}")


# Neither asks nor ends as any other here.
ANOTHER = ("{% for m in messages %}{{ '[' + m['role'] + '] ' }}{{ m['content'] }}{{ '\n\n' }}{% endfor %}"
           "{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}")


def says(role, content, **more):
    return {"role": role, "content": content, **more}


CHATS = [  # as rows of messages write them
    {"messages": [says("user", "hi"), says("assistant", "yo dear friend")]},
    {"messages": [says("system", "Be brief."), says("user", "one?"), says("assistant", "1."), says("user", "two?"), says("assistant", "22")]},
    {"messages": [says("user", "wrong?"), says("assistant", "WRONG", weight=0), says("user", "again?"), says("assistant", [{"type": "text", "text": "right"}])]},
]
REASONED = [
    {"messages": [says("user", "why?"), says("assistant", "so", reasoning_content="because")]},
    {"messages": [says("user", "how?"), says("assistant", "<think>\nlike this\n</think>\n\nthus")]},
]
CALLS = [{"messages": [says("user", "weather?"), says("assistant", None, tool_calls=[CALL]), says("tool", "20", tool_call_id="call_1", name="get"), says("assistant", "20 degrees")],
          "tools": TOOLS}]
OTHERS = {
    "alpaca": [{"instruction": "Sum", "input": "1 2", "output": "3!"}],
    "sharegpt": [{"conversations": [{"from": "human", "value": "ping"}, {"from": "gpt", "value": "pong"}]}],
    "pairs": [{"prompt": "abc", "completion": "def"}],
    "text": [{"text": "alpha beta END"}],
}
SAID = [([says("user", "Sum\n1 2")], "3!"), ([says("user", "ping")], "pong")]  # the chats among the others


def ends_of(name):
    return next(ends for start, ends in ENDS.items() if name.startswith(start))


def model_of(program, name, text, own=None):
    """A base model with the marks of the template `text`; it carries that, or `own`."""
    bos, eos = ends_of(name)
    marks = dict.fromkeys(re.findall(r"<\|[a-z_]+\|>|<｜[^｜<>]+｜>", text or "") + [eos])
    path = program.folder / f"{name}.gguf"
    file = name
    if text is not None:
        file = program.folder / f"{name}.jinja"
        file.write_text(text, encoding="utf-8")
    if own is not None:
        file = program.folder / f"{name}-own.jinja"
        file.write_text(own, encoding="utf-8")
    others = [mark for mark in marks if mark not in (bos, eos)]
    subprocess.run([program.build / "tests/hone_tiny_model", path, "f32", "llama", "1", file, bos, eos, *others], check=True)
    return path


def expected(message):
    """(content, reasoning, calls) of an assistant's message of a row."""
    content = message["content"] or ""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    found = re.match(r"<think>\n(.*)\n</think>\n\n", content, re.S)
    reasoning = message.get("reasoning_content", found.group(1) if found else "")
    calls = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls", [])]
    return content[found.end():] if found else content, reasoning, calls


def questions(chats):
    """(messages before, tools, what should come) of each turn that is learned."""
    for chat in chats:
        for i, message in enumerate(chat["messages"]):
            if message["role"] == "assistant" and message.get("weight", 1):
                yield chat["messages"][:i], chat.get("tools"), expected(message)


def plain(message):
    """A message of a request: without what only rows say."""
    return {key: value for key, value in message.items() if key != "weight"}


def by_ollama(server, model, before, tools, think):
    messages = [plain(m) for m in before]
    for m in messages:  # Ollama's calls are objects
        for call in m.get("tool_calls", []):
            m["tool_calls"] = [{"function": {"name": call["function"]["name"], "arguments": json.loads(call["function"]["arguments"])}}]
        if m["content"] is None:
            m["content"] = ""
        if isinstance(m["content"], list):
            m["content"] = m["content"][0]["text"]
    body = {"model": model, "messages": messages, "stream": False, "options": {"temperature": 0, "num_predict": 120}}
    if tools:
        body["tools"] = tools
    if think is not None:
        body["think"] = think
    said = server.json("POST", "/api/chat", body)["message"]
    calls = [(call["function"]["name"], call["function"]["arguments"]) for call in said.get("tool_calls", [])]
    return said["content"], said.get("thinking", ""), calls


def by_openai(server, model, before, tools, think):
    body = {"model": model, "messages": [plain(m) for m in before], "temperature": 0, "max_tokens": 120}
    if tools:
        body["tools"] = tools
    if think is False:
        body["reasoning_effort"] = "none"
    if think is True:
        body["reasoning_effort"] = "high"
    said = server.json("POST", "/v1/chat/completions", body)["choices"][0]["message"]
    calls = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in said.get("tool_calls") or []]
    return said["content"] or "", said.get("reasoning_content", ""), calls


def by_anthropic(server, model, before, tools, think):
    messages, body = [], {"model": model, "max_tokens": 120, "temperature": 0}
    for m in before:
        if m["role"] == "system":
            body["system"] = m["content"]
        elif m["role"] == "tool":
            messages.append(says("user", [{"type": "tool_result", "tool_use_id": m["tool_call_id"], "content": m["content"]}]))
        elif m.get("tool_calls"):
            messages.append(says("assistant", [{"type": "tool_use", "id": c["id"], "name": c["function"]["name"], "input": json.loads(c["function"]["arguments"])} for c in m["tool_calls"]]))
        else:
            messages.append(says(m["role"], m["content"]))
    body["messages"] = messages
    if tools:
        body["tools"] = [{"name": t["function"]["name"], "description": t["function"]["description"], "input_schema": t["function"]["parameters"]} for t in tools]
    if think:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    blocks = server.json("POST", "/v1/messages", body)["content"]
    return ("".join(b["text"] for b in blocks if b["type"] == "text"), "".join(b["thinking"] for b in blocks if b["type"] == "thinking"),
            [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"])


def one_template(program, name, text):
    # Of hone's own test templates the settings say which: the base carries another one.
    chosen = program.folder / f"{name}.jinja" if name in OWN else ""
    model = model_of(program, name, text, ANOTHER if chosen else None)
    shown = text if text is not None else ""
    chats = CHATS + REASONED + (CALLS if "tool_calls" in shown and "tools" in shown else [])
    folder = program.folder / name
    folder.mkdir()
    files = {"chats": chats, **OTHERS}
    for kind, rows in files.items():
        (folder / f"{kind}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    run = folder / "run"
    listed = ", ".join(str(folder / f"{kind}.jsonl") for kind in files)
    config = folder / "model.yaml"
    config.write_text(f"model: {{base: {model}, adapter: full, chat_template: '{chosen}'}}\ndata: {{datasets: [{listed}], validation: [{listed}], cutoff_length: 2048, packing: false}}\n"
                      f"training: {{epochs: 110, learning_rate: 4e-3, batch_size: 16, precision: f32, output_dir: {run}, eval_steps: 1000, save_steps: 1000}}\n", encoding="utf-8")
    program.run("train", config)
    losses = program.losses(run)
    check(losses[-1] < 0.02, f"{name}: the loss is still {losses[-1]}")
    # A client that says nothing is answered as the row says; with reasoning off, also where a row has none.
    with Server(program, model, "--adapter", f"tuned={run}") as server:
        default_off = ends_without_reasoning(server, name)
        for before, tools, (content, reasoning, calls) in [*questions(chats), *((b, None, (c, "", [])) for b, c in SAID)]:
            for ask in (by_ollama, by_openai, by_anthropic):
                for think in ([None] if not reasoning or not default_off else []) + [bool(reasoning)]:
                    if ask is by_anthropic and think is None and reasoning:
                        continue  # there, nothing said means no reasoning
                    found = ask(server, "tuned", before, tools, think)
                    wanted = (content, reasoning, calls)
                    check(found == wanted, f"{name}: {ask.__name__}, think {think}: {before[-1]['content']!r}: expected {wanted}, found {found}")
        raw = server.json("POST", "/v1/completions", {"model": "tuned", "prompt": "abc", "temperature": 0, "max_tokens": 20})["choices"][0]["text"]
        check(raw == "def", f"{name}: /v1/completions gives {raw!r}")
        raw = server.json("POST", "/api/generate", {"model": "tuned", "prompt": "alpha", "raw": True, "stream": False, "options": {"temperature": 0, "num_predict": 20}})["response"]
        check(raw == " beta END", f"{name}: /api/generate gives {raw!r}")
    for before, tools, (content, reasoning, _) in questions(chats):
        if tools or len(before) > 1:
            continue
        words = ["--think", "true"] if reasoning and default_off else []
        found = json.loads(program.run("run", model, before[0]["content"], "--adapter", run, "--temperature", "0", "--max-tokens", "120", "--f32", "--json", *words))
        check((found["text"], found.get("thinking", "")) == (content, reasoning), f"{name}: hone run: {before[0]['content']!r}: {found}")
    for setting in ("eval.reasoning=false", "eval.reasoning=true"):
        report = folder / "report"
        own = ["model.chat_template=''"] if chosen else []
        program.run("eval", config, "--adapter", run, *own, "--report", report, "--max-tokens", "120", setting)
        for line in (report / "answers-tuned.jsonl").read_text(encoding="utf-8").splitlines():
            answer = json.loads(line)
            check(answer["answer"] == answer["expected"], f"{name}: hone eval: {answer}")


def carried(program):
    """How a run asks goes along into merged files and into models of the store, whole or beside an adapter."""
    base = model_of(program, "think_when_asked", THINK_WHEN_ASKED)
    plain, reasoned = (CHATS[:2], "hi", ("yo dear friend", "")), (REASONED, "why?", ("so", "because"))
    for name, adapter, (chats, question, wanted), epochs, rate in (
            ("whole", "full", plain, 110, "4e-3"), ("reasons", "full", reasoned, 110, "4e-3"),
            ("beside", "lora", plain, 200, "5e-3")):
        rows, run, merged, folder = (program.folder / (name + ending) for ending in (".jsonl", "", ".gguf", "-folder"))
        rows.write_text("".join(json.dumps(row) + "\n" for row in chats), encoding="utf-8")
        config = program.folder / f"{name}.yaml"
        config.write_text(
            f"model: {{base: {base}, adapter: {adapter}}}\n"
            f"data: {{datasets: [{rows}], packing: false}}\n"
            f"training: {{epochs: {epochs}, learning_rate: {rate}, precision: f32, output_dir: {run}, "
            "eval_steps: 1000, save_steps: 1000}\n", encoding="utf-8")
        program.run("train", config)
        check(program.losses(run)[-1] < 0.05, f"{name}: the loss is still {program.losses(run)[-1]}")
        for format, out in (("gguf", merged), ("safetensors", folder)):
            program.run("export", run, "--format", format, "--type", "f32", "--out", out)
        modelfile = program.folder / "Modelfile"
        source_lines = f"FROM {base}\nADAPTER {run}\n" if adapter == "lora" else f"FROM {run}\n"
        modelfile.write_text(source_lines, encoding="utf-8")
        program.run("create", f"carried-{name}", "-f", modelfile)
        for model in (merged, folder, f"carried-{name}"):
            words = ("--temperature", "0", "--max-tokens", "40", "--f32", "--json")
            said = json.loads(program.run("run", model, question, *words))
            check((said["text"], said.get("thinking", "")) == wanted, f"carried, {model}: {said}")
        base = merged  # the adapter's base was taught to reason


def carried_template(program):
    """The template that the settings chose goes with the result, wherever it goes."""
    chosen = ("{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<|im_end|>' }}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}")
    template = program.folder / "chosen.jinja"
    words = ("--temperature", "0", "--max-tokens", "40", "--f32", "--json")

    def trained(name, base, chats, **model):
        rows, run = program.folder / f"{name}.jsonl", program.folder / name
        rows.write_text("".join(json.dumps(row) + "\n" for row in chats), encoding="utf-8")
        settings = json.dumps({"model": {"base": str(base), **model}, "data": {"datasets": [str(rows)], "packing": False},
                               "training": {"epochs": 500, "learning_rate": 1e-2 if model["adapter"] == "lora" else 4e-3, "precision": "f32", "output_dir": str(run),
                                            "eval_steps": 1000, "save_steps": 1000}})
        (program.folder / f"{name}.yaml").write_text(settings, encoding="utf-8")
        program.run("train", program.folder / f"{name}.yaml")
        check(program.losses(run)[-1] < 0.05, f"{name}: the loss is still {program.losses(run)[-1]}")
        return run

    def answers(what, model, *more):
        found = json.loads(program.run("run", model, "hi", *words, *more))["text"]
        check(found == "yo dear friend", f"chosen template, {what}: {found!r}")

    def created(name, text):
        (program.folder / "Modelfile").write_text(text, encoding="utf-8")
        program.run("create", name, "-f", program.folder / "Modelfile")
        return name

    # The base answers otherwise, under a template of its own.
    random = model_of(program, "think_chosen", chosen, ANOTHER)
    whole = trained("whole-base", random, [{"messages": [says("user", "hi"), says("assistant", "go away, dear friend 12")]}, *CHATS[1:]], adapter="full")
    gguf, folder = program.folder / "base.gguf", program.folder / "base"
    for format, out in (("gguf", gguf), ("safetensors", folder)):
        program.run("export", whole, "--format", format, "--type", "f32", "--out", out)
    for base, adapter in itertools.product((gguf, folder), ("lora", "full")):
        name = f"{'gguf' if base == gguf else 'hf'}-{adapter}"
        template.write_text(chosen, encoding="utf-8")
        run = trained(name, base, CHATS[:2], adapter=adapter, chat_template=str(template))
        template.unlink()  # the run has its own copy
        answers(f"{name}, run", base, "--adapter", run)
        with Server(program, base, "--adapter", f"tuned={run}") as server:
            found = by_ollama(server, "tuned", [says("user", "hi")], None, None)[0]
            check(found == "yo dear friend", f"chosen template, {name}, serve: {found!r}")
            shown = server.json("POST", "/api/show", {"model": "tuned"})["template"]
            check(shown == chosen, f"{name}: /api/show: {shown!r}")
        for format, out in (("gguf", "merged.gguf"), ("safetensors", "merged")):
            program.run("export", run, "--format", format, "--type", "f32", "--out", run / out)
            answers(f"{name}, merged {format}", run / out)
        sources = {"run": f"FROM {run}\n"}
        if adapter == "lora":
            program.run("export", run, "--format", "gguf-lora", "--out", run / "a.gguf")
            program.run("export", run, "--format", "peft", "--out", run / "peft")
            answers(f"{name}, peft", base, "--adapter", run / "peft")
            sources |= {beside: f"FROM {gguf}\nADAPTER {run}/{beside}\n" for beside in ("a.gguf", "peft")}
            sources["parent"] = f"FROM {created('base-of-chosen', f'FROM {gguf}')}\nADAPTER {run}\n"
        for source, text in sources.items():
            answers(f"{name}, created from {source}", created(f"{name}-{source}", text))


def ends_without_reasoning(server, name):
    return name in ("deepseekv3_1",)


def checks(program):
    golden = json.loads((GOLDEN / "families.json").read_text(encoding="utf-8"))
    wanted = sys.argv[2:]
    templates = {name: None for name in SHIPPED} | {name: source(name, golden) for name in OWN} | {f"{name}" if name not in SHIPPED else f"{name}_published": source(name, golden) for name in PUBLISHED}
    for name, text in templates.items():
        if (not wanted or name in wanted) and not (text is None and name not in SHIPPED):
            one_template(program, name, text)
            print(name)
    if not wanted or "carried" in wanted:
        carried(program)
    if not wanted or "chosen" in wanted:
        carried_template(program)


main(checks)
