#!/usr/bin/env python3
"""EleutherAI's lm-evaluation-harness scores `hone serve` as it scores transformers: log-likelihoods of every choice, and accuracy.

    lm_eval_check.py HONE MODEL.gguf [OUT]      with a Python that has lm-eval[api], torch, transformers, gguf; OUT keeps the files; transformers' are used again

A local multiple_choice task is run three times: through /v1/completions with texts, with token ids, and by transformers on the same weights,
which it dequantises itself. No network. The result file of the first is then read by `hone eval --lm-eval`.
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
CONVERT = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
folder, file, out = sys.argv[1:]
AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)).save_pretrained(out)
AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(out)
"""


def call(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def write_task(folder):
    """The right choice stands at another place in each row."""
    rows = []
    for number, (question, right, *wrong) in enumerate(ROWS):
        answer = number % 4
        rows.append({"question": question, "choices": wrong[:answer] + [right] + wrong[answer:], "answer": answer})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    (folder / "animals.yaml").write_text(f"""task: animals
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder / "rows.jsonl"}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer}}}}"
doc_to_choice: "{{{{choices}}}}"
target_delimiter: ""
metric_list:
  - metric: acc
  - metric: acc_norm
metadata: {{version: 1}}
""", encoding="utf-8")


def harness(work, name, kind, options, environment):
    """Log-likelihoods by (row, choice), accuracy, and the result file."""
    out = work / name
    if kind != "hf" or not list(out.rglob("samples_*.jsonl")):
        call(sys.executable, "-m", "lm_eval", "--model", kind, "--model_args", ",".join(f"{k}={v}" for k, v in options.items()), "--include_path", work / "task", "--tasks", "animals",
             "--output_path", out, "--log_samples", "--batch_size", 3, *(["--device", "cpu"] if kind == "hf" else []), env=environment, cwd=work)
    results = max(out.rglob("results_*.json"))
    scores = {}
    for line in max(out.rglob("samples_*.jsonl")).read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        for choice, response in enumerate(sample["filtered_resps"]):
            scores[sample["doc_id"], choice] = float(response[0]), str(response[1]) == "True", sample["doc"]["choices"][choice]
    figures = json.loads(results.read_text(encoding="utf-8"))["results"]["animals"]
    return scores, {key: figures[key] for key in ("acc,none", "acc_norm,none")}, results


def main():
    hone, model = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="lm-eval-check-") as temporary:
        work = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else temporary).resolve()
        (work / "task").mkdir(parents=True, exist_ok=True)
        write_task(work / "task")
        environment = dict(os.environ, HONE_HOME=str(work / "home"), HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HOME=str(work / "hf"), OPENAI_API_KEY="none", NO_COLOR="1")
        folder = work / "converted"
        if not (folder / "tokenizer_config.json").exists():
            call(sys.executable, "-c", CONVERT, model.parent, model.name, folder)
        runs = {"transformers": harness(work, "transformers", "hf", {"pretrained": folder, "dtype": "float32"}, environment)}
        server = subprocess.Popen([hone, "serve", f"small={model}", "--port", "0", "--f32"], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            port = re.search(r":(\d+)$", server.stdout.readline().strip()).group(1)
            for name, ids in (("texts", False), ("token ids", True)):
                runs[name] = harness(work, name.replace(" ", "-"), "local-completions",
                                     {"model": "small", "base_url": f"http://127.0.0.1:{port}/v1/completions", "tokenizer": folder, "num_concurrent": 4, "max_retries": 1, "tokenized_requests": ids}, environment)
        finally:
            server.terminate()
            server.wait(30)
        reference, figures, _ = runs.pop("transformers")
        failures = []
        for name, (scores, found, _) in runs.items():
            worst = 0.0
            assert scores.keys() == reference.keys() and len(scores) == 4 * len(ROWS)
            for key, (score, greedy, choice) in scores.items():
                difference = abs(score - reference[key][0]) / max(1, len(choice.split()))
                worst = max(worst, difference)
                if not difference <= BOUND or greedy != reference[key][1]:
                    failures.append(f"{name}, {choice!r}: {score} {greedy}, transformers {reference[key][:2]}")
            print(f"{name}: {len(scores)} log-likelihoods, furthest from transformers' {worst:.4f}; {found}, transformers {figures}")
            if found != figures:
                failures.append(f"{name}: {found}, transformers {figures}")
        imported = json.loads(call(hone, "eval", "--lm-eval", runs["texts"][2], "--json", "--report", work / "report", env=environment).splitlines()[-1])
        text = json.dumps(imported)
        print(f"hone eval --lm-eval: {text[:600]}")
        if "animals" not in text or str(figures["acc,none"])[:6] not in text:
            failures.append("hone eval does not tell the accuracy that lm-eval wrote")
        if failures:
            sys.exit("\n".join(failures))


main()
