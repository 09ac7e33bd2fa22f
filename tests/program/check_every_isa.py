#!/usr/bin/env python3
"""Operations, models and the engine give what their tests expect on every instruction set of this machine, with one, two and five threads.

usage: check_every_isa.py BUILD
"""
import os
import pathlib
import re
import subprocess
import sys

LEVELS = ["scalar", "avx2", "avx512", "avx512bf16", "neon"]
THREADS = [5, 1, 2]


def main():
    tests = pathlib.Path(sys.argv[1]).resolve() / "tests"
    available = [level for level in LEVELS if run(tests / "hone_ops_tests", level, 1, "--gtest_filter=Head.LossAloneIsTheSame")[0]]
    if len(available) < 2:
        sys.exit(f"expected scalar and at least one more instruction set, found {available}")
    for i, level in enumerate(available):
        for k, program in enumerate(("ops", "models", "infer")):
            threads = THREADS[(i + k) % len(THREADS)]
            good, out = run(tests / f"hone_{program}_tests", level, threads, "--gtest_brief=1")
            if not good or not re.search(r"\[  PASSED  \] [1-9]", out):
                sys.exit(f"FAILED: {program} with HONE_FORCE_ISA={level} HONE_THREADS={threads}\n{out[-3000:]}")
            print(f"{program}: {level}, {threads} threads")
    print("ok")


def run(program, level, threads, *words):
    result = subprocess.run([program, *words], env=os.environ | {"HONE_FORCE_ISA": level, "HONE_THREADS": str(threads)}, capture_output=True, text=True, timeout=500)
    return result.returncode == 0, result.stdout + result.stderr


if __name__ == "__main__":
    main()
