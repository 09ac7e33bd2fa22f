#!/usr/bin/env python3
"""Small random models of every family, with what transformers + PEFT + bitsandbytes compute for them.

    python3 make.py            # rewrites every case folder beside this file
    python3 make.py llama      # one case

Each case folder holds a Hugging Face model (config.json, safetensors), the same weights as model.gguf, a PEFT adapter with
random A and B on every linear layer, and the expected numbers:
  expected.safetensors  ids, labels, starts (two samples end to end), logits with the adapter, logits of the base alone,
                        logits over NF4 weights, and the gradient of the loss for every LoRA matrix
  expected.json         the loss, the losses of 10 AdamW steps in f32, over NF4 weights and in bf16, how far torch's own
                        bf16 logits are from its f32 ones, and the package versions
The loss is the mean of -log p over the labelled tokens of both samples; each sample is run by itself.
"""
import json
import shutil
import sys
from pathlib import Path

import bitsandbytes as bnb
import bitsandbytes.functional as bnb_functional
import gguf
import numpy as np
import peft
import safetensors
import torch
import transformers
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
VOCAB, LENGTHS, PROMPT = 61, (13, 10), 3
STEPS, LEARNING_RATE, WEIGHT_DECAY = 10, 2e-3, 0.01
RANK, ALPHA = 3, 5

DENSE = dict(vocab_size=VOCAB, hidden_size=42, intermediate_size=53, num_hidden_layers=2, num_attention_heads=3,
             num_key_value_heads=1, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
DEEPSEEK = dict(vocab_size=VOCAB, hidden_size=39, intermediate_size=45, num_hidden_layers=2, num_attention_heads=3,
                num_key_value_heads=3, max_position_embeddings=640, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=1,
                kv_lora_rank=10, qk_nope_head_dim=6, qk_rope_head_dim=8, v_head_dim=5, first_k_dense_replace=1,
                moe_intermediate_size=7)


def yarn(mscale, mscale_all_dim):
    return dict(type="yarn", factor=40, original_max_position_embeddings=16, beta_fast=32, beta_slow=1, mscale=mscale,
                mscale_all_dim=mscale_all_dim)


# config as published models write it; "dtype" is how the weights are stored, "shards" > 1 writes an index.
CASES = {
    "llama": dict(config=dict(DENSE, model_type="llama", tie_word_embeddings=True, rope_theta=1000.0), dtype="bfloat16"),
    "llama3_rope": dict(config=dict(DENSE, model_type="llama", num_attention_heads=6, num_key_value_heads=2, head_dim=10,
                                    attention_bias=True, mlp_bias=True, eos_token_id=[2, 7],
                                    rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=8.0,
                                                         low_freq_factor=1.0, high_freq_factor=4.0,
                                                         original_max_position_embeddings=64)), dtype="float32"),
    "linear_rope": dict(config=dict(DENSE, model_type="llama", num_key_value_heads=3, rope_theta=100000,
                                    rope_scaling=dict(type="linear", factor=4.0)), dtype="bfloat16", rslora=True),
    "qwen2": dict(config=dict(DENSE, model_type="qwen2", rope_theta=1000000.0, use_sliding_window=False, sliding_window=32,
                              max_window_layers=1), dtype="float16"),
    "qwen2_yarn": dict(config=dict(DENSE, model_type="qwen2", tie_word_embeddings=True, rope_theta=10000.0,
                                   rope_scaling=dict(type="yarn", factor=4.0, original_max_position_embeddings=24)),
                       dtype="bfloat16"),
    "qwen3": dict(config=dict(DENSE, model_type="qwen3", num_attention_heads=6, num_key_value_heads=2, head_dim=16,
                              tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=5000.0)),
                  dtype="bfloat16", shards=3),
    "deepseek_v2_lite": dict(config=dict(DEEPSEEK, model_type="deepseek_v2", q_lora_rank=None, n_routed_experts=6,
                                         n_shared_experts=2, num_experts_per_tok=3, topk_method="greedy", n_group=1,
                                         topk_group=1, scoring_func="softmax", norm_topk_prob=False, moe_layer_freq=1,
                                         routed_scaling_factor=1.0, rope_theta=10000, rope_scaling=yarn(0.707, 0.707)),
                             dtype="float16", whole_kv_b=True),
    "deepseek_v2": dict(config=dict(DEEPSEEK, model_type="deepseek_v2", q_lora_rank=11, n_routed_experts=8,
                                    n_shared_experts=2, num_experts_per_tok=3, topk_method="group_limited_greedy",
                                    n_group=4, topk_group=2, scoring_func="softmax", norm_topk_prob=False,
                                    routed_scaling_factor=4.0, rope_theta=10000, rope_scaling=yarn(0.707, 0.707)),
                        dtype="bfloat16"),
    "deepseek_v3": dict(config=dict(DEEPSEEK, model_type="deepseek_v3", q_lora_rank=11, n_routed_experts=9,
                                    n_shared_experts=1, num_experts_per_tok=3, topk_method="noaux_tc", n_group=3,
                                    topk_group=2, scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.5,
                                    attention_bias=True, rope_theta=10000, num_nextn_predict_layers=1,
                                    rope_scaling=yarn(1.0, 1.0)), dtype="bfloat16"),
}


class ExpertList(nn.ModuleList):
    """Routed experts as separate linear layers, as checkpoints and adapters name them (transformers fuses them)."""

    def __init__(self, config):
        super().__init__()
        for _ in range(config.n_routed_experts):
            expert = nn.Module()
            expert.gate_proj = nn.Linear(config.hidden_size, config.moe_intermediate_size, bias=False)
            expert.up_proj = nn.Linear(config.hidden_size, config.moe_intermediate_size, bias=False)
            expert.down_proj = nn.Linear(config.moe_intermediate_size, config.hidden_size, bias=False)
            self.append(expert)

    def forward(self, x, index, weights):
        y = torch.zeros_like(x)
        for e, expert in enumerate(self):
            token, slot = torch.where(index == e)
            if len(token) == 0:
                continue
            rows = expert.down_proj(nn.functional.silu(expert.gate_proj(x[token])) * expert.up_proj(x[token]))
            y = y.index_add(0, token, (rows * weights[token, slot, None]).to(y.dtype))
        return y


def empty_model(config):
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for layer in model.model.layers:
        if hasattr(layer.mlp, "experts"):
            layer.mlp.experts = ExpertList(config)
    return model


def random_weights(model, dtype, generator):
    """Values that the storage type holds exactly, large enough that every part of the model matters."""
    state = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        noise = torch.randn(value.shape, generator=generator)
        if "norm" in name:
            value = 1 + 0.3 * noise
        elif name.endswith("bias"):
            value = 0.3 * noise
        elif "embed_tokens" in name:
            value = 0.8 * noise
        else:
            value = noise * 1.2 / value.shape[-1] ** 0.5
        # Routers and their biases stay f32 in published checkpoints; they are rounded all the same.
        state[name] = value.to(dtype).float()
    return state


def write_model(folder, case, state, dtype):
    config = dict(architectures=["ForCausalLM"], torch_dtype=case["dtype"], **case["config"])
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    keep_f32 = ("e_score_correction_bias",)
    tensors = {n: (v if n.endswith(keep_f32) else v.to(dtype)).contiguous() for n, v in state.items()}
    shards = case.get("shards", 1)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names, index = sorted(tensors), {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = {n: tensors[n] for n in names[i::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        index.update({n: file for n in part})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=0) + "\n")


def rotary_pairs_adjacent(weight, heads):
    """GGUF keeps llama's query and key rows so that the two elements of a rotary pair are neighbours."""
    rows = weight.shape[0]
    return weight.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(folder, case, config, state, dtype):
    c, family = case["config"], {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}.get(config.model_type, "deepseek2")
    writer = gguf.GGUFWriter(folder / "model.gguf", family)
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_bos_token_id(c["bos_token_id"])
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    split = family == "deepseek2" and not case.get("whole_kv_b")
    if family == "deepseek2":
        key, value, latent = c["qk_nope_head_dim"] + c["qk_rope_head_dim"], c["v_head_dim"], c["kv_lora_rank"]
        writer.add_head_count_kv(1 if split else c["num_attention_heads"])
        if split:
            writer.add_key_length(latent + c["qk_rope_head_dim"])
            writer.add_value_length(latent)
            writer.add_key_length_mla(key)
            writer.add_value_length_mla(value)
        else:
            writer.add_key_length(key)
            writer.add_value_length(value)
        writer.add_rope_dimension_count(c["qk_rope_head_dim"])
        writer.add_kv_lora_rank(latent)
        if c["q_lora_rank"]:
            writer.add_q_lora_rank(c["q_lora_rank"])
        writer.add_leading_dense_block_count(c["first_k_dense_replace"])
        writer.add_expert_count(c["n_routed_experts"])
        writer.add_expert_used_count(c["num_experts_per_tok"])
        writer.add_expert_shared_count(c["n_shared_experts"])
        writer.add_expert_feed_forward_length(c["moe_intermediate_size"])
        writer.add_expert_weights_scale(c["routed_scaling_factor"])
        writer.add_expert_weights_norm(c["norm_topk_prob"])
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if c["scoring_func"] == "sigmoid"
                                      else gguf.ExpertGatingFuncType.SOFTMAX)
        if c["n_group"] > 1:
            writer.add_expert_group_count(c["n_group"])
            writer.add_expert_group_used_count(c["topk_group"])
    else:
        writer.add_head_count_kv(c["num_key_value_heads"])
        writer.add_key_length(config.head_dim if hasattr(config, "head_dim") else c["hidden_size"] // c["num_attention_heads"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if "mscale_all_dim" in rope:
            writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])

    arch = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == family)
    names = gguf.get_tensor_name_map(arch, c["num_hidden_layers"])
    kind = {"float32": gguf.GGMLQuantizationType.F32, "float16": gguf.GGMLQuantizationType.F16,
            "bfloat16": gguf.GGMLQuantizationType.BF16}[case["dtype"]]

    def add(name, array):
        array = np.ascontiguousarray(array, dtype=np.float32)
        small = array.ndim == 1 or "ffn_gate_inp" in name
        if small or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(name, array)
        elif kind == gguf.GGMLQuantizationType.F16:
            writer.add_tensor(name, array.astype(np.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)

    def gguf_name(canonical):
        name = names.get_name(canonical, try_suffixes=(".weight", ".bias"))
        assert name, canonical
        return name

    if rope["rope_type"] == "llama3":
        inv_freq = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")[0]
        plain = 1.0 / rope["rope_theta"] ** (torch.arange(0, config.head_dim, 2) / config.head_dim)
        writer.add_tensor("rope_freqs.weight", (plain / inv_freq).numpy().astype(np.float32))
    stacks = {}
    for name, value in state.items():
        array = value.numpy()
        if ".mlp.experts." in name:
            before, after = name.split(".mlp.experts.")
            expert, rest = after.split(".", 1)
            stacks.setdefault(f"{before}.mlp.experts.{rest}", {})[int(expert)] = array
        elif name.endswith("e_score_correction_bias"):
            add(gguf_name(name.replace("e_score_correction_bias", "e_score_correction.bias")), array)
        elif family == "llama" and ".q_proj." in name:
            add(gguf_name(name), rotary_pairs_adjacent(array, c["num_attention_heads"]))
        elif family == "llama" and ".k_proj." in name:
            add(gguf_name(name), rotary_pairs_adjacent(array, c["num_key_value_heads"]))
        elif split and name.endswith("kv_b_proj.weight"):
            heads = array.reshape(c["num_attention_heads"], -1, latent)
            k_b, v_b = heads[:, : c["qk_nope_head_dim"]], heads[:, c["qk_nope_head_dim"]:]
            add(gguf_name(name.replace("kv_b_proj", "k_b_proj")), k_b.transpose(0, 2, 1))
            add(gguf_name(name.replace("kv_b_proj", "v_b_proj")), v_b)
        else:
            add(gguf_name(name), array)
    for name, parts in stacks.items():
        add(gguf_name(name), np.stack([parts[e] for e in range(len(parts))]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def nf4_state(state, model):
    """The state with every adapted linear layer's weight as bitsandbytes dequantises it (double quantisation).

    One long row: for rows of 96 the CPU kernel of bitsandbytes 0.50.2 takes the scales of the wrong blocks, although its codes
    and scales are laid out along the flattened matrix for every shape.
    """
    linears = {n + ".weight" for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"}
    result = dict(state)
    for name in linears:
        codes, quant = bnb_functional.quantize_4bit(state[name].reshape(1, -1), blocksize=64, compress_statistics=True, quant_type="nf4")
        result[name] = bnb_functional.dequantize_4bit(codes, quant).float().reshape(state[name].shape)
    return result


def batch(generator):
    samples = [torch.randint(3, VOCAB, (n,), generator=generator) for n in LENGTHS]
    labels = []
    for ids in samples:
        shifted = torch.full_like(ids, -100)
        shifted[PROMPT:-1] = ids[PROMPT + 1:]
        labels.append(shifted)
    return samples, labels


def mean_loss(model, samples, labels):
    total, count = 0.0, 0
    for ids, label in zip(samples, labels):
        logits = model(input_ids=ids[None], use_cache=False).logits[0].float()
        total = total + nn.functional.cross_entropy(logits, label, ignore_index=-100, reduction="sum")
        count += int((label != -100).sum())
    return total / count


@torch.no_grad()
def all_logits(model, samples):
    return torch.cat([model(input_ids=ids[None], use_cache=False).logits[0].float() for ids in samples])


def with_adapter(base, case, matrices=None, generator=None):
    # By name: PEFT's "all-linear" also takes the router of mixtures, which is no linear module there.
    linears = [n for n, m in base.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"]
    lora = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=linears, lora_dropout=0.0,
                           use_rslora=case.get("rslora", False), task_type="CAUSAL_LM")
    # PEFT would translate the names of routed experts to transformers' fused ones, which this model does not use.
    family, base.config.model_type = base.config.model_type, "unfused"
    model = peft.get_peft_model(base, lora)
    base.config.model_type = family
    adapted = [n for n, m in model.named_modules() if hasattr(m, "lora_A")]
    assert len(adapted) == len(linears), (len(adapted), len(linears))
    for name, p in sorted(model.named_parameters()):
        if "lora_" not in name:
            continue
        if matrices is None:
            p.data = torch.randn(p.shape, generator=generator) * (0.5 / p.shape[-1] ** 0.5)
        else:
            p.data = matrices[name].clone()
    return model


def lora_parameters(model):
    return {n: p for n, p in sorted(model.named_parameters()) if "lora_" in n}


def ten_steps(model, samples, labels):
    parameters = list(lora_parameters(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=WEIGHT_DECAY)
    losses = []
    for _ in range(STEPS):
        loss = mean_loss(model, samples, labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        for p in parameters:  # an expert without tokens still decays
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        optimizer.step()
    losses.append(mean_loss(model, samples, labels).item())
    return losses


def routing_margin(model, samples):
    """How close the nearest rejected expert came to being chosen: goldens must not hang on the last bit."""
    margins = []

    def hook(router, inputs, _):
        x = inputs[0].reshape(-1, inputs[0].shape[-1]).float()
        z = x @ router.weight.float().T
        v3 = hasattr(router, "e_score_correction_bias")
        s = z.sigmoid() + router.e_score_correction_bias if v3 else z.softmax(-1)
        if (router.num_group or 1) > 1:
            grouped = s.view(len(s), router.num_group, -1)
            rank = grouped.topk(2, -1)[0].sum(-1) if v3 else grouped.max(-1).values
            top = rank.topk(router.topk_group + 1, -1).values
            margins.append((top[:, -2] - top[:, -1]).min().item())
            kept = torch.zeros_like(rank).scatter_(1, rank.topk(router.topk_group, -1).indices, 1)
            s = grouped.masked_fill(kept[..., None] == 0, -9.0).reshape(s.shape)
        top = s.topk(router.top_k + 1, -1).values
        margins.append((top[:, -2] - top[:, -1]).min().item())

    hooks = [m.register_forward_hook(hook) for n, m in model.named_modules() if n.endswith("mlp.gate")]
    all_logits(model, samples)
    for h in hooks:
        h.remove()
    return min(margins, default=1.0)


def bf16_model(case, config, state, matrices):
    base = empty_model(config)
    base.load_state_dict(state, strict=False)
    routers = {n: b.clone() for n, b in base.state_dict().items() if "mlp.gate." in n}
    base = base.to(torch.bfloat16)
    for name, value in routers.items():
        module, leaf = name.rsplit(".", 1)
        getattr(base.get_submodule(module), leaf).data = value
    return with_adapter(base, case, matrices)


def make(name, case):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    dtype = getattr(torch, case["dtype"])
    seed = sum(map(ord, name))
    while True:
        generator = torch.Generator().manual_seed(seed)
        config = AutoConfig.for_model(**case["config"])
        base = empty_model(config)
        state = random_weights(base, dtype, generator)
        base.load_state_dict(state, strict=False)
        samples, labels = batch(generator)
        base_logits = all_logits(base, samples)
        model = with_adapter(base, case, generator=generator)
        margin = routing_margin(model, samples)
        if margin > 2e-3:
            break
        seed += 1

    write_model(folder, case, state, dtype)
    write_gguf(folder, case, config, state, dtype)
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)

    # transformers' own reading of the folder, fused experts and all, must agree with the model used here.
    own = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                               experts_implementation="eager").eval()
    assert torch.allclose(all_logits(own, samples), base_logits, atol=2e-5, rtol=1e-4), name

    matrices = {n: p.detach().clone() for n, p in lora_parameters(model).items()}
    logits = all_logits(model, samples)
    loss = mean_loss(model, samples, labels)
    loss.backward()
    tensors = {"ids": torch.cat(samples).int(), "labels": torch.cat(labels).int(),
               "starts": torch.tensor([0, *np.cumsum(LENGTHS)], dtype=torch.int32),
               "logits": logits, "base_logits": base_logits}
    for n, p in lora_parameters(model).items():
        if p.grad is not None:
            tensors["grad." + n.removeprefix("base_model.model.").replace(".default", "")] = p.grad.clone()
    model.zero_grad()
    losses = ten_steps(model, samples, labels)

    quantised = empty_model(config)
    quantised.load_state_dict(nf4_state(state, quantised), strict=False)
    quantised = with_adapter(quantised, case, matrices)
    tensors["nf4_logits"] = all_logits(quantised, samples)
    nf4_losses = ten_steps(quantised, samples, labels)

    half = bf16_model(case, config, state, matrices)
    error = (all_logits(half, samples) - logits).pow(2).mean().sqrt() / logits.pow(2).mean().sqrt()
    bf16_losses = ten_steps(half, samples, labels)

    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "expected.safetensors")
    expected = dict(loss=loss.item(), losses=losses, nf4_losses=nf4_losses, bf16_losses=bf16_losses,
                    bf16_logit_error=error.item(), learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
                    versions=dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__,
                                  bitsandbytes=bnb.__version__, gguf="0.19.0", safetensors=safetensors.__version__))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{name}: loss {loss.item():.4f} -> {losses[-1]:.4f}, nf4 {nf4_losses[0]:.4f}, bf16 error {error:.2e}, "
          f"routing margin {margin:.1e}, {size // 1024} KiB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or CASES:
        make(chosen, CASES[chosen])
