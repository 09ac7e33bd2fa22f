#!/usr/bin/env python3
"""hone bench on a small shape: every mode runs, the figures hang together, and wrong words are answered with what would be right."""
import json

from hone_program import check, main

SHAPE = {"model_type": "llama", "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 512, "tie_word_embeddings": True, "max_position_embeddings": 256}


def bench(program):
    shape = program.folder / "config.json"
    shape.write_text(json.dumps(SHAPE), encoding="utf-8")
    words = ["bench", "train", "--shape", shape, "--batch", 2, "--seq", 24, "--steps", 3]
    linear = 2 * (128 * 128 + 2 * 64 * 128 + 128 * 128 + 3 * 256 * 128)
    for mode in ("f32", "bf16", "nf4", "int8", "q4_1", "q4_k"):
        r = json.loads(program.run(*words, "--mode", mode, "--json"))
        check(r["mode"] == mode and r["batch"] == 2 and r["seq"] == 24 and len(r["steps"]) == 3, r)
        check(r["tok_s"] > 0 and abs(r["tok_s"] * r["step_s"] - 48) < 1e-6, f"{mode}: tokens per second is tokens by seconds: {r}")
        check(abs(r["loss"] - 6.24) < 0.5, f"{mode}: about the loss of guessing among 512: {r['loss']}")
        check(r["frozen"] == linear + 512 * 128 + 5 * 128, f"{mode}: {r['frozen']} frozen values")
        check(r["first_step_s"] >= r["model_s"] > 0 and r["peak_rss_gib"] > 0, r)
        ops = {(o["op"], o["phase"]): o for o in r["ops"]}
        for op in ("linear_together", "linear_onto"):  # q k v and gate up; o and down
            check(ops[op, "forward"]["calls"] == 4 and ops[op, "backward"]["calls"] == 4, f"{mode}: two of {op} in each of 2 blocks: {ops}")
        # One multiply-add per weight and token is the least; LoRA adds its share.
        products = sum(ops[op, "forward"]["flops"] for op in ("linear_together", "linear_onto"))
        check(products >= 2 * linear * 48, f"{mode}: {products} operations")
        for op in ("attention", "rms_norm", "swiglu", "rope"):
            check(ops[op, "forward"]["seconds"] > 0 and ops[op, "backward"]["seconds"] > 0, f"{mode}: {op} was timed")
        check(abs(sum(o["flops"] for o in r["ops"]) * 1e-9 - r["step_gflop"]) < 1e-3 * r["step_gflop"], f"{mode}: the table adds up to the step")
        check(abs(sum(k["flops"] for k in r["kernels"]) - sum(o["flops"] for o in r["ops"])) < 1, f"{mode}: kernels add up to operations")
        check(any(k["kernel"].startswith("gemm 48×") for k in r["kernels"]), f"{mode}: kernels carry their sizes")

    again = [json.loads(program.run(*words, "--mode", "bf16", "--json"))["loss"] for _ in range(2)]
    check(again[0] == again[1], f"the same run gives the same loss: {again}")

    plain, kept = (json.loads(program.run(*words, "--mode", "f32", "--json", *extra)) for extra in ([], ["--checkpointing"]))
    check(plain["loss"] == kept["loss"], f"checkpointing changes nothing: {plain['loss']} {kept['loss']}")
    recomputed = {o["op"]: o["calls"] for o in kept["ops"] if o["phase"] == "recompute"}
    check(recomputed.get("linear_together") == 4 and recomputed.get("linear_onto") == 4, f"checkpointing computes the blocks twice: {recomputed}")
    check(kept["step_gflop"] > plain["step_gflop"], "and counts that")

    table = program.run(*words, "--mode", "nf4", "--kernels")
    for part in ("tok/s", "% of the peak", "GFLOP/s", "peak memory", "first step after", "linear_onto ", "one step", "linear_onto: gemm"):
        check(part in table, f"the table shows {part!r}: {table}")
    check("one step" not in program.run(*words, "--profile-steps", 0), "no table when none is wanted")

    for extra, expected in ((["--shape", "smolm2-135m"], 'did you mean "smollm2-135m"?'), (["--shape", "zzz"], "known are smollm2-135m"),
                            (["--shape", program.folder / "none.json"], "none.json"), (["--mode", "nf5"], 'did you mean "nf4"?'),
                            (["--steps", 0], "--steps"), (["--batch", -1], "--batch"), (["--seq", 1], "--seq"), (["--rank", 0], "--rank")):
        error = program.run("bench", "train", *extra, expect=2)
        check(expected in error, f"{extra}: {error}")
    program.run("bench", expect=2)


main(bench)
