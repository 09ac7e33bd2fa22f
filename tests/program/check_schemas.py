#!/usr/bin/env python3
"""Structured output against Python's jsonschema: whatever a schema lets through is valid, and what pydantic and zod write can be written.
tests/golden/schemas holds their schemas with the scripts that made them."""
import json
import pathlib
import subprocess
import sys

from python_environment import environment

PACKAGES = ["jsonschema==4.25.1", "rfc3339-validator==0.1.4"]
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "schemas"
WALKS = 12

VALIDATE = """
import json, sys
import jsonschema
for line in sys.stdin:
    task = json.loads(line)
    kind = jsonschema.validators.validator_for(task["schema"], default=jsonschema.Draft202012Validator)
    validator = kind(task["schema"], format_checker=kind.FORMAT_CHECKER)
    wrong = []
    for text in task["walks"]:
        document = json.loads(text)
        errors = [e.message for e in validator.iter_errors(document) if not (e.validator == "format" and task["loose"])]
        if errors:
            wrong.append([text, errors[0]])
    print(json.dumps(wrong))
"""


def run(program, lines):
    result = subprocess.run(program, input="\n".join(json.dumps(line) for line in lines) + "\n", capture_output=True, text=True, timeout=500)
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads(line) for line in result.stdout.splitlines()]


def main():
    build = pathlib.Path(sys.argv[1])
    python = environment("schemas", PACKAGES) / "bin" / "python"
    cases = {f"{file.stem}: {name}": case for file in sorted(GOLDEN.glob("*.json")) for name, case in json.loads(file.read_text(encoding="utf-8")).items()}
    answers = run([build / "tests" / "hone_schema_walk"], [{"schema": c["schema"], "walks": c.get("walks", WALKS), "instances": c["instances"] + c.get("others", [])} for c in cases.values()])
    wrong, found = [], {}
    for (name, case), answer in zip(cases.items(), answers, strict=True):
        if "refused" in case:
            if case["refused"] not in answer.get("error", ""):
                wrong.append(f"{name}: expected it to be refused with {case['refused']}: {answer}")
            continue
        if "error" in answer:
            wrong.append(f"{name}: {answer['error']}")
            continue
        found[name] = answer["walks"]
        good = len(case["instances"])
        wrong += [f"{name}: cannot be written: {text}" for text, taken in zip(case["instances"], answer["accepted"][:good]) if not taken]
        wrong += [f"{name}: is let through: {text}" for text, taken in zip(case.get("others", []), answer["accepted"][good:]) if taken]
    tasks = [{"schema": cases[name]["schema"], "walks": walks, "loose": cases[name].get("loose", False)} for name, walks in found.items()]
    for name, invalid in zip(found, run([python, "-c", VALIDATE], tasks), strict=True):
        wrong += [f"{name}: {text}: {reason}" for text, reason in invalid]
    assert not wrong, "\n".join(wrong)
    print(f"{len(cases)} schemas, {sum(map(len, found.values()))} documents written at random")


main()
