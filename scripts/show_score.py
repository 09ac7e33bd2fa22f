#!/usr/bin/env python3
"""Prints what `hone eval --json` wrote, and how far it is from an earlier evaluation: show_score.py AFTER [BEFORE]."""
import json
import sys

after = json.load(open(sys.argv[1], encoding="utf-8"))
before = json.load(open(sys.argv[2], encoding="utf-8")) if len(sys.argv) > 2 else None


def line(name, key, percent=True, part=None):
    def value(result):
        x = result.get(key, 0)
        return x.get(part, 0) if part else x

    def text(x):
        return f"{100 * x:.1f} %" if percent else f"{x:.3f}"

    change = f"   (was {text(value(before))})" if before else ""
    print(f"  {name:<34}{text(value(after)):>9}{change}")


line("exact match", "exact_match")
line("valid JSON with the right keys", "valid_json")
for field in sorted(after.get("field_macro_f1", {})):
    line(f"{field}: macro F1", "field_macro_f1", percent=False, part=field)
line("loss per answer token", "loss", percent=False)
if before:
    print(f"  exact match rose by {100 * (after['exact_match'] - before['exact_match']):.1f} points")
