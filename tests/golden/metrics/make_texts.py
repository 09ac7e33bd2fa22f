#!/usr/bin/env python3
"""BLEU and chrF by sacreBLEU and ROUGE by rouge-score for the texts of texts.py: writes texts.json beside this file.

Made with sacrebleu 2.6.0, rouge-score 0.1.2, regex 2026.11.19 and Python 3.11. For the tokenizer "han" rouge-score is given the rule that
docs/evaluation.md states: each Han character is a token, other letters, marks and digits form words.
"""
import json
import pathlib

import regex
import sacrebleu
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF

from texts import corpora

KINDS = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rouge_l", "rougeLsum": "rouge_lsum"}
HAN = r"[\u3005\u3007\u3021-\u3029\u3038-\u303B\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\U00020000-\U0002FA1F\U00030000-\U000323AF]"


class Han:
    def tokenize(self, text):
        return regex.findall(rf"{HAN}|(?:(?!{HAN})[\p{{L}}\p{{M}}\p{{N}}])+", text.lower())


def unversioned(metric):
    return "|".join(part for part in str(metric.get_signature()).split("|") if not part.startswith("version:"))


def by_sacrebleu(metric, sentences, rows):
    width = max(len(r) for _, r in rows)
    references = [[r[i] if i < len(r) else None for _, r in rows] for i in range(width)]
    whole = metric.corpus_score([p for p, _ in rows], references)
    out = {"score": whole.score, "signature": unversioned(metric), "rows": [sentences.sentence_score(p, r).score for p, r in rows]}
    if isinstance(metric, BLEU):
        out.update(precisions=whole.precisions, brevity_penalty=whole.bp, length=whole.sys_len, reference_length=whole.ref_len)
    return out


def by_rouge(tokenizer, rows):
    scorer = rouge_scorer.RougeScorer(list(KINDS), tokenizer=tokenizer)
    scores = [scorer.score_multi(r, p) for p, r in rows]
    return {ours: [[s[theirs].precision, s[theirs].recall, s[theirs].fmeasure] for s in scores] for theirs, ours in KINDS.items()}


def main():
    out = {"versions": {"sacrebleu": sacrebleu.__version__, "rouge-score": "0.1.2"}, "corpora": {}}
    for name, rows in corpora().items():
        entry = {"rows": [{"prediction": p, "references": r} for p, r in rows], "bleu": {}, "chrf": {}, "rouge": {}}
        for tokenizer in ("none", "13a", "zh", "intl", "char"):
            entry["bleu"][tokenizer] = by_sacrebleu(BLEU(tokenize=tokenizer), BLEU(tokenize=tokenizer, effective_order=True), rows)
        for order in (0, 2):
            entry["chrf"][str(order)] = by_sacrebleu(CHRF(word_order=order), CHRF(word_order=order), rows)
        entry["rouge"] = {"ascii": by_rouge(None, rows), "han": by_rouge(Han(), rows)}
        out["corpora"][name] = entry
    text = json.dumps(out, ensure_ascii=False, indent=None, separators=(",", ":"))
    (pathlib.Path(__file__).parent / "texts.json").write_text(text.replace('],"bleu"', '],\n"bleu"').replace('{"prediction"', '\n{"prediction"') + "\n", encoding="utf-8")


main()
