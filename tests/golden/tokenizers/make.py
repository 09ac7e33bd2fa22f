#!/usr/bin/env python3
"""Writes the small tokenizers of this folder (tokenizer.json and GGUF) and golden.json: what the reference makes of texts.py's texts.

usage: make.py DEEPSEEK_TOKENIZER_JSON SMOLLM2_GGUF     needs tokenizers, sentencepiece, gguf; golden.json records their versions

The references: Hugging Face's `tokenizers` for every tokenizer.json; for a GGUF, `tokenizers` with the settings that Hugging Face
publishes for the family its `tokenizer.ggml.pre` names; for a GGUF of SentencePiece, sentencepiece itself where no added token occurs.
"""
import hashlib
import importlib.metadata
import json
import pathlib
import sys
import tempfile

import gguf
import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer

import texts

HERE = pathlib.Path(__file__).parent
BULK = {"seed": 20, "count": 3000, "block": 250}
GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
LLAMA3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
QWEN2 = LLAMA3.replace("\\p{N}{1,3}", "\\p{N}")
CASED = ("\\s?["
         "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377"
         "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556"
         "\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a"
         "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"
         "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec"
         "\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d"
         "\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee"
         "\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06"
         "\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
         "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
         "]+")
CJK = "[一-龥\u0800-一가-\ud7ff]+"
V3 = ["\\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
DIGITS = {"type": "Digits", "individual_digits": True}


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def added(content, number, special=True, **flags):
    return {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special} | flags


def template(*tokens):
    """Adds `tokens` before the text."""
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": t, "type_id": 0}} for t, _ in tokens] + [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in tokens}}


# name: (pre-tokenizer, normalizer, ignore_merges, special tokens, begin token is added)
BYTE_LEVEL = {
    "llama-bpe": (sequence(split(LLAMA3), BYTES), None, True, ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"], True),
    "qwen2": (sequence(split(QWEN2), BYTES), {"type": "NFC"}, False, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], False),
    "deepseek-llm": (sequence(split("[\r\n]"), split(CASED), split("\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"), split("\\s+$"), split(CJK), DIGITS, BYTES), None, False,
                     ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"], True),
    "deepseek-coder": (sequence(split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split(CJK), DIGITS, BYTES), None, False,
                       ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"], True),
    "deepseek-v3": (sequence(*map(split, V3), BYTES), {"type": "Sequence", "normalizers": []}, False,
                    ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"], True),
    "smollm": (sequence(DIGITS, BYTES | {"use_regex": True}), None, False, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], False),
}
PLAIN_ADDED = ["<think>", "</think>", "<tool_call>"]


def sentences():
    random = texts.Random(3)
    return [" ".join(random.pick(texts.WORDS) + random.pick(["", "", "", ",", ".", "ing", "s", "ed"]) for _ in range(12)) for _ in range(600)]


def corpus():
    lines = [text for text in texts.CORE if len(text) > 8] * 3
    lines += [text.decode("utf-8", "replace") for text in texts.generated(7, 400)]
    return lines + sentences()


def byte_level_model():
    """A model trained without a pre-tokenizer, so that its merges cross every boundary a pre-tokenizer can set: one that is missed shows."""
    tokenizer = Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.train_from_iterator(corpus(), tokenizers.trainers.BpeTrainer(
        vocab_size=1100, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), max_token_length=8, show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    for word in ("Hello", "ĠHello", "function", "ä¸ŃåĽ½", "ĊĊĊ", "123"):  # whole words that no merge leads to
        model["vocab"].setdefault(word, len(model["vocab"]))
    return model


def gguf_file(path, model, pre, tokens, types, **more):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if "merges" in more:
        writer.add_token_merges(more["merges"])
    if "scores" in more:
        writer.add_token_scores(more["scores"])
    writer.add_bos_token_id(more["bos"])
    writer.add_eos_token_id(more["eos"])
    if "unk" in more:
        writer.add_unk_token_id(more["unk"])
    writer.add_add_bos_token(more["add_bos"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def write_byte_level(name, model, setting):
    pre, normalizer, ignore_merges, specials, adds_bos = setting
    size = len(model["vocab"])
    extra = [added(t, size + i) for i, t in enumerate(specials)]
    extra += [added(t, size + len(specials) + i, special=False) for i, t in enumerate(PLAIN_ADDED)]
    root = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": extra, "normalizer": normalizer, "pre_tokenizer": pre,
            "post_processor": template((specials[0], size)) if adds_bos else BYTES, "decoder": BYTES | {"use_regex": True}, "model": model | {"ignore_merges": ignore_merges}}
    write(f"{name}.json", root)
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1])] + [t["content"] for t in extra]
    types = [1] * size + [3 if t["special"] else 4 for t in extra]
    gguf_file(HERE / f"{name}.gguf", "gpt2", name, tokens, types, merges=[" ".join(m) for m in model["merges"]], bos=size, eos=size + 1, add_bos=adds_bos)


def write(name, root):
    (HERE / name).write_text(json.dumps(root, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def write_flags(model):
    """Every setting of added tokens and the rarer pre-tokenizers."""
    size = len(model["vocab"])
    tokens = [("<|im_start|>", {}), ("<mask>", {"lstrip": True}), ("<left>", {"lstrip": True, "rstrip": True}), ("<right>", {"rstrip": True}), ("<word>", {"single_word": True}),
              ("newtoken", {"special": False, "normalized": True}), ("newtokens", {"special": False, "single_word": True, "normalized": True}),
              ("NORM\u0344L", {"special": False, "normalized": True}), ("<|im_end|>", {"normalized": True}), ("<|", {"special": False})]
    fresh = [content for content, _ in tokens if content not in model["vocab"]]  # the others keep the ids they have
    extra = [added(content, model["vocab"].get(content, size + fresh.index(content) if content in fresh else None), **flags) for content, flags in tokens]
    for name, pre, normalizer in [
            ("flags", sequence(split(QWEN2), BYTES), {"type": "NFC"}),
            ("flags2", sequence({"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"}, BYTES | {"add_prefix_space": True, "use_regex": True}),
             {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}]}),
            ("flags3", sequence({"type": "Whitespace"}, {"type": "Digits", "individual_digits": False},
                                {"type": "Split", "pattern": {"Regex": "\\p{Han}|\\w(?i:x)"}, "behavior": "MergedWithNext", "invert": False},
                                {"type": "Split", "pattern": {"String": "a"}, "behavior": "Contiguous", "invert": False}, BYTES),
             {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": "[b-d]+$"}, "content": "é"}]})]:
        write(f"{name}.json", {"version": "1.0", "truncation": None, "padding": None, "added_tokens": extra, "normalizer": normalizer, "pre_tokenizer": pre,
                               "post_processor": None, "decoder": BYTES, "model": model})


def write_sentencepiece():
    """A model as Llama 2's was made, in the two layouts that transformers writes and as GGUF."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "corpus"
        lines = [line.replace("\n", " ").replace("\0", "") for line in texts.CORE[:44] + sentences()]  # few enough characters for a small model
        source.write_text("\n".join(lines), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(source), model_prefix=folder + "/m", model_type="bpe", vocab_size=1000, byte_fallback=True, normalization_rule_name="identity",
            remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, split_digits=True, character_coverage=0.98, num_threads=1, minloglevel=2)
        blob = (pathlib.Path(folder) / "m.model").read_bytes()
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(blob)
    pieces, scores = [p.piece for p in proto.pieces], [p.score for p in proto.pieces]
    vocab = {p: i for i, p in enumerate(pieces)}
    merges = []
    for piece, score in zip(pieces, scores):
        cuts = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        merges += [(score, left, right) for left, right in sorted(cuts, key=lambda cut: (vocab[cut[0]], vocab[cut[1]]))]
    merges.sort(key=lambda m: (m[0], len(m[1]), len(m[2])), reverse=True)
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
             "ignore_merges": False, "vocab": vocab, "merges": [[left, right] for _, left, right in merges]}
    space, mark = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    decoder = {"type": "Sequence", "decoders": [mark, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    root = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added(t, i) for i, t in enumerate(["<unk>", "<s>", "</s>"])], "normalizer": None,
            "pre_tokenizer": None, "post_processor": template(("<s>", 1)), "decoder": decoder, "model": model}
    write("llama2.json", root | {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]}})
    write("metaspace.json", root | {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}})
    write("metaspace-split.json", root | {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
                                          "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}})
    types = [6 if p.startswith("<0x") and len(p) == 6 else 2 if p == "<unk>" else 3 if p in ("<s>", "</s>") else 1 for p in pieces]
    gguf_file(HERE / "llama2.gguf", "llama", None, pieces, types, scores=scores, bos=1, eos=2, unk=0, add_bos=True)
    return sentencepiece.SentencePieceProcessor(model_proto=blob)


def smollm2(path):
    """The tokenizer.json of SmolLM2 as Hugging Face lays it out, around the vocabulary of the GGUF."""
    fields = gguf.GGUFReader(path).fields
    tokens, types, merges = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "token_type", "merges"))
    control = [added(t, i) for i, t in enumerate(tokens) if types[i] in (3, 4)]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
             "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": control, "normalizer": None, "pre_tokenizer": sequence(DIGITS, BYTES | {"use_regex": True}),
        "post_processor": None, "decoder": BYTES, "model": model}))


def line(tokenizer, data):
    """The line hone_tokenize prints."""
    text = data.decode("utf-8", "replace")
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    whole = tokenizer.encode(text).ids
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = False
    decoded = [tokenizer.decode(ids, skip_special_tokens=skip) for skip in (False, True)]
    decoded = ["=" if again == text else again.encode().hex() for again in decoded]
    return "|".join([" ".join(map(str, i)) for i in (ids, whole, plain)] + decoded)


def bulk(tokenizer):
    hashes, lines = [], [line(tokenizer, text) for text in texts.generated(BULK["seed"], BULK["count"])]
    for at in range(0, len(lines), BULK["block"]):
        hashes.append(hashlib.sha256("\n".join(lines[at:at + BULK["block"]]).encode()).hexdigest()[:16])
    return hashes


def check_sentencepiece(reference, processor):
    """The tokenizer.json made from a SentencePiece model must itself agree with sentencepiece, or it would be no reference for the GGUF."""
    compared = 0
    for data in texts.core() + list(texts.generated(BULK["seed"], BULK["count"])):
        text = data.decode("utf-8", "replace")
        if any(mark in text for mark in ("<unk>", "<s>", "</s>", "\0")) or not text:
            continue
        assert processor.encode(text) == reference.encode(text, add_special_tokens=False).ids, text
        compared += 1
    return compared


def main():
    model = byte_level_model()
    for name, setting in BYTE_LEVEL.items():
        write_byte_level(name, model, setting)
    write_flags(model)
    processor = write_sentencepiece()
    references = {f"{stem}.json": Tokenizer.from_file(str(HERE / f"{stem}.json")) for stem in [*BYTE_LEVEL, "flags", "flags2", "flags3", "llama2", "metaspace", "metaspace-split"]}
    references |= {f"{stem}.gguf": references[f"{stem}.json"] for stem in [*BYTE_LEVEL, "llama2"]}
    compared = check_sentencepiece(references["llama2.json"], processor)
    references |= {"deepseek": Tokenizer.from_file(sys.argv[1]), "smollm2": smollm2(sys.argv[2])}
    golden = {"made_with": {package: importlib.metadata.version(package) for package in ("tokenizers", "sentencepiece", "gguf", "deepseek-tokenizer")},
              "equal_to_sentencepiece": compared, "bulk": BULK, "texts": [data.hex() for data in texts.core()], "tokenizers": {}}
    shared = {}
    for name, tokenizer in references.items():
        if id(tokenizer) not in shared:
            shared[id(tokenizer)] = {"core": [line(tokenizer, data) for data in texts.core()], "bulk": bulk(tokenizer), "like": name}
        result = shared[id(tokenizer)]
        golden["tokenizers"][name] = {"like": result["like"]} if result["like"] != name else {"core": result["core"], "bulk": result["bulk"]}
    (HERE / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


main()
