#!/usr/bin/env python3
"""The rules of the house, read off the sources: include edges, length of files, words that do not belong, symbols of ISA files.

Each rule is first shown a violation it must find, then the tree it must accept.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES = 500


def edges(cmake):
    allowed = {}
    for name, rest in re.findall(r"hone_layer\((\w+)([^)]*)\)", cmake):
        depends = re.search(r"DEPENDS ([\w ]+?)(?: EXTERNAL|$)", rest.strip())
        allowed[name] = set(depends.group(1).split()) if depends else set()
    return allowed


def wrong_edges(allowed, files):
    found = []
    for path, text in files.items():
        layer = path.split("/")[1]
        for target in re.findall(r'#include "(\w+)/', text):
            if target in allowed and target != layer and target not in allowed[layer]:
                found.append(f"{path}: {layer} may not include {target}")
    return found


def wrong_words(files):
    rules = [(r"\bTO" + "DO|\\bFIX" + "ME", "unfinished"), (r"\bstd::(cout|cerr)\b|\b(printf|puts)\(", "prints"), (r"\b(abort|exit|_Exit)\(", "ends the process")]
    return [f"{path}:{number}: {what}: {line.strip()}" for path, text in files.items() for number, line in enumerate(text.splitlines(), 1)
            for pattern, what in rules if re.search(pattern, line) and not line.strip().startswith("//")]


def too_long(files):
    return [f"{path}: {text.count(chr(10))} lines" for path, text in files.items() if text.count("\n") > MAX_LINES]


def weak_symbols(listing):
    return [line for line in listing.splitlines() if re.search(r" [WVu] ", line) and "DW.ref." not in line]


def missing_commands(readme, verbs, root):
    missing = [f"README names hone {verb}" for verb in set(re.findall(r"\bhone (\w+)", readme)) & set(re.findall(r"`hone (\w+)", readme)) if verb not in verbs]
    return missing + [f"README names {path}" for path in set(re.findall(r"\./(scripts/[\w.]+)", readme) + re.findall(r"\]\(((?:docs|examples)/[^)]+)\)", readme)) if not (root / path).exists()]


def expect(findings, rule):
    if not findings:
        sys.exit(f"the rule '{rule}' does not find its violation")


def main():
    allowed = edges((ROOT / "CMakeLists.txt").read_text())
    files = {str(path.relative_to(ROOT)): path.read_text() for folder in ("src",) for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".h", ".cc", ".inc")}
    more = {str(path.relative_to(ROOT)): path.read_text() for folder in ("apps", "tests") for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".h", ".cc", ".py")}
    verbs = {path.stem for path in (ROOT / "apps").glob("*.cc")}
    readme = (ROOT / "README.md").read_text()

    expect(wrong_edges(allowed, {"src/kernels/x.cc": '#include "tensor/tensor.h"'}), "edges")
    expect(wrong_edges(allowed, {"src/io/x.cc": '#include "models/config.h"'}), "edges")
    expect(wrong_edges(allowed, {"src/infer/x.cc": '#include "train/step.h"'}), "edges")
    expect(wrong_words({"src/io/x.cc": "  std::cout << 1;"}) and wrong_words({"src/io/x.cc": "  abort();"}) and wrong_words({"src/io/x.cc": "int x;  // TO" + "DO later"}), "words")
    expect(too_long({"src/io/x.cc": "\n" * (MAX_LINES + 1)}), "length")
    expect(weak_symbols("0000 W std::vector<int>::push_back"), "weak symbols")
    expect(missing_commands("`hone fly` uses hone fly", verbs, ROOT) and missing_commands("./scripts/none.sh", verbs, ROOT), "README")

    findings = wrong_edges(allowed, files) + wrong_words(files) + too_long(files | more) + missing_commands(readme, verbs, ROOT)
    objects = [path for path in pathlib.Path(sys.argv[1]).rglob("*.o") if re.search(r"/kernels/(avx\w+|amx|neon)/", str(path))]
    if not objects:
        findings.append("no ISA object was found in the build folder")
    for path in objects:
        listing = subprocess.run(["nm", "-C", path], check=True, capture_output=True, text=True).stdout
        findings += [f"{path.parent.name}: weak symbol {line}" for line in weak_symbols(listing)]
    if "available_isas()" not in (ROOT / "tests/kernels/random_matrix.h").read_text():
        findings.append("tests/kernels/random_matrix.h: fast_isas() does not walk through available_isas()")
    for path in sorted((ROOT / "tests/kernels").glob("*_test.cc")):
        if "fast_isas()" not in path.read_text():
            findings.append(f"{path.relative_to(ROOT)} does not walk through every instruction set")
    if findings:
        sys.exit("\n".join(findings))
    print(f"{len(files)} files keep the rules")


main()
