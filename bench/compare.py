#!/usr/bin/env python3
"""Trains the same shapes with a peer and with hone, in turn, and prints a Markdown table of speed, memory and time to the first step.

usage: bench/compare.sh HONE PEER_PYTHON PEER_SCRIPT [rounds] [--only ROW] [--quick] [--history FILE]

HONE is build/apps/hone. PEER_SCRIPT, run by PEER_PYTHON, takes --shape --mode --batch --seq --steps and prints one JSON line with
tok_s, peak_rss_gib and first_step_s; the row with experts has a peer of its own, bench/moe_peer.py. Both train LoRA r16 on every
linear layer of random weights, on random tokens.

In each round the programs of a row run one after the other, peer and hone by turns; a ratio is hone's speed in a round over that of
the peer's fastest mode in the same round, so a machine that slows down between rounds does not count for either. Every row appends
a line to bench/history.jsonl (commit, processor, date, ratio). --quick: fewer steps, and nothing is appended.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# name: shape, batch, tokens, the peer's modes (the fastest counts), hone's modes
ROWS = {
    "smollm2-135m 1×512": ("smollm2-135m", 1, 512, ("bf16", "nf4", "f32"), ("bf16", "nf4", "q4_1", "int8")),
    "smollm2-135m 4×512": ("smollm2-135m", 4, 512, ("bf16", "nf4", "f32"), ("bf16", "nf4", "q4_1", "int8")),
    "r1-qwen-1.5b-4l 1×512": ("r1-qwen-1.5b-4l", 1, 512, ("bf16", "nf4"), ("bf16", "nf4", "int8")),
    "llama-7b-2l 1×512": ("llama-7b-2l", 1, 512, ("bf16", "nf4"), ("bf16", "nf4", "int8")),
    "v2-lite-2l 1×512": ("v2-lite-2l", 1, 512, ("bf16",), ("bf16", "nf4", "int8")),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hone")
    parser.add_argument("peer_python")
    parser.add_argument("peer_script")
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    parser.add_argument("--only", metavar="ROW", help="rows whose name contains this: " + ", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="two steps each; nothing is appended to the history")
    parser.add_argument("--history", type=pathlib.Path, default=ROOT / "bench/history.jsonl")
    a = parser.parse_args()
    if a.rounds < 1:
        parser.error("rounds: at least 1")
    return a


class Missing(Exception):
    """This build has no such mode."""


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode == 2 and "--mode" in done.stderr:
        raise Missing(done.stderr.strip())
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def peer(a, shape, batch, tokens, mode):
    script = ROOT / "bench/moe_peer.py" if shape == "v2-lite-2l" else a.peer_script
    return run([a.peer_python, script, "--shape", shape, "--mode", mode, "--batch", batch, "--seq", tokens, "--steps", 2 if a.quick else 4])


def own(a, shape, batch, tokens, mode):
    return run([a.hone, "bench", "train", "--shape", shape, "--mode", mode, "--batch", batch, "--seq", tokens, "--steps", 1 if a.quick else 5,
                "--profile-steps", 0, "--json"])


def measure(a, row):
    """Results by ("peer" or "hone", mode), one per round."""
    shape, batch, tokens, peer_modes, modes = ROWS[row]
    results, missing = {}, set()
    for number in range(a.rounds):
        turns = []
        for i in range(max(len(peer_modes), len(modes))):  # by turns, so that neither has all of a quiet minute
            turns += [("peer", peer, mode) for mode in peer_modes[i:i + 1]] + [("hone", own, mode) for mode in modes[i:i + 1]]
        for who, call, mode in turns:
            if mode in missing and who == "hone":
                continue
            try:
                result = call(a, shape, batch, tokens, mode)
            except Missing:
                missing.add(mode)
                continue
            results.setdefault((who, mode), []).append(result)
            print(f"{row}, round {number + 1}: {who} {mode} {result['tok_s']:.1f} tok/s", file=sys.stderr, flush=True)
    return results


def middle(results, key):
    return statistics.median(r[key] for r in results)


def table_of(row, results):
    """Lines of the table, and records of the history."""
    rounds = len(next(iter(results.values())))
    peers = {mode: r for (who, mode), r in results.items() if who == "peer"}
    best_of_round = [max((r[i] for r in peers.values()), key=lambda r: r["tok_s"]) for i in range(rounds)]
    best = max(peers, key=lambda mode: middle(peers[mode], "tok_s"))
    lines, records = [], []
    for mode, r in peers.items():
        mark = " (fastest)" if mode == best else ""
        lines.append(f"| {row} | peer {mode}{mark} | {middle(r, 'tok_s'):.0f} | {'1' if mode == best else ''} | | {middle(r, 'peak_rss_gib'):.2f} | "
                     f"{'1' if mode == best else ''} | {middle(r, 'first_step_s'):.1f} |")
    for (who, mode), r in results.items():
        if who != "hone":
            continue
        ratios = sorted(x["tok_s"] / base["tok_s"] for x, base in zip(r, best_of_round))
        ratio, memory, peer_memory = statistics.median(ratios), middle(r, "peak_rss_gib"), middle(peers[best], "peak_rss_gib")
        lines.append(f"| {row} | **hone {mode}** | {middle(r, 'tok_s'):.0f} | **{ratio:.2f}** ({ratios[0]:.2f}–{ratios[-1]:.2f}) | {100 * middle(r, 'peak_share'):.0f} % | "
                     f"{memory:.2f} | {memory / peer_memory:.2f} | {middle(r, 'first_step_s'):.1f} |")
        records.append({"row": row, "mode": mode, "peer_mode": best, "ratio": round(ratio, 3), "ratio_min": round(ratios[0], 3), "ratio_max": round(ratios[-1], 3),
                        "rounds": rounds, "tok_s": round(middle(r, "tok_s"), 1), "peer_tok_s": round(middle(peers[best], "tok_s"), 1),
                        "peak_share": round(middle(r, "peak_share"), 3), "peak_gib": round(memory, 3), "peer_peak_gib": round(peer_memory, 3),
                        "first_step_s": round(middle(r, "first_step_s"), 2), "peer_first_step_s": round(middle(peers[best], "first_step_s"), 2),
                        "cpu": r[0]["cpu"], "threads": r[0]["threads"], "isa": r[0]["isa"]})
    return lines, records


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True).stdout.strip()
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if git("status", "--porcelain", "--untracked-files=no", "--", "src", "apps") else "")


def main():
    a = arguments()
    rows = [row for row in ROWS if not a.only or a.only in row]
    if not rows:
        sys.exit(f"--only {a.only}: no such row; known are {', '.join(ROWS)}")
    lines = []
    for row in rows:
        before = os.getloadavg()[0]
        found, records = table_of(row, measure(a, row))
        lines += found
        if a.quick:
            continue
        with a.history.open("a", encoding="utf-8") as file:
            for record in records:
                record = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "commit": commit(), **record, "load_before": round(before, 2)}
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
    print("| shape | program | tok/s | ratio (spread) | of the peak | peak GiB | share of the peer's | first step after s |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


main()
