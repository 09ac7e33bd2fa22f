"""Small random models of every family with real kinds of tokenizers, saved by transformers, for the checks beside this file."""
import json
import pathlib
import subprocess

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
DEEPSEEK3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
             "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
TEXTS = ["count to 7 数", "Hello, world! It's 12345 o'clock…\n\n  \tnew line", "数字 1234 and ünïcödé 🦙🦙 ok", "<|im_start|>user\nx<|im_end|>\n", "  leading", "a\r\nb   c ", "I'LL we'Ve 3.14 €"]
ROWS = [{"messages": [{"role": "user", "content": f"count to {i} 数"}, {"role": "assistant", "content": f"number {i % 5} it's"}]} for i in range(32)]

DENSE = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
             rms_norm_eps=1e-5)
DEEPSEEK = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256,
                rms_norm_eps=1e-6, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, first_k_dense_replace=1,
                moe_intermediate_size=32)
YARN = dict(type="yarn", factor=4.0, original_max_position_embeddings=64, beta_fast=32, beta_slow=1)
# name: (config, tokenizer); "k_quants" rows are wide enough for blocks of 256.
CASES = {
    "llama": (dict(DENSE, model_type="llama", tie_word_embeddings=True, rope_theta=10000.0), "smollm"),
    "llama3": (dict(DENSE, model_type="llama", head_dim=32, rope_theta=10000.0,
                    rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)), "llama3"),
    "llama_sentencepiece": (dict(DENSE, model_type="llama", rope_scaling=dict(type="linear", factor=2.0)), "sentencepiece"),
    "llama_wide": (dict(DENSE, model_type="llama", hidden_size=256, intermediate_size=512, num_hidden_layers=8), "gpt2"),
    "qwen2": (dict(DENSE, model_type="qwen2", rope_theta=1000000.0, use_sliding_window=False), "qwen2"),
    "qwen2_yarn": (dict(DENSE, model_type="qwen2", tie_word_embeddings=True, rope_scaling=dict(YARN)), "qwen2"),
    "qwen3": (dict(DENSE, model_type="qwen3", head_dim=32, tie_word_embeddings=True, rope_theta=5000.0), "qwen2"),
    "deepseek_v2_lite": (dict(DEEPSEEK, model_type="deepseek_v2", q_lora_rank=None, n_routed_experts=6, n_shared_experts=2, num_experts_per_tok=3,
                              topk_method="greedy", n_group=1, topk_group=1, scoring_func="softmax", norm_topk_prob=False, routed_scaling_factor=1.0,
                              rope_scaling=dict(YARN, mscale=0.707, mscale_all_dim=0.707)), "deepseek3"),
    "deepseek_v3": (dict(DEEPSEEK, model_type="deepseek_v3", q_lora_rank=32, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3,
                         topk_method="noaux_tc", n_group=4, topk_group=2, scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.5,
                         rope_scaling=dict(YARN, mscale=1.0, mscale_all_dim=1.0)), "deepseek3"),
    # Factors that GGUF holds in keys of their own.
    "qwen2_yarn_factor": (dict(DENSE, model_type="qwen2", rope_scaling=dict(YARN, attention_factor=1.3)), "qwen2"),
    "deepseek_v2_linear": (dict(DEEPSEEK, model_type="deepseek_v2", q_lora_rank=None, n_routed_experts=6, n_shared_experts=2, num_experts_per_tok=3,
                                topk_method="greedy", n_group=1, topk_group=1, scoring_func="softmax", norm_topk_prob=False, routed_scaling_factor=1.0,
                                rope_scaling=dict(type="linear", factor=2.0)), "deepseek3"),
    "deepseek_v3_yarn": (dict(DEEPSEEK, model_type="deepseek_v3", q_lora_rank=32, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3,
                              topk_method="noaux_tc", n_group=4, topk_group=4, scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.5,
                              rope_scaling=dict(YARN, attention_factor=1.2, mscale=1.0, mscale_all_dim=0.5)), "deepseek3"),
    "deepseek_v3_plain_yarn": (dict(DEEPSEEK, model_type="deepseek_v3", q_lora_rank=32, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3,
                                    topk_method="noaux_tc", n_group=1, topk_group=1, scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.5,
                                    rope_scaling=dict(YARN)), "deepseek3"),
}


def tokenizer_of(kind):
    special = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    corpus = [json.dumps(row, ensure_ascii=False) for row in ROWS] + TEXTS
    isolated = [pre_tokenizers.Split(tokenizers.Regex(p), "isolated") for p in {"llama3": [LLAMA3], "qwen2": [QWEN2], "deepseek3": DEEPSEEK3}.get(kind, [])]
    if kind == "sentencepiece":
        t = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        # Trained with pieces that begin at spaces, as SentencePiece does; then every split of a token becomes a merge.
        t.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
        t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=520, special_tokens=["<unk>", *special, *(f"<0x{b:02X}>" for b in range(256))]))
        data = json.loads(t.to_str())
        data["added_tokens"] = [a for a in data["added_tokens"] if not a["content"].startswith("<0x")]
        vocab = data["model"]["vocab"]
        merged = dict.fromkeys(a + b for a, b in data["model"]["merges"])
        data["model"]["merges"] = [[m[:i], m[i:]] for m in merged for i in range(1, len(m)) if m[:i] in vocab and m[i:] in vocab]
        data["pre_tokenizer"] = None
        t = tokenizers.Tokenizer.from_str(json.dumps(data))
        t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])
        return t
    t = tokenizers.Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    if kind == "smollm":
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    elif kind == "gpt2":
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        t.pre_tokenizer = pre_tokenizers.Sequence([*isolated, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if kind in ("llama3", "deepseek3"):
        t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t


def make(name, folder):
    config, kind = CASES[name]
    torch.manual_seed(sum(map(ord, name)))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer_of(kind), bos_token="<s>", eos_token="</s>",
                                                unk_token="<unk>" if kind == "sentencepiece" else None)
    fast.chat_template = CHATML
    config = transformers.AutoConfig.for_model(**dict(config, vocab_size=len(fast) + 3, bos_token_id=fast.bos_token_id, eos_token_id=fast.eos_token_id))
    model = transformers.AutoModelForCausalLM.from_config(config).float()
    for key, value in model.state_dict().items():
        if key.endswith("bias"):
            value.normal_(std=0.1)
        elif "norm" not in key:
            value.mul_(4)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def write_rows(folder):
    path = pathlib.Path(folder) / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


class Hone:
    def __init__(self, program):
        self.program = program

    def __call__(self, *words):
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"hone {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def train(self, base, out, rows, *settings):
        yaml = out.parent / (out.name + ".yaml")
        yaml.write_text(f"model.base: {base}\ndata: {rows}\nlora.r: 4\ndata.cutoff_length: 96\ntraining: {{precision: f32, learning_rate: 1e-2, batch_size: 4, epochs: 4, "
                        f"output_dir: {out}}}\n")
        self("train", yaml, "--overwrite", *settings)
        return yaml

    def ids(self, model, prompt, *words, tokens=24):
        return json.loads(self("run", model, "--f32", "--temperature", 0, "--max-tokens", tokens, "--json", *words, prompt))["ids"]

    def loss(self, yaml, rows, *words):
        return json.loads(self("eval", yaml, "--data", rows, "--no-answers", "--json", *words))["loss"]
