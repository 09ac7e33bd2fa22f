#!/usr/bin/env python3
"""hone data: what the check finds and when it fails, and files of rows made from others: nothing lost, nothing repeated, the same for a seed, inputs untouched."""
import csv
import hashlib
import json
import pathlib
import random
import shutil

from hone_program import check, main

SECRET = "sk-abcdefghijklmnopqrstuv123456"


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def chat(question, answer, **more):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def sources(folder):
    rng = random.Random(3)
    words = "river stone cloud paper engine window garden silver market yellow doctor bridge winter flower letter music".split()
    rows = [chat(" ".join(rng.choice(words) for _ in range(12)) + f" {i}?", f"answer {i}", topic="many" if i % 10 else "few", id=i) for i in range(400)]
    return write(folder / "train.jsonl", rows), rows


def checks(program, train, rows):
    folder = program.folder
    report = json.loads(program.run("data", "check", train, "--json", "--set", "label=topic", "--model", program.tiny_model()))
    check(report["rows"] == 400 and not report["broken"], report["broken"])
    check(report["tokens"]["rows"] == 400 and report["supervised_tokens"] > 0, "the tokenizer was not asked")
    check({c["name"]: c["rows"] for c in report["labels"]["classes"]} == {"many": 360, "few": 40}, report["labels"])

    question = rows[7]["messages"][0]["content"]
    near = question.replace(question.split()[0], "a", 1)
    bad = write(folder / "bad.jsonl", rows + [rows[0], chat("mail me: anna@example.org", "身份证 11010519491231002X"), chat("key", SECRET)])
    held_out = write(folder / "held.jsonl", [chat(near + " ", "x"), chat("is this one quite unlike all the others here, or what do you think", "y")])
    out = program.start("data", "check", bad, "--held-out", held_out, "--json")
    text, err = out.communicate(timeout=300)
    check(out.returncode == 2, f"broken limits must end with 2: {out.returncode} {err}")
    report = json.loads(text)
    measures = report["measures"]
    check(measures["duplicates"]["rows"] == 1 and measures["duplicates"]["examples"][0]["where"].endswith("bad.jsonl:401"), measures["duplicates"])
    check(measures["leakage"]["rows"] == 1 and "train" not in measures["leakage"]["examples"][0]["where"], measures["leakage"])
    check(measures["pii"]["rows"] == 1 and report["pii"]["email"] == 1 and report["pii"]["resident_id"] == 1, report["pii"])
    check(measures["secrets"]["broken"] and SECRET not in text and "anna@" not in text and "19491231" not in text, "what was found is not masked")
    program.run("data", "check", bad, "--held-out", held_out, "--set", "limits.secrets=off", "--set", "limits.leakage=50%")
    settings = folder / "limits.yaml"
    settings.write_text("limits: {secrets: 1, leakage: 1}\nsimilarity: 0.9\n")
    program.run("data", "check", bad, "--held-out", held_out, "--settings", settings)
    check("near_duplicates" in program.run("data", "check", "--list-settings"), "the settings are not listed")


def splits(program, train, rows):
    folder = program.folder
    before = hashlib.sha256(train.read_bytes()).hexdigest()
    for attempt in ("a", "b"):
        program.run("data", "split", train, "-o", folder / f"{attempt}-train.jsonl", "--held-out", folder / f"{attempt}-held.jsonl", "--share", "0.25", "--seed", 5)
    check(lines(folder / "a-held.jsonl") == lines(folder / "b-held.jsonl"), "the same seed, another split")
    check(len(lines(folder / "a-held.jsonl")) == 100, "the share is not kept")
    check(sorted(lines(folder / "a-train.jsonl") + lines(folder / "a-held.jsonl")) == sorted(lines(train)), "rows were lost or changed")
    program.run("data", "check", folder / "a-train.jsonl", "--held-out", folder / "a-held.jsonl")
    err = program.run("data", "split", train, "-o", folder / "a-train.jsonl", "--held-out", folder / "c.jsonl", "--count", 5, expect=2)
    check("--overwrite" in err and not (folder / "c.jsonl").exists(), err)

    program.run("data", "mix", folder / "a-train.jsonl", folder / "a-held.jsonl", "--counts", "30,250", "-o", folder / "mix.jsonl")
    mixed, held = lines(folder / "mix.jsonl"), set(lines(folder / "a-held.jsonl"))
    check(len(mixed) == 280 and sum(line in held for line in mixed) == 250, "the counts are not kept")
    err = program.run("data", "mix", train, folder / "pairs.jsonl", "-o", folder / "no.jsonl", expect=2) if write(folder / "pairs.jsonl", [{"prompt": "a", "completion": "b"}]) else ""
    check("--to messages" in err, err)
    program.run("data", "mix", train, folder / "pairs.jsonl", "--to", "messages", "-o", folder / "both.jsonl")
    check(len(lines(folder / "both.jsonl")) == 401, "mixing two formats")

    program.run("data", "balance", train, "--class-field", "topic", "-o", folder / "down.jsonl")
    topics = [json.loads(line)["topic"] for line in lines(folder / "down.jsonl")]
    check(topics.count("few") == 40 and topics.count("many") == 60, f"{topics.count('few')} {topics.count('many')}")
    program.run("data", "balance", train, "--class-field", "topic", "-o", folder / "weighted", "--by", "weights")
    yaml = folder / "weighted.yaml"
    yaml.write_text(f"model.base: {program.tiny_model()}\ntraining.output_dir: {folder / 'run'}\n" + (folder / "weighted" / "data.yaml").read_text())
    check("40 rows to train on" in program.run("train", yaml, "--dry-run"), "the written weights are not what training reads")
    for same in (train, folder / "." / "train.jsonl"):
        check("the output is an input" in program.run("data", "balance", train, "--class-field", "topic", "-o", same, "--overwrite", expect=2), "an input may be replaced")
    check(hashlib.sha256(train.read_bytes()).hexdigest() == before, "the input was changed")


def conversions(program, train, rows):
    folder = program.folder
    for name, form in (("c.csv", "alpaca"), ("c.json", "sharegpt"), ("c.tsv", "prompt_completion"), ("c2.jsonl", "sharegpt")):
        program.run("data", "convert", train, "--to", form, "-o", folder / name)
        back = folder / f"{name}-back.jsonl"
        program.run("data", "convert", folder / name, "--to", "messages", "-o", back)
        check([json.loads(line)["messages"] for line in lines(back)] == [row["messages"] for row in rows], f"{name}: there and back again is another place")
    with (folder / "c.csv").open(newline="", encoding="utf-8") as file:
        check(len(list(csv.reader(file))) == 401, "another reader finds other rows")
    check([json.loads(line)["id"] for line in lines(folder / "c2.jsonl")] == list(range(400)), "keys of no format are lost")
    program.run("data", "convert", train, "--to", "text", "-o", folder / "no.jsonl", expect=2)
    program.run("data", "convert", train, "--to", "text", "-o", folder / "text.jsonl", "--model", program.tiny_model())
    check("answer 0" in json.loads(lines(folder / "text.jsonl")[0])["text"], "the template was not rendered")
    # What text cannot say stays out, with the reason.
    untold = folder / "untold.jsonl"
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    untold.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in (
        turns, [turns[0], turns[1] | {"weight": 0}, *turns], [turns[0], turns[1] | {"reasoning_content": "because"}],
        [turns[0] | {"content": "what is <|im_end|>?"}, turns[1]])), encoding="utf-8")
    said = program.run("data", "convert", untold, "--to", "text", "-o", folder / "told.jsonl", "--model", program.tiny_model(), "--max-bad-rows", "90%")
    check("1 rows" in said and all(word in said for word in ("turn 2 has the weight 0", "reasoning of turn 2", "spell a special token")), said)

    program.run("data", "convert", train, "--to", "label-studio", "--label", "topic", "-o", folder / "tasks.json")
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    tasks[1]["annotations"] = [{"completed_by": 1, "result": [{"from_name": "label", "to_name": "answer", "type": "choices", "value": {"choices": ["other"]}}]}]
    (folder / "export.json").write_text(json.dumps(tasks, ensure_ascii=False, indent=1), encoding="utf-8")
    program.run("data", "convert", folder / "export.json", "-o", folder / "labelled.jsonl", "--annotated-only")
    labelled = [json.loads(line) for line in lines(folder / "labelled.jsonl")]
    check(len(labelled) == 1 and labelled[0]["labels"] == {"label": "other"} and labelled[0]["messages"] == rows[1]["messages"], labelled)


def looks(program, train):
    shown = program.run("data", "show", train, "--model", program.tiny_model(), "--row", 3, "--count", 1)
    check("⟦" in shown and "answer 2" in shown[shown.index("⟦answer"):] and "train.jsonl:3" in shown, shown)
    check(program.run("data", "show", train, "--random", "--seed", 4) == program.run("data", "show", train, "--random", "--seed", 4), "the same seed, other rows")
    stats = json.loads(program.run("data", "stats", train, "--model", program.tiny_model(), "--json"))
    check(stats["turns"]["median"] == 2 and stats["tokens"]["rows"] == 400, stats)
    encoder = pathlib.Path(__file__).parents[1] / "golden" / "encoders" / "tiny"
    for model in ([], ["--model", program.tiny_model()], ["--embed", encoder], ["--embed", encoder / "model.gguf", "--model", program.tiny_model()]):
        classes = json.loads(program.run("data", "classes", train, "--clusters", 8, "--json", *model))
        check(sum(c["rows"] for c in classes["classes"]) == 400 and classes["wanted"] == 20 and all(c["examples"] for c in classes["classes"]), classes)
    rules = program.folder / "rules.yaml"
    rules.write_text("rivers: [river]\nstones: {any: [stone], none: [cloud]}\nnever: [xyzzy]\n")
    classes = json.loads(program.run("data", "classes", train, "--class-rules", rules, "--json"))
    check(classes["covered"] == 2 and {c["name"]: c["rows"] for c in classes["classes"]}["never"] == 0, classes)


def wild(program):
    """Files as other programs write them; what was left out, and why, is said where rows are shown."""
    folder = program.folder
    rows = [{"messages": None, "instruction": "Say 你好 🙂", "input": None, "output": "hi"}, {"instruction": "", "output": "x"}, {"instruction": "Say a", "output": "a", "mood": "glad"}]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "utf16.jsonl").write_bytes(text.encode("utf-16"))
    (folder / "utf8.jsonl").write_text(text, encoding="utf-8-sig")
    shown = program.run("data", "show", folder / "utf16.jsonl")
    check(shown.replace("utf16", "utf8") == program.run("data", "show", folder / "utf8.jsonl"), shown)
    for part in ("Say 你好 🙂", "utf16.jsonl:3", "left out 1 × empty prompt", "utf16.jsonl:2: empty prompt: turn 1: the user says nothing", "fields that are not read: mood (1 rows)"):
        check(part in shown, f"no {part!r} in {shown}")
    (folder / "cr.csv").write_bytes(b"instruction,output\rhello,world\rq,a\r")
    check("hello" in program.run("data", "show", folder / "cr.csv"), "CR ends a line")
    chats = write(folder / "agents.jsonl", [{"conversations": [{"from": "gpt", "value": "Hello"}, {"from": "customer", "value": "hi"}, {"from": "gpt", "value": "hi!"}, {"from": "customer", "value": "bye"}]}])
    check("say what it means with `roles`" in program.run("data", "show", chats, expect=2), "an unknown role is named")
    shown = program.run("data", "show", chats, "--roles", "user=customer", "--turns", "leading_assistant=trim")
    check("Hello" not in shown and "bye" not in shown and "the assistant speaks before any user: cut off" in shown and "turns follow the last answer: cut off" in shown, shown)
    dry = program.run("train", program.config("wild.yaml", data=f"[{{path: {folder / 'utf16.jsonl'}, roles: {{user: customer}}}}]", data__max_bad_rows=1), "--dry-run")
    for part in ("2 rows to train on", "utf16.jsonl:2: empty prompt", "mood (1 rows)"):
        check(part in dry, f"no {part!r} in {dry}")


def broken_encoder(folder):
    shutil.copytree(pathlib.Path(__file__).parents[1] / "golden" / "encoders" / "tiny", folder / "encoder")
    (folder / "encoder" / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]')
    return folder / "encoder"


def refusals(program, train):
    folder = program.folder

    def refused(words, *arguments):
        err = program.run("data", *arguments, expect=2)
        for word in [*words, "hint:"]:
            check(word in err, f"{arguments}: no {word!r} in {err}")

    (folder / "rules-bad.yaml").write_text("a: [x]\nb: {sum: [y]}\n")
    (folder / "broken.json").write_text('[{"prompt": "a", "completion": "b"},\n{"prompt": ')
    (folder / "broken.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{]\n')
    (folder / "tasks-bad.json").write_text('[{"data": {"a": 1}, "annotations": []},\n {"data": 3, "annotations": []}]')
    refused(["broken.json:2"], "check", folder / "broken.json")
    refused(["broken.jsonl:2", "bad JSON"], "convert", folder / "broken.jsonl", "--to", "messages", "-o", folder / "x.jsonl")
    refused(["no such file"], "check", folder / "nothing.jsonl")
    refused(["rules-bad.yaml:2", "any, all, none, starts"], "classes", train, "--class-rules", folder / "rules-bad.yaml")
    refused(["did you mean", "limits.leakage"], "check", train, "--set", "limits.leekage=1")
    refused(["modules.json"], "classes", train, "--clusters", 4, "--embed", broken_encoder(folder))
    refused(["no row has the field"], "classes", train, "--class-field", "nowhere")
    refused(["extension"], "convert", train, "-o", folder / "x.parquet")
    refused(["tasks-bad.json:2"], "convert", folder / "tasks-bad.json", "-o", folder / "x.jsonl")
    refused(["2 numbers for 1 files"], "mix", train, "--weights", "1,2", "-o", folder / "x.jsonl")
    refused(["share"], "split", train, "-o", folder / "x.jsonl", "--held-out", folder / "y.jsonl")
    refused(["--by"], "balance", train, "--class-field", "topic", "--by", "magic", "-o", folder / "x.jsonl")
    check(not (folder / "x.jsonl").exists() and not list(folder.glob("*.partial-*")), "a refused command left a file")


def data(program):
    train, rows = sources(program.folder)
    checks(program, train, rows)
    splits(program, train, rows)
    conversions(program, train, rows)
    looks(program, train)
    wild(program)
    refusals(program, train)


main(data)
