#!/usr/bin/env python3
"""Greedy continuations by transformers' generate(do_sample=False) in f32 for the cases beside this file: make_greedy.py [case …]

Writes <case>/greedy.json: prompts, their continuations by the base and with the adapter, and the least gap between the two best
logits at any step. Prompts are drawn until that gap is comfortable, so that rounding cannot decide a token.
"""
import json
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from make import CASES, HERE, VOCAB, lora_parameters, with_adapter, empty_model

PROMPTS, TOKENS, GAP = (1, 4, 11), 24, 0.02


def continuation(model, prompt):
    ids = torch.tensor([prompt])
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=TOKENS, eos_token_id=None,
                         pad_token_id=0, output_logits=True, return_dict_in_generate=True)
    best = torch.stack(out.logits)[:, 0].topk(2).values
    return out.sequences[0, len(prompt):].tolist(), (best[:, 0] - best[:, 1]).min().item()


def make(name, case):
    folder = HERE / name
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                experts_implementation="eager").eval()
    plain = empty_model(AutoConfig.from_pretrained(folder)).float()
    state = {}
    for file in sorted(folder.glob("*.safetensors")):
        if file.name.startswith("model"):
            state.update({n: v.float() for n, v in load_file(file).items()})
    plain.load_state_dict(state, strict=False)
    stored = load_file(folder / "adapter" / "adapter_model.safetensors")
    tuned = with_adapter(plain, case, generator=torch.Generator())
    for n, p in lora_parameters(tuned).items():
        p.data = stored[n.replace(".default", "")].clone()
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    rows, least = [], 1e9
    for length in PROMPTS:
        while True:
            prompt = torch.randint(3, VOCAB, (length,), generator=generator).tolist()
            (of_base, gap), (of_tuned, other) = continuation(base, prompt), continuation(tuned, prompt)
            if min(gap, other) > GAP and of_base != of_tuned and min(len(set(of_base)), len(set(of_tuned))) > 2:
                break
        least = min(least, gap, other)
        rows.append(dict(prompt=prompt, base=of_base, tuned=of_tuned))
    text = ",\n  ".join(json.dumps(row) for row in rows)
    (folder / "greedy.json").write_text(f'{{"least_gap": {least:.4f}, "transformers": "{transformers.__version__}", "rows": [\n  {text}]}}\n')
    print(f"{name}: least gap {least:.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or CASES:
        make(chosen, CASES[chosen])
