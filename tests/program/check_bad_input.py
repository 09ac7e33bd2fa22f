#!/usr/bin/env python3
"""Malformed models, tokenizers, data, settings and adapters: each ends with exit code 2 and a message that names the file, says
what is wrong and what to do. Nothing crashes."""
import json
import struct

from hone_program import check, main


class Gguf:
    """A GGUF file taken apart just far enough to damage it in a chosen place."""

    def __init__(self, path):
        self.data = bytearray(path.read_bytes())

    def with_bytes(self, at, new):
        copy = bytearray(self.data)
        copy[at:at + len(new)] = new
        return bytes(copy)

    def find(self, text):
        return self.data.index(text.encode())

    def after(self, key, skip):
        return self.find(key) + len(key) + skip


def catalogue(program):
    """(name, arguments of hone, words the message must hold)"""
    folder = program.folder
    gguf = Gguf(program.tiny_model())
    good_model, good_data = program.tiny_model(), program.rows()

    def file(name, content):
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else bytes(content))
        return path

    def model(name, content):
        return name, ["run", file(f"{name}.gguf", content), "hi"], [f"{name}.gguf"]

    size = len(gguf.data)
    yield model("gguf_empty", b"")
    yield model("gguf_wrong_magic", b"GGML" + bytes(gguf.data[4:]))
    yield model("gguf_version_1", gguf.with_bytes(4, struct.pack("<I", 1)))
    yield model("gguf_version_99", gguf.with_bytes(4, struct.pack("<I", 99)))
    yield model("gguf_header_only", gguf.data[:24])
    yield model("gguf_cut_in_metadata", gguf.data[:300])
    yield model("gguf_cut_in_tensors", gguf.data[:size - 5000])
    yield model("gguf_many_tensors", gguf.with_bytes(8, struct.pack("<Q", 1 << 60)))
    yield model("gguf_many_keys", gguf.with_bytes(16, struct.pack("<Q", 1 << 60)))
    yield model("gguf_long_key", gguf.with_bytes(24, struct.pack("<Q", 1 << 62)))
    yield model("gguf_unknown_value_type", gguf.with_bytes(gguf.after("llama.block_count", 0), struct.pack("<I", 77)))
    yield model("gguf_zero_layers", gguf.with_bytes(gguf.after("llama.block_count", 4), struct.pack("<I", 0)))
    yield model("gguf_million_layers", gguf.with_bytes(gguf.after("llama.block_count", 4), struct.pack("<I", 1000000)))
    yield model("gguf_three_layers_of_two", gguf.with_bytes(gguf.after("llama.block_count", 4), struct.pack("<I", 3)))
    yield model("gguf_heads_do_not_divide", gguf.with_bytes(gguf.after("llama.attention.head_count_kv", 4), struct.pack("<I", 3)))
    yield model("gguf_unknown_architecture", bytes(gguf.data).replace(b"llama", b"loama"))
    yield model("gguf_wrong_tensor_name", bytes(gguf.data).replace(b"blk.1.ffn_down", b"blk.1.ffn_dawn"))
    yield model("gguf_tensor_type_200", gguf.with_bytes(gguf.after("output_norm.weight", 4 + 8), struct.pack("<I", 200)))
    yield model("gguf_tensor_offset_beyond", gguf.with_bytes(gguf.after("output_norm.weight", 4 + 8 + 4), struct.pack("<Q", 1 << 40)))
    yield model("gguf_nine_dimensions", gguf.with_bytes(gguf.after("output_norm.weight", 0), struct.pack("<I", 9)))
    yield model("gguf_unknown_tokenizer", bytes(gguf.data).replace(b"gpt2", b"gpt9"))
    yield model("gguf_unknown_pretokenizer", bytes(gguf.data).replace(b"gpt-2", b"gpt-9"))
    yield model("gguf_merge_of_unknown_tokens", bytes(gguf.data).replace(b"t h", b"zzh"))
    yield model("gguf_broken_template", bytes(gguf.data).replace(b"{% endfor %}", b"{% endfar %}"))
    yield "model_missing", ["run", folder / "no.gguf", "hi"], ["no.gguf"]
    yield "model_is_empty_folder", ["run", folder, "hi"], [str(folder)]

    def hf(name, config=None, weights=None, tokenizer=None):
        path = folder / name
        path.mkdir()
        for file_name, content in (("config.json", config), ("model.safetensors", weights), ("tokenizer.json", tokenizer)):
            if content is not None:
                (path / file_name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name, ["run", path, "hi"], [name]

    config = dict(model_type="llama", hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=4, rms_norm_eps=1e-5,
                  max_position_embeddings=32)

    def tensors(header, data=b""):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    yield hf("hf_config_not_json", "{", tensors({}))
    yield hf("hf_config_without_layers", json.dumps({"model_type": "llama"}), tensors({}))
    yield hf("hf_unknown_family", json.dumps(dict(config, model_type="bert")), tensors({}))
    yield hf("hf_negative_width", json.dumps(dict(config, hidden_size=-8)), tensors({}))
    yield hf("hf_no_weights", json.dumps(config))
    yield hf("safetensors_short", json.dumps(config), b"\1\2\3")
    yield hf("safetensors_huge_header", json.dumps(config), struct.pack("<Q", 1 << 50) + b"{}")
    yield hf("safetensors_header_not_json", json.dumps(config), tensors(b"{]"))
    yield hf("safetensors_unknown_dtype", json.dumps(config), tensors({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"))
    yield hf("safetensors_negative_shape", json.dumps(config), tensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"))
    yield hf("safetensors_beyond_the_end", json.dumps(config), tensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"))
    yield hf("safetensors_wrong_size", json.dumps(config), tensors({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}}, b"1234"))
    yield hf("safetensors_overflowing_shape", json.dumps(config),
             tensors({"a": {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}}, b"1234"))
    yield hf("safetensors_without_weights", json.dumps(config), tensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"))

    def train(name, *settings, yaml=None, words=()):
        path = folder / f"{name}.yaml"
        path.write_text(yaml if yaml is not None else f"model.base: {good_model}\ndata: {good_data}\ntraining.output_dir: {folder / name}\n", encoding="utf-8")
        return name, ["train", path, *settings, "--dry-run"], list(words)

    yield train("yaml_not_yaml", yaml="model: {base: x\n", words=["yaml_not_yaml.yaml:"])
    yield train("yaml_tab", yaml="model:\n\tbase: x\n", words=["yaml_tab.yaml:2", "tabs"])
    yield train("yaml_misspelt_group", yaml="modle:\n  base: x\n", words=["did you mean", "model"])
    yield train("yaml_share_above_one", yaml="data.validation_share: 1.5\n", words=["yaml_share_above_one.yaml:1", "0.99"])
    yield train("yaml_word_for_rate", yaml="lr: abc\n", words=["yaml_word_for_rate.yaml:1", "abc"])
    yield train("yaml_negative_rank", yaml="lora.r: -4\n", words=["lora.r", "-4"])
    yield train("yaml_cutoff_1", yaml="cutoff_len: 1\n", words=["cutoff_len"])
    yield train("yaml_no_epochs", yaml="training.epochs: 0\n", words=["epochs", "nothing to do"])
    yield train("flag_misspelt", "--dryrun", words=["did you mean", "--dry-run"])
    yield train("data_is_a_folder", f"data={folder}", words=["regular file"])
    yield train("yaml_a_list", yaml="- 1\n", words=["yaml_a_list.yaml"])
    yield train("yaml_unknown_key", yaml="training: {batch_sise: 1}\n", words=["yaml_unknown_key.yaml:1", "batch_size"])
    yield train("yaml_word_for_number", yaml="training:\n  epochs: three\n", words=["yaml_word_for_number.yaml:2", "epochs"])
    yield train("yaml_negative_batch", yaml="training: {batch_size: -1}\n", words=["batch_size"])
    yield train("yaml_set_twice", yaml="training.seed: 1\nseed: 2\n", words=["training.seed"])
    yield train("yaml_unknown_word", yaml="schedule: {type: cosinus}\n", words=["cosine"])
    yield train("yaml_later_version", yaml="quantization: {type: awq}\n", words=["later version"])
    yield train("yaml_no_data", yaml=f"model.base: {good_model}\n", words=["data"])
    yield train("override_without_value", "epochs", words=["key=value"])
    yield train("lora_target_unknown", "lora.target=q_prog", words=["q_proj"])

    def data(name, content, words=(), *settings):
        path = file(f"{name}.jsonl", content)
        return train(name, f"data={path}", *settings, words=[f"{name}.jsonl", *words])

    row = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}) + "\n"
    yield data("data_empty", "")
    yield data("data_unknown_keys", '{"foo": 1}\n')
    yield data("data_not_json", row + "{]\n" + row, ["2"])
    yield data("data_not_utf8", row.encode() + b'{"messages": "\xff"}\n', ["2"])
    yield data("data_wrong_role", row + row.replace("assistant", "robot"), ["2", "robot"])
    yield data("data_no_answer", '{"messages": [{"role": "user", "content": "a"}]}\n')
    yield data("data_prompt_without_completion", '{"prompt": "a", "completion": 3}\n')
    yield data("data_too_long_refused", row.replace('"a"', json.dumps("x" * 900)), [], "data.cut_off=refuse", "data.cutoff_length=64")
    yield data("data_in_another_form", row, ["leave `format` out"], "data.datasets=[{path: " + str(folder / "data_in_another_form.jsonl") + ", format: alpaca}]")
    yield data("data_nothing_learned", row.replace('"a"', json.dumps("x" * 30)).replace('"b"', json.dumps("y" * 900)), [], "data.cutoff_length=64")
    yield train("data_missing_file", f"data={folder / 'nothing.jsonl'}", words=["nothing.jsonl"])

    def adapter(name, config_text, weights):
        path = folder / name
        path.mkdir()
        (path / "adapter_config.json").write_text(config_text)
        if weights is not None:
            (path / "adapter_model.safetensors").write_bytes(weights)
        return name, ["run", good_model, "hi", "--adapter", path], [name]

    lora = {"peft_type": "LORA", "r": 1, "lora_alpha": 1}
    q = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    pair = tensors({q + "A.weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
                    q + "B.weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [8, 16]}}, b"\0" * 16)
    yield adapter("adapter_not_json", "r: 1", None)
    yield adapter("adapter_without_rank", json.dumps({"peft_type": "LORA", "lora_alpha": 1}), None)
    yield adapter("adapter_not_lora", json.dumps(dict(lora, peft_type="IA3")), pair)
    yield adapter("adapter_dora", json.dumps(dict(lora, use_dora=True)), pair)
    yield adapter("adapter_without_weights", json.dumps(lora), None)
    yield adapter("adapter_of_another_rank", json.dumps(dict(lora, r=2)), pair)
    yield adapter("adapter_of_another_model", json.dumps(lora), pair)
    yield "adapter_missing", ["run", good_model, "hi", "--adapter", folder / "nowhere"], ["nowhere"]
    yield "sampler_out_of_range", ["run", good_model, "hi", "--top-p", "2"], ["top"]
    yield "unknown_verb", ["trian", "x.yaml"], ["did you mean", "train"]
    yield "unknown_verb_below", ["data", "shwo"], ["hone data", "did you mean", "show"]
    yield "flag_misspelt_below", ["data", "show", "--modle", "x"], ["did you mean", "--model"]
    yield "unknown_flag_below", ["data", "show", "--base", "x"], ["hone data show --help"]
    yield "no_verb", [], ["hone --help"]
    yield "unknown_forced_isa", None, []  # the environment is set by the caller


def bad_input(program):
    count, failures = 0, []
    for name, arguments, words in catalogue(program):
        if arguments is None:
            program.environment["HONE_FORCE_ISA"] = "mmx"
            arguments, words = ["run", program.tiny_model(), "hi"], ["mmx"]
        try:
            err = program.run(*arguments, expect=2)
            for word in words:
                check(word in err, f"the message does not name {word!r}: {err}")
            check("this is a bug" not in err, err)
            check("hint:" in err, f"no hint in {err}")
        except AssertionError as failure:
            failures.append(f"{name}: {failure}")
        program.environment.pop("HONE_FORCE_ISA", None)
        count += 1
    check(not failures, "\n".join(failures))
    print(f"{count} malformed inputs refused")
    check(count >= 30, "the catalogue has shrunk")


main(bad_input)
