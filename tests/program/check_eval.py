#!/usr/bin/env python3
"""hone eval as a person uses it: metrics of files equal to the reference packages, ratings and the one score, two models compared, answers that are remembered, reports, imports, bad files."""
import html.parser
import json
import pathlib
import random
import signal
import time

from hone_program import check, main

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "metrics"


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def near(found, expected, what, bound=1e-6):
    check(abs(found - expected) <= bound, f"{what}: {found}, expected {expected}")


def scores_of(program, *words):
    return json.loads(program.run("eval", *words, "--json", "eval.bootstrap_samples=0"))["models"][-1]


def goldens(program):
    corpora = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))["corpora"]
    for name, corpus in corpora.items():
        rows = write_rows(program.folder / f"{name}.jsonl", corpus["rows"])
        predictions = write_rows(program.folder / f"{name}-predictions.jsonl", [row["prediction"] for row in corpus["rows"]])
        references = write_rows(program.folder / f"{name}-references.jsonl", [row["references"] for row in corpus["rows"]])
        for tokenizer, expected in corpus["bleu"].items():
            found = scores_of(program, "--predictions", rows, "--metrics", "bleu", f"eval.bleu_tokenizer={tokenizer}")["scores"]["bleu"]
            near(found["value"], expected["score"], f"{name}: BLEU {tokenizer}")
            check(found["setting"] == expected["signature"], f"{found} {expected['signature']}")
        found = scores_of(program, "--predictions", predictions, "--references", references, "--metrics", "chrf,chrf++,rouge", "eval.rouge_tokenizer=ascii")["scores"]
        near(found["chrf"]["value"], corpus["chrf"]["0"]["score"], f"{name}: chrF")
        near(found["chrf++"]["value"], corpus["chrf"]["2"]["score"], f"{name}: chrF++")
        for kind, values in corpus["rouge"]["ascii"].items():
            near(found[kind]["value"], sum(v[2] for v in values) / len(values), f"{name}: {kind}")
    numbers = json.loads((GOLDEN / "numbers.json").read_text(encoding="utf-8"))
    for i, case in enumerate(numbers["labels"]):
        if "" in case["expected"]:
            continue
        files = [program.folder / f"labels-{i}-{side}.txt" for side in ("predicted", "expected")]
        for file, side in zip(files, ("predicted", "expected")):
            file.write_text("".join(label + "\n" for label in case[side]), encoding="utf-8")
        found = scores_of(program, "--predictions", files[0], "--references", files[1], "--metrics", "labels")
        near(found["scores"]["accuracy"]["value"], case["accuracy"], "accuracy")
        near(found["scores"]["macro_f1"]["value"], case["macro"][2], "macro F1")
        near(found["labels"]["weighted"]["precision"], case["weighted"][0], "weighted precision")
    for i, case in enumerate(numbers["entities"]):
        rows = write_rows(program.folder / f"entities-{i}.jsonl", [{"tags": p, "expected_tags": e} for p, e in zip(case["predicted"], case["expected"])])
        found = scores_of(program, "--predictions", rows)
        near(found["scores"]["entity_f1"]["value"], case["micro"][2], "entity F1")
        near(found["scores"]["entity_macro_f1"]["value"], case["macro"][2], "entity macro F1")


class Outside(html.parser.HTMLParser):
    """What an HTML file would load or run."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "link", "img", "iframe", "object", "b") or any(name.startswith("on") or name in ("src", "href") for name, _ in attributes):
            self.found.append((tag, attributes))
        if tag not in ("meta", "br", "rect", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open[-1:] == [tag]:
            self.open.pop()


def people(program):
    rng = random.Random(4)
    rows, ratings = [], ["item,model,rater,relevance,fluency,professionalism"]
    for i in range(30):
        quality = rng.randint(0, 4)
        words = [f"word{k}" for k in range(8)]
        rows.append((" ".join(words[: 2 * quality]), "nothing <script>alert(1)</script> | at all", " ".join(words)))
        for rater in ("ann", "bob", "cy"):
            grade = lambda mean: min(5, max(1, mean + rng.choice([-1, 0, 0, 0, 1])))
            ratings.append(f"{i + 1},good,{rater},{grade(quality + 1)},{grade(quality + 1)},")
            ratings.append(f"{i + 1},bad,{rater},{grade(1)},{grade(2)},{grade(1)}")
    good, bad, references = (program.folder / f"{name}.txt" for name in ("good", "bad", "references"))
    for column, file in enumerate((good, bad, references)):
        file.write_text("".join(row[column] + "\n" for row in rows), encoding="utf-8")
    file = program.folder / "ratings.csv"
    file.write_text("\n".join(ratings) + "\n", encoding="utf-8")
    folder = program.folder / "report"
    words = ["eval", "--predictions", good, "--against", bad, "--references", references, "--ratings", file, "--report", folder, "--json"]
    first = program.run(*words)
    report = json.loads(first)
    check(json.loads(program.run(*words))["models"] == report["models"], "the same files give the same figures and intervals")
    worse, better = report["models"]
    check(better["name"] == "good" and better["correlation"]["spearman"] > 0.7, f"people and metrics agree: {better['correlation']}")
    check(better["ratings"]["relevance"]["alpha_ordinal"] > 0.5 and better["ratings"]["professionalism"]["mean"] is None, better["ratings"])
    score = better["one_score"]
    near(score["points"], 0.4 * score["automatic"] + 0.6 * score["human"], "40 % automatic, 60 % human")
    near(sum(part["share"] for part in score["parts"]), 1, "the parts make the whole")
    check(score["points"] > worse["one_score"]["points"] + 10, "the better model has more points")
    check(report["comparison"]["rouge_l"]["p"] < 0.01 and report["comparison"]["rouge_l"]["interval"][0] > 0, report["comparison"]["rouge_l"])
    changes = [row["second_points"] - row["first_points"] for row in report["gained"]]
    check(len(changes) == 10 and changes == sorted(changes, reverse=True) and changes[-1] > 0, "the rows that gained most, largest first")
    check(json.loads((folder / "report.json").read_text(encoding="utf-8"))["models"] == report["models"], "report.json holds the same")
    page, text = (folder / "report.html").read_text(encoding="utf-8"), (folder / "report.md").read_text(encoding="utf-8")
    for name in ("ratings.json", "ratings.csv"):
        again = json.loads(program.run(*[folder / name if word == file else program.folder / "again" if word == folder else word for word in words]))
        check(again["models"] == report["models"], f"{name} of the report says what was read")
    outside = Outside()
    outside.feed(page)
    check(not outside.found and not outside.open, f"the page loads nothing and is well formed: {outside.found} {outside.open}")
    check(page.count("<svg") >= 5 and "0.4" in text and "&lt;script" in text, "pictures, weights, no markup from answers")
    other = json.loads(program.run(*words, "eval.automatic_weight=1", "eval.human_weight=1", "eval.score={rouge_l: {weight: 1, worst: 0, best: 0.5}}"))["models"][1]
    near(other["one_score"]["points"], (other["one_score"]["automatic"] + other["one_score"]["human"]) / 2, "weights from settings")
    near(other["one_score"]["automatic"], 100 * min(1, other["scores"]["rouge_l"]["value"] / 0.5), "normalisation from settings")
    for setting, words_of_it in (("eval.score={rouge: 1}", "did you mean"), ("eval.score={perplexity: 1}", "worst"), ("eval.dimensions={relevance: 0}", "no dimension"), ("eval.metrics=blue", "bleu"), ("eval.stride=512", "stride")):
        check(words_of_it in program.run("eval", "--predictions", good, "--references", references, setting, expect=2), setting)
    file.write_text("item,model,rater,relevance\n31,good,ann,3\n", encoding="utf-8")
    check("31" in program.run(*words, expect=2), "a rating of a row that is not there")
    file.write_text("item,model,rater,relevance\n1,godo,ann,3\n", encoding="utf-8")
    check("did you mean" in program.run(*words, expect=2), "a rating of a model that is not there")
    ids = [line.split()[0] for line in program.run("runs", "list").splitlines()[1:3]]
    check("rouge_l" in program.run("runs", "compare", *ids) and "difference" in program.run("runs", "compare", *ids), "evaluations are in the history")


def side_by_side(program):
    predictions, file = write_rows(program.folder / "own.jsonl", [{"id": f"q{i}", "prediction": "a b", "reference": "a c"} for i in range(8)]), program.folder / "preferences.csv"
    file.write_text("item,rater,model_a,model_b,winner\n" + "".join(f"q{i},{rater},old,own,{'b' if i < 6 else 'tie'}\n" for i in range(8) for rater in ("ann", "bob")), encoding="utf-8")
    pair = json.loads(program.run("eval", "--predictions", predictions, "--ratings", file, "--json"))["preferences"][0]
    check((pair["first"], pair["second_wins"], pair["ties"], pair["win_rate"], pair["fleiss_kappa"]) == ("old", 12, 4, 0.875, 1.0), pair)
    near(pair["p"], 2 * 0.5 ** 12, "sign test")


def harness(program):
    file = program.folder / "results_2026.json"
    file.write_text(json.dumps({"results": {"hellaswag": {"alias": "hellaswag", "acc,none": 0.25, "acc_stderr,none": 0.01, "acc_norm,none": 0.5, "acc_norm_stderr,none": "N/A"},
                                            "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.125, "exact_match_stderr,strict-match": 0.02}},
                                "n-shot": {"hellaswag": 0, "gsm8k": 5}, "versions": {"hellaswag": 1.0, "gsm8k": 3.0}, "model_name": "tiny"}), encoding="utf-8")
    results = json.loads(program.run("eval", "--lm-eval", file, "--json"))["lm_evaluation_harness"][0]
    check(results["model"] == "tiny" and len(results["results"]) == 3, results)
    check([r for r in results["results"] if r["task"] == "gsm8k"][0] == {"task": "gsm8k", "metric": "exact_match", "filter": "strict-match", "value": 0.125, "standard_error": 0.02, "shots": 5, "version": "3.0"}, results)
    file.write_text('{"results": []}')
    check("results" in program.run("eval", "--lm-eval", file, expect=2), "a file of something else")


def models(program):
    tuned, held_out = program.folder / "tuned", program.rows("held.jsonl", count=60, seed=2)
    # Equal questions are answered once; here each line of answers is to stand for one row.
    lines = {json.loads(line)["messages"][0]["content"]: line for line in held_out.read_text(encoding="utf-8").splitlines(keepends=True)}
    held_out.write_text("".join(list(lines.values())[:25]), encoding="utf-8")
    config = program.config("compared.yaml", training__output_dir=tuned, training__epochs=6, training__batch_size=4, data__validation=held_out)
    program.run("train", config)
    words = ["eval", config, "--adapter", tuned, "--against", "base", "--json", "--max-tokens", "8"]
    settings = ["eval.metrics=[bleu, rouge, exact_match, labels]"]
    folder = program.folder / "tuned-eval"
    process = program.start(*words, *settings)
    while process.poll() is None and not ((folder / "answers-base.jsonl").exists() and (folder / "answers-base.jsonl").read_bytes().count(b"\n") >= 3):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    if process.returncode != 0:
        check(process.returncode == 130, f"exit {process.returncode}")
    kept = (folder / "answers-base.jsonl").read_bytes()
    there = sum(file.read_bytes().count(b"\n") for file in folder.glob("answers-*.jsonl"))
    (folder / "answers-base.jsonl").write_bytes(kept + b'{"torn":')
    whole = json.loads(program.run(*words, *settings))
    lines = (folder / "answers-base.jsonl").read_bytes()
    check(lines.startswith(kept) and b"torn" not in lines, f"answers that were there are kept: {kept} {lines}")
    answered = [json.loads(line)["question"] for line in lines.splitlines()]
    check(not set(answered[: kept.count(b"\n")]) & set(answered[kept.count(b"\n"):]) and len(whole["report"]["gained"] + whole["report"].get("lost", [])) > 0, "and not made again")
    check(whole["answers_used_again"] == there, f"{whole['answers_used_again']} answers are said to be used again, {there} were there")
    text = [word for word in words if word != "--json"]
    check("50 answers of an earlier run are used again; --fresh asks again" in program.run(*text, *settings), "nothing is said of answers that are used again")
    other = json.loads(program.run(*words, *settings, "training.precision=bf16"))
    check(other["answers_used_again"] == 0, "answers of another precision are used")
    fresh = json.loads(program.run(*words, *settings, "--fresh"))
    check(fresh["answers_used_again"] == 0, "fresh answers are old")
    check(fresh["report"]["models"] == whole["report"]["models"], "an interrupted evaluation finds what a whole one finds")
    report = whole["report"]
    check([m["name"] for m in report["models"]] == ["base", "tuned"] and report["models"][1]["figures"]["loss"] < report["models"][0]["figures"]["loss"], "the loss of both")
    check(sum(c["rows"] for c in report["classes"].values()) == 25, report["classes"])
    check(sum(c["gained"] - c["lost"] for c in report["classes"].values()) == sum(c["second_right"] - c["first_right"] for c in report["classes"].values()), report["classes"])
    check((folder / "report.html").exists() and whole["folder"] == str(folder), "the report is beside the run")
    alone = json.loads(program.run("eval", config, "--adapter", tuned, "--json", "--max-tokens", "8", *settings))
    near(alone["loss"], whole["loss"], "the loss does not depend on the comparison")
    text = program.folder / "text.txt"
    text.write_text("the that this then 数字 " * 60, encoding="utf-8")
    found = [json.loads(program.run("eval", config, "--no-answers", "--text", text, "--json", "eval.window=32", f"eval.stride={stride}"))["text_perplexity"] for stride in (16, 31)]
    check(found[0] > 1 and found[1] > 1 and found[0] != found[1], found)
    chunks = json.loads(program.run("eval", config, "--no-answers", "--text", text, "--json", "eval.window=32", "eval.perplexity=chunks"))["text_perplexity"]
    check(chunks > 1, chunks)
    # Special tokens' text is those tokens for transformers (20 of them), plain text for llama-perplexity: enough for two windows.
    text.write_text("<|im_start|>" * 20, encoding="utf-8")
    words = ("eval", config, "--no-answers", "--text", text, "--json", "eval.window=24", "eval.stride=8")
    check(program.run(*words) != program.run(*words, "eval.perplexity=chunks"), "special words of a text")
    text.write_text("a", encoding="utf-8")
    check("text.txt" in program.run("eval", config, "--no-answers", "--text", text, "eval.perplexity=chunks", expect=2), "a text that is too short is named")


def bad_files(program):
    good = program.folder / "good-rows.txt"
    good.write_text("a\nb\nc\n")
    cases = {"broken.jsonl": ('"a"\n{"prediction": "b"\n"c"\n', "broken.jsonl:2"), "short.txt": ("a\nb\n", "good-rows.txt:3"), "bytes.txt": (b"a\n\xff\xfe\nc\n", "bytes.txt:2"), "empty.txt": ("", "empty"),
             "table.csv": ("a\nb\n", "table.csv"), "number.jsonl": ("[[]]\n", "number.jsonl:1"), "nothing.jsonl": ('{"id": 1}\n', "nothing.jsonl:1")}
    for name, (content, where) in cases.items():
        path = program.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        err = program.run("eval", "--predictions", path, "--references", good, expect=2)
        check(where in err and "hint" in err, f"{name}: {err}")
    check("--predictions" in program.run("eval", expect=2), "nothing to do")
    rng = random.Random(8)
    originals = {"--predictions": ("mutated.jsonl", '{"id":"1","prediction":"你好 a","references":["b","c"]}\n{"tags":["O","B-X"],"expected_tags":["O","O"]}\n"x"\n'),
                 "--ratings": ("mutated.csv", 'item,rater,relevance,fluency\n1,"an""n",5,4\n2,bob,,3\n'), "--lm-eval": ("mutated.json", '{"results":{"a":{"acc,none":0.5,"acc_stderr,none":0.1}},"n-shot":{"a":0},"versions":{"a":1}}')}
    for option, (name, content) in originals.items():
        path = program.folder / name
        for _ in range(40):
            data = bytearray(content.encode())
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(data))
                data[at: at + rng.randint(0, 3)] = bytes(rng.choice(b'{}[]",:\n\x00\xff5ae-') for _ in range(rng.randint(0, 3)))
            path.write_bytes(data)
            words = ["eval", option, path] + (["--predictions", good, "--references", good] if option == "--ratings" else [])
            process = program.start(*words)
            _, err = process.communicate(timeout=60)
            check(process.returncode in (0, 2) and (process.returncode == 0 or name in err), f"{option} {bytes(data)}: exit {process.returncode}: {err}")
    check("none.txt" in program.run("eval", "--predictions", good, "--references", program.folder / "none.txt", expect=2), "a missing file")


def everything(program):
    goldens(program)
    people(program)
    side_by_side(program)
    harness(program)
    bad_files(program)
    models(program)


main(everything)
