#!/usr/bin/env python3
"""The configuration blocks of the product's documentation, as written there, with data and a model at hand added."""
import json
import pathlib

from hone_program import check, main

BLOCKS = {
    "model": "model: {base: deepseek:7b, adapter: lora, quantization: bitsandbytes_4bit}",
    "training": "training: {batch_size: 16, learning_rate: 3e-5, epochs: 3, gradient_checkpointing: true}",
    "attention": "attention: {type: flash_attn}",
    "optimizer": "optimizer: {weight_decay: 0.01}",
    "dropout": "dropout_rate: 0.1",
    "patience": "patience: 3",
    "dotted": "training.gradient_checkpointing: true",
    "aliases": "per_device_train_batch_size: 2\nlora_rank: 8\ncutoff_len: 64\nnum_train_epochs: 1",
}


def runs(program, name, text):
    path = program.folder / f"{name}.yaml"
    path.write_text(text + "\n", encoding="utf-8")
    folder = program.folder / f"run-{name}"
    program.run("train", path, f"data={program.rows()}", f"training.output_dir={folder}", "data.cutoff_length=128", "training.max_steps=2")
    check(len(program.losses(folder)) == 2, f"{name}: two steps were made")
    return (folder / "config.yaml").read_text()


def neighbours(program):
    """Files of other trainers, unchanged but for their paths."""
    source = pathlib.Path(__file__).parents[1] / "golden" / "neighbours"
    folder = program.folder / "neighbours"
    folder.mkdir()
    rows = program.rows()
    (folder / "dataset_info.json").write_text(json.dumps({"identity": {"file_name": "identity.json"}, "support_chats": {
        "file_name": "chats.json", "formatting": "sharegpt", "columns": {"messages": "turns"}, "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "customer", "assistant_tag": "agent"}}}))
    (folder / "identity.json").write_text(json.dumps([{"instruction": f"the {i}", "input": "", "output": "that"} for i in range(12)]))
    (folder / "chats.json").write_text(json.dumps([{"turns": [{"who": "customer", "says": f"this {i}"}, {"who": "agent", "says": "then"}]} for i in range(12)]))
    (folder / "chats.jsonl").write_text("".join(json.dumps({"conversations": [{"from": "customer", "value": f"this {i}"}, {"from": "agent", "value": "then"}]}) + "\n" for i in range(12)))
    model, out = str(program.tiny_model()), folder / "out"
    changes = {"llama_factory_lora_sft": {"Qwen/Qwen2.5-0.5B-Instruct": model, "dataset: identity": f"dataset_dir: {folder}\ndataset: identity", "saves/qwen/lora/sft": str(out / "llama_factory_lora_sft")},
               "axolotl_lora": {"HuggingFaceTB/SmolLM2-135M-Instruct": model, "chats.jsonl": str(folder / "chats.jsonl"), "./outputs/lora-out": str(out / "axolotl_lora")},
               "trl_unsloth": {"unsloth/Llama-3.2-1B-Instruct": model, "rows.jsonl": str(rows), "output_dir: outputs": f"output_dir: {out / 'trl_unsloth'}"}}
    for name, paths in changes.items():
        text = (source / f"{name}.yaml").read_text()
        for theirs, ours in paths.items():
            check(theirs in text, f"{name}: {theirs}")
            text = text.replace(theirs, ours)
        (folder / f"{name}.yaml").write_text(text)
        said = program.run("train", folder / f"{name}.yaml")
        check("its defaults hold" in said and "without effect here" in said, said)
        check(program.losses(out / name), f"{name}: steps were made")
        changes[name] = (out / name / "config.yaml").read_text()
    # 20 of 24 rows (max_samples: 10 of each file) less a tenth, one row to a sample, batch 2 × 2, 3 epochs.
    check(12 <= len(program.losses(out / "llama_factory_lora_sft")) <= 15, program.losses(out / "llama_factory_lora_sft"))
    check(len(program.losses(out / "trl_unsloth")) == 6 and "quantization: nf4" in changes["trl_unsloth"], "max_steps: 6, load_in_4bit: true")
    check("alpha: 16" in changes["llama_factory_lora_sft"] and "type: adamw" in changes["axolotl_lora"], changes)


def seed_config(program):
    models = program.folder / "models"
    models.mkdir()
    (models / "deepseek-7b.gguf").symlink_to(program.tiny_model())
    program.environment["HONE_MODELS"] = str(models)
    base = BLOCKS["model"]
    for name, block in BLOCKS.items():
        text = block if name == "model" else base + "\n" + block
        if name == "aliases":
            text = text.replace("\ncutoff_len: 64", "")
        resolved = runs(program, name, text)
        check("quantization: nf4" in resolved, f"{name}: {resolved}")
    resolved = runs(program, "all", "\n".join(block for name, block in BLOCKS.items() if name not in ("dotted", "aliases")))
    for line in ("batch_size: 16", "learning_rate: 3e-05", "epochs: 3", "gradient_checkpointing: true", "weight_decay: 0.01", "dropout_rate: 0.1",
                 "patience: 3", "early_stop: true", "type: flash_attn"):
        check(line in resolved, f"{line} is missing in {resolved}")

    neighbours(program)
    path = program.folder / "awq.yaml"
    path.write_text(base + "\nquantization: {type: awq, weight_dtype: bfloat16, activate_dtype: float16}\n")
    err = program.run("train", path, f"data={program.rows()}", expect=2)
    check("arrives in a later version" in err and "awq.yaml:2" in err, err)

    out = program.run("train", program.config("dry.yaml"), "--dry-run")
    for part in ("# resolved configuration", "training  ", "memory    about", "⟦number", "rows.jsonl:"):
        check(part in out, f"--dry-run shows {part!r}: {out}")
    plan = json.loads(program.run("train", program.config("dry.yaml"), "--dry-run", "--json"))
    check(plan["trainable"] > 0 and plan["memory_peak"] > 0 and plan["steps"] > 0, plan)
    again = program.folder / "again.yaml"
    again.write_text(plan["config"], encoding="utf-8")
    documented = (pathlib.Path(__file__).parents[2] / "docs" / "config.md").read_text(encoding="utf-8")
    check(documented.endswith(program.run("config", "--markdown")), "docs/config.md is what hone config --markdown prints")
    check(json.loads(program.run("train", again, "--dry-run", "--json"))["config"] == plan["config"], "a resolved configuration reads back as itself")


main(seed_config)
