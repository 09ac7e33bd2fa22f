#!/usr/bin/env python3
"""Labels by scikit-learn, entities by seqeval (strict IOB2), correlations by SciPy, agreement by krippendorff, scikit-learn and
statsmodels, significance by sacreBLEU: writes numbers.json beside this file.

Made with scikit-learn 1.9.1, seqeval 1.2.2, SciPy 1.17.1, krippendorff 0.9.0, statsmodels 0.15.0 and sacrebleu 2.6.0.
"""
import json
import math
import pathlib
import random
import warnings

import krippendorff
import numpy as np
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest
from scipy import stats
from seqeval.metrics import v1
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, cohen_kappa_score, precision_recall_fscore_support
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from texts import drawn

warnings.simplefilter("ignore")
rng = random.Random(3)


def number(x):
    return None if x is None or math.isnan(x) else float(x)


def averages(score):
    return {average: [float(x) for x in score(average)[:3]] for average in ("micro", "macro", "weighted")}


def labels():
    cases = []
    for classes, rows, accuracy in ((["R1", "Y2", "G3"], 60, 0.7), (["正常", "异常", "", "其他"], 40, 0.5), (["a"], 5, 1.0), (list("abcdefgh"), 12, 0.1)):
        expected = [rng.choice(classes) for _ in range(rows)]
        predicted = [e if rng.random() < accuracy else rng.choice(classes + ["unknown"] * (len(classes) > 1)) for e in expected]
        names = sorted(set(expected) | set(predicted))
        by_class = precision_recall_fscore_support(expected, predicted, labels=names, zero_division=0)
        cases.append({"predicted": predicted, "expected": expected, "accuracy": accuracy_score(expected, predicted),
                      **averages(lambda average: precision_recall_fscore_support(expected, predicted, average=average, zero_division=0)),
                      "classes": {name: [float(by_class[k][i]) for k in range(4)] for i, name in enumerate(names)}})
    return cases


def entities():
    def tags(length):
        return [rng.choice(["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-药物", "I-药物", "B", "I", "B-A-B", "I-A-B"]) for _ in range(length)]

    cases = []
    for rows, noise in ((1, 0.0), (30, 0.1), (30, 0.5), (4, 1.0)):
        expected = [tags(rng.randint(0, 15)) for _ in range(rows)]
        predicted = [[rng.choice(tags(1)) if rng.random() < noise else t for t in row] for row in expected]
        score = lambda average: v1.precision_recall_fscore_support(expected, predicted, average=average, scheme=IOB2, zero_division=0)
        names = sorted(v1.unique_labels(expected, predicted, IOB2))
        by_type = score(None)
        cases.append({"predicted": predicted, "expected": expected, **averages(score),
                      "classes": {name: [float(by_type[k][i]) for k in range(4)] for i, name in enumerate(names)}})
    return cases


def correlations():
    cases = []
    for n, spread in ((2, 0.1), (9, 0.5), (50, 1.0), (200, 3.0)):
        x = [round(rng.gauss(0, 1), 1 if n > 20 else 6) for _ in range(n)]
        y = [round(v + rng.gauss(0, spread), 1 if n > 20 else 6) for v in x]
        cases.append((x, y))
    cases += [([1, 2, 3, 4], [4, 3, 2, 1]), ([1, 1, 1], [1, 2, 3]), ([1, 1, 2, 2, 3], [5, 5, 5, 4, 4]), ([1e9 + 1, 1e9 + 2, 1e9 + 3], [3, 1, 2])]
    return [{"x": x, "y": y, "pearson": number(stats.pearsonr(x, y)[0]), "spearman": number(stats.spearmanr(x, y)[0]), "kendall": number(stats.kendalltau(x, y, variant="b")[0])} for x, y in cases]


def agreement():
    cases = []
    for units, raters, spread, missing in ((12, 2, 1, 0.0), (20, 3, 1, 0.2), (30, 5, 2, 0.4), (8, 3, 0, 0.0), (15, 4, 4, 0.1)):
        table = []
        for _ in range(units):
            truth = rng.randint(1, 5)
            table.append([None if rng.random() < missing else min(5, max(1, truth + rng.randint(-spread, spread))) for _ in range(raters)])
        data = np.array([[np.nan if v is None else v for v in row] for row in table], dtype=float)
        complete = data[~np.isnan(data).any(axis=1)]
        pairs = data[~np.isnan(data[:, :2]).any(axis=1)][:, :2].astype(int)
        cohen = {name: number(cohen_kappa_score(pairs[:, 0], pairs[:, 1], labels=[1, 2, 3, 4, 5], weights=weights)) for name, weights in (("none", None), ("linear", "linear"), ("quadratic", "quadratic"))}
        cases.append({"table": table, "cohen": cohen, "fleiss": number(fleiss_kappa(aggregate_raters(complete.astype(int))[0])) if len(complete) else None,
                      **{level: number(krippendorff.alpha(reliability_data=data.T, level_of_measurement=level)) for level in ("nominal", "ordinal", "interval")}})
    return cases


def significance():
    cases = []
    for seed in (1, 2, 3):
        rows = drawn(60, seed, 20)
        other = random.Random(seed)
        first = [p for p, _ in rows]
        second = [p if other.random() < 0.4 else r[0] if other.random() < 0.3 * seed else " ".join(p.split()[::-1]) for p, r in rows]
        references = [[r[0] for _, r in rows]]
        out = {}
        for kind in ("ar", "bs"):
            _, scores = PairedTest([("first", first), ("second", second)], {"BLEU": BLEU()}, references, test_type=kind, n_samples=4000, n_ar_confidence=4000)()
            baseline, system = scores["BLEU"]
            out[kind] = system.p_value
            out["mean"], out["half_width"] = system.mean, system.ci
        cases.append({"first": first, "second": second, "references": references[0], "ar_p": out["ar"], "mean": out["mean"], "half_width": out["half_width"]})
    return cases


def main():
    out = {name: make() for name, make in (("labels", labels), ("entities", entities), ("correlations", correlations), ("agreement", agreement), ("significance", significance))}
    out["sign_test"] = [[a, b, stats.binomtest(a, a + b).pvalue] for a, b in ((0, 1), (3, 9), (10, 10), (2, 30), (55, 70))]
    text = ",\n".join(f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases) + "\n]" for name, cases in out.items())
    (pathlib.Path(__file__).parent / "numbers.json").write_text("{" + text + "}\n", encoding="utf-8")


main()
