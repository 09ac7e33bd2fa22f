#!/usr/bin/env python3
"""What guessing an answer's next tokens from earlier text gives (docs/engine.md): tokens per second with guesses and without, on requests of different kinds.

usage: bench/draft.py HONE MODEL.gguf [--llama LLAMA_BIN] [--rounds 3] [--together 1,2,4] [--tokens 160]

  chat     questions that share no words with their answers
  code     a function of Python's library, and a wish to change it
  text     paragraphs of docs/, to be corrected
  fields   the same fields of several short texts, as JSON

Greedy, the servers by turns in each round, every answer compared: with guesses it must be the same to the last character, or the exit code is 1.
Only the time from the first token to the last counts.
"""
import argparse
import http.client
import inspect
import pathlib
import random
import shlex
import statistics
import subprocess
import sys
import textwrap
import threading

from server import Server, stream_chat

CHAT = ["Why is the sky blue?", "Write a short poem about autumn.", "What should I pack for a week by the sea?", "Explain what a compiler does to a child.",
        "Give me five names for a small bakery.", "How do I keep basil alive in winter?"]


def kinds():
    code = [inspect.getsource(f) for f in (shlex.quote, textwrap.dedent, statistics.median_low, random.Random.sample, statistics.harmonic_mean, textwrap.indent)]
    docs = pathlib.Path(__file__).resolve().parent.parent / "docs"
    text = [p for p in (docs / "engine.md").read_text().split("\n- ") if 200 < len(p) < 700][:6]
    people = [("Ann", "Oslo", 31), ("Ben", "Rome", 45), ("Chen", "Xi'an", 28), ("Dora", "Lyon", 52), ("Emil", "Graz", 39), ("Fay", "Cork", 63)]
    line = "{} lives in {} and is {} years old."
    fields = [" ".join(line.format(*p) for p in people[i:] + people[:i]) for i in range(6)]
    return {
        "chat": CHAT,
        "code": [f"Add a comment to every line of this function and return all of it:\n\n```python\n{c[:1200]}\n```" for c in code],
        "text": [f"Correct the spelling of this text and return all of it:\n\n{t}" for t in text],
        "fields": [f'List every person of this text as JSON, like {{"name": "Gil", "city": "Bonn", "age": 20}}:\n\n{f}' for f in fields],
    }


def measure(port, prompts, together, tokens):
    """Tokens per second of answering alone, and the texts."""
    texts, spans, lock, waiting = {}, [], threading.Lock(), list(enumerate(prompts))

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                number, prompt = waiting.pop(0)
            times, text, produced = stream_chat(port, "m", prompt, tokens)
            with lock:
                texts[number] = text
                if len(times) > 1:
                    spans.append((times[0], times[-1], produced))

    threads = [threading.Thread(target=work) for _ in range(together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if together == 1:
        seconds = sum(end - begin for begin, end, _ in spans)
    else:
        seconds = max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans)
    return sum(n - 1 for _, _, n in spans) / seconds, texts


def guessed(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    values = dict(line.split(" ") for line in connection.getresponse().read().decode().splitlines() if not line.startswith("#") and line.count(" ") == 1)
    return [float(values[f"hone_answer_tokens_{name}total"]) for name in ("", "guessed_", "guessed_right_")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hone")
    parser.add_argument("model")
    parser.add_argument("--llama")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--together", default="1,2,4")
    parser.add_argument("--tokens", type=int, default=160)
    o = parser.parse_args()
    commands = {"plain": [o.hone, "serve", f"m={o.model}", "--no-draft"], "guessing": [o.hone, "serve", f"m={o.model}"]}
    if o.llama:
        commands["llama-server"] = [pathlib.Path(o.llama) / "llama-server", "-m", o.model, "-t", "2", "-np", "4", "-c", "16384", "--no-warmup"]
    different = 0
    print("| requests | together | plain tok/s | guessing tok/s | ratio (spread) | guessed of answers | right of guesses |" + (" llama-server tok/s | ratio |" if o.llama else ""))
    print("|---|---|---|---|---|---|---|" + ("---|---|" if o.llama else ""))
    for kind, prompts in kinds().items():
        for together in map(int, o.together.split(",")):
            rates, expected, counts = {name: [] for name in commands}, None, None
            for _ in range(o.rounds):
                for name, command in commands.items():
                    with Server(command, subprocess.DEVNULL) as server:
                        stream_chat(server.port, "m", "Hello", 2)
                        rate, texts = measure(server.port, prompts, together, o.tokens)
                        rates[name].append(rate)
                        if name == "llama-server":
                            continue
                        different += expected is not None and texts != expected
                        expected = texts
                        if name == "guessing":
                            counts = guessed(server.port)
            ratios = sorted(g / p for g, p in zip(rates["guessing"], rates["plain"]))
            median = {name: statistics.median(values) for name, values in rates.items()}
            row = f"| {kind} | {together} | {median['plain']:.0f} | {median['guessing']:.0f} | **{statistics.median(ratios):.2f}** ({ratios[0]:.2f}–{ratios[-1]:.2f}) | {counts[1] / counts[0]:.2f} | {counts[2] / max(1, counts[1]):.2f} |"
            if o.llama:
                row += f" {median['llama-server']:.0f} | {statistics.median(g / p for g, p in zip(rates['guessing'], rates['llama-server'])):.2f} |"
            print(row, flush=True)
    if different:
        print(f"{different} times an answer differed", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
