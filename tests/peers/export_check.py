#!/usr/bin/env python3
"""Merged models travel between the formats unchanged: export_check.py HONE [case …] (the hone program; needs torch and transformers).

Of every family: a model saved by transformers is tuned by hone and merged into safetensors and GGUF; the GGUF is tuned again and
merged into a Hugging Face folder. transformers must load both folders and compute hone's loss and greedy tokens, and the tokenizer
made from GGUF must give the tokens of the original.
"""
import pathlib
import sys
import tempfile

import torch
import transformers

from peer_models import CASES, ROWS, TEXTS, Hone, make, write_rows

hone = Hone(sys.argv[1])
temporary = tempfile.TemporaryDirectory(prefix="export-check-")
work = pathlib.Path(temporary.name)
rows = write_rows(work)
failures = []
PROMPT = ROWS[7]["messages"][0]["content"]


def expect(condition, message):
    if not condition:
        failures.append(message)
        print("FAILED", message)


def theirs(folder):
    """transformers' tokenizer, greedy answer, least gap between the two best logits on its way, and loss per answer token."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(ROWS[7]["messages"][:1], add_generation_prompt=True, return_tensors="pt", return_dict=True).input_ids
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24, eos_token_id=None, pad_token_id=0, output_logits=True, return_dict_in_generate=True)
    gaps = [(z[0].topk(2).values[0] - z[0].topk(2).values[1]).item() for z in out.logits]
    total, count = 0.0, 0
    for row in ROWS:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        full = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        answer = text.rindex(row["messages"][1]["content"])
        end = text.rindex("<|im_end|>") + len("<|im_end|>")
        labels = torch.tensor([t if b >= answer and e <= end else -100 for t, (b, e) in zip(full.input_ids, full.offset_mapping)])[1:]
        with torch.no_grad():
            z = model(torch.tensor([full.input_ids])).logits[0, :-1].double()
        total += torch.nn.functional.cross_entropy(z, labels, ignore_index=-100, reduction="sum").item()
        count += (labels != -100).sum().item()
    return tokenizer, out.sequences[0, ids.shape[1]:].tolist(), min(gaps), total / count


def same_tokens(found, expected, stop):
    """hone stops at the model's end tokens."""
    return found == expected[:len(found)] and (len(found) == len(expected) or expected[len(found)] in stop)


for name in sys.argv[2:] or CASES:
    folder = work / name
    base = make(name, folder / "base")
    original, _, _, base_loss = theirs(base)
    stop = {original.eos_token_id, original.convert_tokens_to_ids("<|im_end|>")}
    yaml = hone.train(base, folder / "run", rows)
    mine = hone.loss(yaml, rows, "--adapter", folder / "run")
    ids = hone.ids(base, PROMPT, "--adapter", folder / "run")
    hone("export", folder / "run", "--format", "safetensors", "--type", "f32", "--out", folder / "merged")
    _, expected, gap, loss = theirs(folder / "merged")
    print(f"{name}: base loss {base_loss:.6f}, tuned: hone {mine:.6f}, transformers {loss:.6f}, least gap {gap:.1e}, {len(ids)} tokens")
    expect(abs(loss - mine) < 1e-4 * mine and mine < base_loss, f"{name}: the loss of the merged folder")
    expect(same_tokens(ids, expected, stop), f"{name}: greedy tokens {ids} {expected}")

    hone("export", folder / "run", "--format", "gguf", "--type", "f32", "--out", folder / "merged.gguf")
    expect(hone.ids(folder / "merged.gguf", PROMPT) == ids, f"{name}: greedy tokens of the merged GGUF")
    yaml = hone.train(folder / "merged.gguf", folder / "again", rows, "training.max_steps=3", "training.learning_rate=1e-3")
    mine = hone.loss(yaml, rows, "--adapter", folder / "again")
    ids = hone.ids(folder / "merged.gguf", PROMPT, "--adapter", folder / "again")
    hone("export", folder / "again", "--format", "safetensors", "--type", "f32", "--out", folder / "back")
    made, expected, gap, loss = theirs(folder / "back")
    print(f"    from GGUF back: hone {mine:.6f}, transformers {loss:.6f}, least gap {gap:.1e}")
    expect(abs(loss - mine) < 1e-4 * mine, f"{name}: the loss of the folder made from GGUF")
    expect(same_tokens(ids, expected, stop), f"{name}: greedy tokens from GGUF {ids} {expected}")
    expect(hone.ids(folder / "back", PROMPT) == ids, f"{name}: hone reads its own folder")
    for text in TEXTS:
        a, b = original(text).input_ids, made(text).input_ids
        expect(a == b, f"{name}: tokens of {text!r}: {a} {b}")
        expect(original.decode(a) == made.decode(b), f"{name}: decoding {text!r}: {original.decode(a)!r} {made.decode(b)!r}")
    expect(made.apply_chat_template(ROWS[0]["messages"], tokenize=False) == original.apply_chat_template(ROWS[0]["messages"], tokenize=False), f"{name}: chat template")

print(f"transformers {transformers.__version__}: {'FAILED' if failures else 'equal'}")
sys.exit(bool(failures))
