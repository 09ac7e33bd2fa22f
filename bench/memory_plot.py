#!/usr/bin/env python3
"""Peak memory of training against the length of a row, at a fixed number of tokens per step, and against the vocabulary, as an SVG.

usage: bench/memory_plot.py HONE [docs/memory.svg] [--mode bf16] [--tokens 4096]

Every point is one run of hone bench train on a small shape. Dashed lines show what the peak would be if the scores of one layer's attention
(left, T×T for every head) or the logits of all tokens (right, T×V) were kept in f32: hone keeps neither.
"""
import argparse
import html
import json
import math
import pathlib
import subprocess
import sys
import tempfile

SHAPE = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
         "vocab_size": 8192, "tie_word_embeddings": True, "max_position_embeddings": 32768}
WIDTH, HEIGHT, GAP = 430, 340, 40
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 58, 44


def measure(a, work, batch, seq, **changes):
    shape = work / "config.json"
    shape.write_text(json.dumps(SHAPE | changes))
    done = subprocess.run([a.hone, "bench", "train", "--shape", shape, "--mode", a.mode, "--batch", str(batch), "--seq", str(seq), "--steps", "1", "--profile-steps", "0", "--json"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    r = json.loads(done.stdout)
    print(f"{batch}×{seq}, vocabulary {(SHAPE | changes)['vocab_size']}: {r['peak_rss_gib']:.3f} GiB", file=sys.stderr, flush=True)
    return r["peak_rss_gib"], r["weights_gib"]


def step_of(top):
    raw = top / 5
    power = 10 ** math.floor(math.log10(raw))
    return next(f * power for f in (1, 2, 5, 10) if raw <= f * power)


def short(number):
    return f"{number // 1024}k" if number >= 1024 and number % 1024 == 0 else str(number)


def panel(x0, title, axis, ticks, series, top):
    """One chart; ticks are the labels of evenly spaced positions, series are (name, colour, dashed, values)."""
    def x(i):
        return x0 + LEFT + i / (len(ticks) - 1) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)
    out = [f'<text x="{x0 + LEFT}" y="20" font-size="14" fill="#222">{html.escape(title)}</text>']
    step = step_of(top)
    for n in range(int(top / step) + 1):
        out.append(f'<line x1="{x0 + LEFT}" x2="{x0 + WIDTH - RIGHT}" y1="{y(n * step):.1f}" y2="{y(n * step):.1f}" stroke="#e4e4e4"/>'
                   f'<text x="{x0 + LEFT - 6}" y="{y(n * step) + 4:.1f}" text-anchor="end" fill="#555">{n * step:g}</text>')
    for i, tick in enumerate(ticks):
        out.append(f'<text x="{x(i):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle" fill="#555">{tick}</text>')
    out.append(f'<text x="{x0 + (LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle" fill="#555">{html.escape(axis)}</text>')
    at = x0 + LEFT
    for number, (name, colour, dashed, values) in enumerate(series):
        shown = [(i, v) for i, v in enumerate(values) if v <= top]
        if len(shown) < len(values) and shown:  # leaves through the upper edge
            i, v = shown[-1]
            after = values[i + 1]
            shown.append((i + (top - v) / (after - v), top))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8"{dash} points="{" ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in shown)}"/>')
        if not dashed:
            out += [f'<circle cx="{x(i):.1f}" cy="{y(v):.1f}" r="2.6" fill="{colour}"/>' for i, v in enumerate(values) if v <= top]
        out.append(f'<text x="{at}" y="40" fill="{colour}">● {html.escape(name)}</text>')
        at += 22 + 6.4 * len(name)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hone")
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1] / "docs/memory.svg")
    parser.add_argument("--mode", default="bf16")
    parser.add_argument("--tokens", type=int, default=4096)
    a = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="hone-memory-"))
    lengths = [n for n in (256, 512, 1024, 2048, 4096) if n <= a.tokens]
    by_length = [measure(a, work, a.tokens // n, n) for n in lengths]
    scores = [peak + a.tokens * n * SHAPE["num_attention_heads"] * 4 / 2**30 for (peak, _), n in zip(by_length, lengths)]
    words = [8192 << i for i in range(6)]
    tokens = 1024
    by_words = [measure(a, work, 1, tokens, vocab_size=v) for v in words]
    logits = [peak + tokens * v * 4 / 2**30 for (peak, _), v in zip(by_words, words)]

    top_left = 1.6 * max(peak for peak, _ in by_length)
    top_right = 1.15 * max(logits)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH + GAP} {HEIGHT}" width="{2 * WIDTH + GAP}" height="{HEIGHT}" '
           'font-family="system-ui, sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="#fff"/>']
    svg += panel(0, f"Peak memory, GiB, at {a.tokens} tokens per step", "tokens T of a row", [f"{a.tokens // n}×{n}" for n in lengths],
                 [("hone", "#1769aa", False, [peak for peak, _ in by_length]), ("with T×T scores of one layer", "#c0392b", True, scores)], top_left)
    svg += panel(WIDTH + GAP, f"Peak memory, GiB, at 1×{tokens} tokens", "vocabulary V", [short(v) for v in words],
                 [("hone", "#1769aa", False, [peak for peak, _ in by_words]), ("of it weights", "#6b8e23", False, [weights for _, weights in by_words]),
                  ("with T×V logits", "#c0392b", True, logits)], top_right)
    a.out.write_text("\n".join(svg) + "\n</svg>\n", encoding="utf-8")
    print(a.out)


main()
