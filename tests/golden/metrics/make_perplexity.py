#!/usr/bin/env python3
"""Perplexity by transformers in f32, for random token ids and models of tests/golden/models: writes perplexity.json beside this file.

`sliding` is the recipe of transformers' guide (labels of tokens that were predicted before are −100), `chunks` that of llama-perplexity: windows end to end, the first
token replaced by a begin token, logits of the second half. Made with transformers 5 and torch 2.
"""
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent


def sliding(model, ids, window, stride):
    total, count, previous = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + window, len(ids))
        inputs = torch.tensor([ids[begin:end]])
        labels = inputs.clone()
        labels[:, : inputs.shape[1] - (end - previous)] = -100
        valid = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            total += model(inputs, labels=labels).loss.double().item() * valid
        count += valid
        previous = end
        if end == len(ids):
            break
    return total, count


def chunks(model, ids, window, bos):
    total, count = 0.0, 0
    for begin in range(0, len(ids) // window * window, window):
        part = ids[begin: begin + window]
        if bos is not None:
            part = [bos] + part[1:]
        with torch.no_grad():
            log_p = torch.log_softmax(model(torch.tensor([part])).logits[0].double(), -1)
        for i in range(window // 2, window - 1):
            total -= log_p[i, part[i + 1]].item()
            count += 1
    return total, count


def main():
    out = []
    for name in ("llama", "qwen2", "deepseek_v3"):
        model = AutoModelForCausalLM.from_pretrained(HERE.parent / "models" / name, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()
        generator = torch.Generator().manual_seed(11)
        ids = torch.randint(0, model.config.vocab_size, (83,), generator=generator).tolist()
        cases = [["sliding", w, s, None, *sliding(model, ids, w, s)] for w, s in ((16, 8), (24, 5), (32, 31), (96, 10), (83, 1))]
        cases += [["chunks", w, 1, bos, *chunks(model, ids, w, bos)] for w, bos in ((16, 1), (24, None), (41, 1))]
        out.append({"model": name, "ids": ids, "cases": cases})
    (HERE / "perplexity.json").write_text("[" + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in out) + "]\n")


main()
