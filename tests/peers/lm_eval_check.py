#!/usr/bin/env python3
"""EleutherAI's lm-evaluation-harness scores `hone serve` as it scores transformers: log-likelihoods of every choice and of whole texts, accuracy and perplexity.

    lm_eval_check.py HONE MODEL.gguf [OUT]      with a Python that has lm-eval[api], torch, transformers; OUT keeps the files; transformers' are used again

Two local tasks, one of choices (multiple_choice) and one of texts in windows (loglikelihood_rolling), are run through /v1/completions with token ids and by transformers on the
weights and the tokenizer that `hone export` writes; the choices also with texts, which a window might cut within a character. No network. A result file is then read by `hone eval --lm-eval`.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BOUND = 0.005  # per word; both compute in f32, each in an order of its own
ROWS = [("What animal says meow?", " cat", " dog", " cow", " horse"), ("What is the capital of France?", " Paris", " Berlin", " London", " Rome"),
        ("How many legs has a spider?", " eight", " six", " four", " ten"), ("What color is the sky on a clear day?", " blue", " green", " red", " black"),
        ("Which planet is closest to the sun?", " Mercury", " Venus", " Mars", " Jupiter"), ("What do bees make?", " honey", " milk", " silk", " bread"),
        ("What is frozen water called?", " ice", " steam", " sand", " glass"), ("Who wrote Hamlet?", " William Shakespeare", " Charles Dickens", " Leo Tolstoy", " Goethe"),
        ("What is 2 + 2?", " 4", " 5", " 22", " 3"), ("Which language is spoken in Brazil?", " Portuguese.", " Spanish.", " English.", " Deutsch – natürlich."),
        ("法国的首都是哪里?", " 巴黎", " 柏林", " 伦敦", " 罗马"), ("What ends this answer?", " This<|im_end|>", " That<|im_end|>", " An end.", " Nothing at all, it goes on.")]
TEXTS = ["The river had been rising for three days when the letter came. Nobody in the village could read it but the doctor, who was away, and so it lay on the table beside the bread "
         "until the evening of the fourth day. Then the bridge went, and with it the road to the town, the mill, and eleven sheep that belonged to the widow Harper. \"Well,\" she said, "
         "\"at least the letter is dry.\" It was from her son, and he was coming home.",
         "def mean(values):\n    \"\"\"Of an empty list: 0.\"\"\"\n    return sum(values) / len(values) if values else 0\n\nfor name, row in sorted(table.items()):\n    print(f\"{name:>12} {mean(row):8.3f}\")\n",
         "长江是中国最长的河流,发源于青藏高原,流经十一个省、自治区和直辖市,最后注入东海。Die Donau ist kürzer; sie fließt durch zehn Länder – mehr als jeder andere Fluß."]
FIGURES = {"animals": ("acc", "acc_norm"), "stories": ("word_perplexity", "bits_per_byte")}
WINDOW = 64  # tokens: the first two texts have several


def call(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def write_tasks(folder):
    """The right choice stands at another place in each row."""
    rows = []
    for number, (question, right, *wrong) in enumerate(ROWS):
        answer = number % 4
        rows.append({"question": question, "choices": wrong[:answer] + [right] + wrong[answer:], "answer": answer})
    for name, content in (("rows", rows), ("texts", [{"text": text} for text in TEXTS])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content), encoding="utf-8")
    task = {"dataset_path": "json", "test_split": "test", "metadata": {"version": 1}}
    animals = {"output_type": "multiple_choice", "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_target": "{{answer}}", "doc_to_choice": "{{choices}}", "target_delimiter": ""}
    stories = {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}"}
    for name, data, own, metrics in (("animals", "rows", animals, ("acc", "acc_norm")), ("stories", "texts", stories, ("word_perplexity", "bits_per_byte"))):
        content = {"task": name, "dataset_kwargs": {"data_files": {"test": str(folder / f"{data}.jsonl")}}, "metric_list": [{"metric": m} for m in metrics]} | task | own
        (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML


def harness(work, name, kind, tasks, options, environment):
    """Log-likelihoods by (task, row, choice) with what they are of, figures by name, and the result file."""
    out = work / name
    if kind != "hf" or not list(out.rglob("samples_*.jsonl")):
        call(sys.executable, "-m", "lm_eval", "--model", kind, "--model_args", ",".join(f"{k}={v}" for k, v in options.items()), "--include_path", work / "tasks", "--tasks", ",".join(tasks),
             "--output_path", out, "--log_samples", "--batch_size", 3, *(["--device", "cpu"] if kind == "hf" else []), env=environment, cwd=work)
    results = max(out.rglob("results_*.json"))
    scores = {}
    for task in tasks:
        for line in max(out.rglob(f"samples_{task}_*.jsonl")).read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            for choice, response in enumerate(sample["filtered_resps"]):
                if task == "animals":
                    scores[task, sample["doc_id"], choice] = float(response[0]), str(response[1]) == "True", sample["doc"]["choices"][choice]
                else:
                    scores[task, sample["doc_id"], choice] = float(response[0] if isinstance(response, list) else response), None, sample["doc"]["text"]
    told = json.loads(results.read_text(encoding="utf-8"))["results"]
    return scores, {name: told[task][f"{name},none"] for task in tasks for name in FIGURES[task]}, results


def main():
    hone, model = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="lm-eval-check-") as temporary:
        work = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else temporary).resolve()
        (work / "tasks").mkdir(parents=True, exist_ok=True)
        write_tasks(work / "tasks")
        environment = dict(os.environ, HONE_HOME=str(work / "home"), HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HOME=str(work / "hf"), OPENAI_API_KEY="none", NO_COLOR="1")
        folder = work / "exported"
        if not (folder / "tokenizer_config.json").exists():
            call(hone, "export", model, "--format", "safetensors", "--type", "f32", "--out", folder, env=environment)
        runs = {"transformers": harness(work, "transformers", "hf", list(FIGURES), {"pretrained": folder, "dtype": "float32", "max_length": WINDOW}, environment)}
        server = subprocess.Popen([hone, "serve", f"small={model}", "--port", "0", "--f32"], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            port = re.search(r":(\d+)$", server.stdout.readline().strip()).group(1)
            for name, tasks, ids in (("token ids", list(FIGURES), True), ("texts", ["animals"], False)):
                # lm-eval keeps two tokens of max_length for itself where it asks a server.
                options = {"model": "small", "base_url": f"http://127.0.0.1:{port}/v1/completions", "tokenizer": folder, "max_length": WINDOW + 2, "num_concurrent": 4, "max_retries": 1, "tokenized_requests": ids}
                runs[name] = harness(work, name.replace(" ", "-"), "local-completions", tasks, options, environment)
        finally:
            server.terminate()
            server.wait(30)
        reference, figures, _ = runs.pop("transformers")
        failures = []
        for name, (scores, found, _) in runs.items():
            worst = {task: 0.0 for task, *_ in scores}
            assert scores.keys() == {key for key in reference if key[0] in worst} and len(scores) == sum({"animals": 4 * len(ROWS), "stories": len(TEXTS)}[task] for task in worst)
            for key, (score, greedy, text) in scores.items():
                difference = abs(score - reference[key][0])
                worst[key[0]] = max(worst[key[0]], difference)
                if not difference / max(1, len(text.split())) <= BOUND or greedy != reference[key][1]:
                    failures.append(f"{name}, {text!r}: {score} {greedy}, transformers {reference[key][:2]}")
            print(f"{name}: furthest from transformers' log-likelihoods, by task: {worst}; {found}, transformers {figures}")
            for figure, value in found.items():
                if not abs(value - figures[figure]) <= (0 if figure.startswith("acc") else 1e-3 * figures[figure]):
                    failures.append(f"{name}: {figure} {value}, transformers {figures[figure]}")
        imported = json.loads(call(hone, "eval", "--lm-eval", runs["token ids"][2], "--json", "--report", work / "report", env=environment).splitlines()[-1])
        told = {(row["task"], row["metric"]): row["value"] for row in imported["lm_evaluation_harness"][0]["results"]}
        print(f"hone eval --lm-eval: {told}")
        if told.get(("animals", "acc")) != figures["acc"] or told.get(("stories", "bits_per_byte")) != runs["token ids"][1]["bits_per_byte"]:
            failures.append("hone eval does not tell what lm-eval wrote")
        if failures:
            sys.exit("\n".join(failures))


main()
