#!/usr/bin/env python3
"""A small random BERT, and what transformers computes for it.

    python3 make.py MINILM     # rewrites every file beside this one; MINILM is a folder with all-MiniLM-L6-v2

tiny/            a model as sentence-transformers publishes it: config.json, model.safetensors, vocab.txt, tokenizer.json, modules.json, 1_Pooling, and
                 the same weights as model.gguf
expected.json    per text: token ids (uncased, as tiny/ has them, and cased), mean-pooled and normalised embeddings, the [CLS] row; the package versions
minilm.json      ten sentences with their ids and embeddings by all-MiniLM-L6-v2, for tests/peers/sentence_check.py

The vocabulary is a part of MINILM's: every single character and the first whole words and endings.
"""
import json
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

HERE = Path(__file__).parent
TINY = HERE / "tiny"
LIMIT = 24
TEXTS = [
    "The river crossed the old bridge in winter.", "Write a poem about silver clouds!", "", "   \t\n ", "a", "CAFÉ au lait, naïve Ångström and Œuvre", "e\u0301te\u0301 combining",
    "第二章：今天天气很好。", "한국어 문장입니다", "日本語のテキスト、カタカナ", "emoji 😀 and 👩\u200d👩\u200d👧 family", "zero\u200bwidth soft\u00adhyphen nb\u00a0space", "bell\x07 and \x7f and \x85 control",
    "İstanbul ſtrange ẞharp ﬁne ﬀ", "Ελληνικά κείμενα ΑΒΓ ΟΔΟΣ", "Привет, мир! Ёлка й", "العربية مع تَشْكِيل", "हिन्दी में लिखो", "x" * 100, "y" * 101 + " after", "e-mail: anna@example.org (see http://a.b/c?d=e&f)",
    "1234567890 3.14 $5 100% a_b c^d `code` {x} [y] <z> |w| ~v~", "replacement \ufffd character", "unassigned \u0378 and private \ue000 here", "…“quoted”—dash’s ‹x› ¿qué? ¡sí! §3 ¶4 €5 £6 +7 =8",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty twenty-one twenty-two twenty-three", "\U0001d400\U0001d401 math Ⅷ ① ½",
    "Translate the following sentence into French", "how do I sort a list in python", "tab\tseparated\r\nlines", "Ｆｕｌｌ ｗｉｄｔｈ",
]
SENTENCES = [
    "Write a short poem about the sea.", "Compose some verses on the ocean.", "How do I sort a list in Python?", "What is the capital of France?", "Translate this sentence into German: good morning.",
    "Summarise the following article in three sentences.", "请把这句话翻译成英文。", "The quick brown fox jumps over the lazy dog.", "Explain why the sky is blue to a child of six, in simple words and with an example from daily life.", "ok",
]


def vocabulary(minilm):
    tokens = (minilm / "vocab.txt").read_text(encoding="utf-8").splitlines()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    single = [t for t in tokens if t not in special and len(t.removeprefix("##")) == 1]
    more = [t for t in tokens if t not in special and not t.startswith("[unused") and len(t.removeprefix("##")) > 1]
    kept = more[:500] + [t for t in more if t.startswith("##")][:300]
    return special + list(dict.fromkeys(single + kept))


def embed(model, tokenizer, texts, limit):
    rows = []
    for text in texts:
        batch = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**batch).last_hidden_state[0].double()
        mean = hidden.mean(0)
        rows.append({"text": text, "ids": batch["input_ids"][0].tolist(), "mean": (mean / mean.norm()).tolist(), "cls": hidden[0].tolist()})
    return rows


def rounded(values):
    return [float(f"{v:.7g}") for v in values]


def write_gguf(model, tokens):
    writer = gguf.GGUFWriter(str(TINY / "model.gguf"), "bert")
    c = model.config
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_layer_norm_eps(c.layer_norm_eps)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("bert")
    writer.add_token_list([t if t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") else t[2:] if t.startswith("##") and len(t) > 2 else "\u2581" + t for t in tokens])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, c.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name.startswith("pooler") or name.endswith("position_ids"):
            continue
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), tensor.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    minilm = Path(sys.argv[1])
    torch.manual_seed(7)
    shutil.rmtree(TINY, ignore_errors=True)
    TINY.mkdir()
    tokens = vocabulary(minilm)
    (TINY / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    model = BertModel(BertConfig(vocab_size=len(tokens), hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=27, max_position_embeddings=40, initializer_range=0.4, layer_norm_eps=1e-12), add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(TINY)
    write_gguf(model, tokens)
    uncased = BertTokenizerFast(vocab=str(TINY / "vocab.txt"), do_lower_case=True)
    cased = BertTokenizerFast(vocab=str(TINY / "vocab.txt"), do_lower_case=False)
    uncased.backend_tokenizer.save(str(TINY / "tokenizer.json"))
    (TINY / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "tokenizer_class": "BertTokenizer"}) + "\n")
    (TINY / "modules.json").write_text(json.dumps([{"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind} for i, (kind, path) in enumerate([("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")])], indent=1) + "\n")
    (TINY / "1_Pooling").mkdir()
    (TINY / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 12, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}) + "\n")
    (TINY / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LIMIT, "do_lower_case": False}) + "\n")
    rows = embed(model, uncased, TEXTS, LIMIT)
    for row in rows:
        row["cased"] = cased(row["text"], truncation=True, max_length=LIMIT)["input_ids"]
        row["mean"], row["cls"] = rounded(row["mean"]), rounded(row["cls"])
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "torch": torch.__version__}
    (HERE / "expected.json").write_text(json.dumps({"versions": versions, "limit": LIMIT, "texts": rows}, ensure_ascii=True, indent=None) + "\n")
    real = embed(AutoModel.from_pretrained(minilm).eval(), AutoTokenizer.from_pretrained(minilm), SENTENCES, 256)
    for row in real:
        row["mean"] = rounded(row["mean"])
        del row["cls"]
    (HERE / "minilm.json").write_text(json.dumps({"versions": versions, "texts": real}, ensure_ascii=True) + "\n")


main()
