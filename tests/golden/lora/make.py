#!/usr/bin/env python3
"""Kinds of LoRA, as PEFT computes them over the small models of ../models.

    python3 make.py            # rewrites every case folder beside this file
    python3 make.py dora       # one case

Each case folder holds the adapter as PEFT saves it and expected.json (the loss, the losses of ten AdamW steps, versions) beside
expected.safetensors (logits, the gradient of every trained tensor). Tokens and labels are those of the base's own case. Adapters are
random, so that every part of them matters; those of pissa and olora are as PEFT begins them, and what is saved after the steps is also
saved as PEFT converts it to a plain adapter of the base as it was (converted/).
"""
import json
import shutil
import sys
from pathlib import Path

import peft
import safetensors.torch
import torch
import transformers

HERE = Path(__file__).parent
STEPS, LEARNING_RATE, WEIGHT_DECAY = 10, 2e-3, 0.01

CASES = {
    "patterns": dict(base="llama", config=dict(r=4, lora_alpha=6, use_rslora=True, target_modules=r".*\.(q_proj|v_proj|down_proj)",
                                               rank_pattern={"q_proj": 2, r"layers\.1\.self_attn\.v_proj": 6},
                                               alpha_pattern={"v_proj": 9, "model.layers.0.*down_proj": 2})),
    "dora": dict(base="qwen2", config=dict(r=3, lora_alpha=5, use_dora=True, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])),
    "dora_llama": dict(base="llama", config=dict(r=3, lora_alpha=5, use_dora=True, target_modules=["q_proj", "k_proj", "up_proj", "down_proj"])),
    "vocabulary": dict(base="qwen2", config=dict(r=3, lora_alpha=5, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    "tied_vocabulary": dict(base="llama", config=dict(r=3, lora_alpha=5, target_modules=["v_proj", "embed_tokens"])),
    "whole": dict(base="qwen2", config=dict(r=3, lora_alpha=5, target_modules=["v_proj"], modules_to_save=["embed_tokens", "lm_head", "norm", "q_proj"])),
    "tied_whole": dict(base="llama", config=dict(r=3, lora_alpha=5, target_modules=["v_proj"], modules_to_save=["embed_tokens", "k_proj"])),
    "bias": dict(base="qwen2", config=dict(r=3, lora_alpha=5, target_modules=["q_proj", "v_proj"], bias="all")),
    "pissa": dict(base="llama", start=True, config=dict(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"], init_lora_weights="pissa")),
    "olora": dict(base="qwen2", start=True, config=dict(r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "down_proj"], init_lora_weights="olora")),
    "pissa_head": dict(base="qwen2", start=True,
                       config=dict(r=4, lora_alpha=6, target_modules=["q_proj", "lm_head"], init_lora_weights="pissa")),
    "olora_head": dict(base="qwen2", start=True,
                       config=dict(r=4, lora_alpha=6, target_modules=["q_proj", "lm_head"], init_lora_weights="olora")),
}


def mean_loss(model, samples, labels):
    total, count = 0, 0
    for ids, wanted in zip(samples, labels):
        logits = model(ids[None].long()).logits[0]
        kept = wanted >= 0  # the label of a row is the token that follows it
        total = total + torch.nn.functional.cross_entropy(logits[kept], wanted[kept].long(), reduction="sum")
        count += int(kept.sum())
    return total / count


def trained(model):
    return {n: p for n, p in sorted(model.named_parameters()) if p.requires_grad}


def as_saved(name):
    """The name of a parameter in PEFT's file, without the prefix."""
    for part in (".default", ".modules_to_save", ".base_layer"):
        name = name.replace(part, "")
    return name.removeprefix("base_model.model.").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def make(name, case):
    folder, base = HERE / name, HERE.parent / "models" / case["base"]
    shutil.rmtree(folder, ignore_errors=True)
    given = safetensors.torch.load_file(base / "expected.safetensors")
    starts = given["starts"].tolist()
    samples = [given["ids"][a:b] for a, b in zip(starts, starts[1:])]
    labels = [given["labels"][a:b] for a, b in zip(starts, starts[1:])]
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        plain = torch.cat([model(ids[None].long()).logits[0] for ids in samples])
    assert torch.allclose(plain, given["base_logits"], atol=2e-5, rtol=1e-4)
    config = peft.LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **case["config"])
    model = peft.get_peft_model(model, config).eval()
    start = folder / "start"
    if case.get("start"):
        model.peft_config["default"].init_lora_weights = True  # the start is kept as it is
        model.save_pretrained(start)
        model.peft_config["default"].init_lora_weights = case["config"]["init_lora_weights"]
    else:
        for n, p in trained(model).items():
            noise = torch.randn(p.shape, generator=generator)
            if "lora_magnitude" in n:
                p.data *= 1 + 0.2 * noise
            elif "lora_" in n:
                p.data = noise * (0.5 / p.shape[-1] ** 0.5)
            else:
                p.data += 0.1 * noise
    with torch.no_grad():
        logits = torch.cat([model(ids[None].long()).logits[0] for ids in samples])
    loss = mean_loss(model, samples, labels)
    loss.backward()
    tensors = {"logits": logits}
    for n, p in trained(model).items():
        tensors["grad." + as_saved(n)] = p.grad.clone()
    if not case.get("start"):
        model.save_pretrained(folder / "adapter", save_embedding_layers=False if case["base"] == "llama" else "auto")
    optimizer = torch.optim.AdamW(trained(model).values(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=WEIGHT_DECAY)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        step = mean_loss(model, samples, labels)
        losses.append(step.item())
        step.backward()
        optimizer.step()
    losses.append(mean_loss(model, samples, labels).item())
    if case.get("start"):
        with torch.no_grad():
            tensors["trained_logits"] = torch.cat([model(ids[None].long()).logits[0] for ids in samples])
        model.save_pretrained(folder / "converted", path_initial_model_for_weight_conversion=start)
        model.save_pretrained(folder / "adapter")
        shutil.rmtree(start)
    for readme in folder.rglob("README.md"):
        readme.unlink()
    for extra in folder.rglob("*"):
        if extra.is_file() and extra.name == "adapter_config.json":
            saved = json.loads(extra.read_text())
            saved["base_model_name_or_path"] = case["base"]
            extra.write_text(json.dumps(saved, indent=1, sort_keys=True) + "\n")
    safetensors.torch.save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "expected.safetensors")
    expected = dict(base=case["base"], loss=loss.item(), losses=losses, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
                    versions=dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"{name}: loss {loss.item():.4f} -> {losses[-1]:.4f}, {len(tensors) - 1} gradients")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or CASES:
        make(chosen, CASES[chosen])
