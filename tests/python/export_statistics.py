"""Writes what SciPy, statsmodels and scikit-learn give, for the C++ tests to compare with.

    export_statistics.py OUT.safetensors

ttest/N/differences and ttest/N/p (scipy.stats.ttest_rel); holm/N/p and holm/N/adjusted;
wilson/N (successes, trials, confidence, low, high); mcnemar/N (only first, only second, exact p,
chi-square, its p); answers/N/{label, answer, confidence, confusion, scores, macro_f1, balanced_accuracy,
ece}.
"""

import sys

import warnings

import numpy as np
import torch
from safetensors.torch import save_file
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    balanced_accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support)
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def holm(p):
    """Holm (1979), written from the definition: reject in order while p_(i) <= alpha / (m - i)."""
    adjusted = np.empty_like(p)
    for i in range(len(p)):
        # The smallest alpha at which i is rejected: all before it, and itself, must be.
        order = np.sort(p)
        rank = np.flatnonzero(order == p[i])[-1]
        adjusted[i] = min(1.0, max((len(p) - j) * order[j] for j in range(rank + 1)))
    return adjusted


def ece_of(confidence, right, bins=15):
    """Guo et al.'s sum; the bins' means are scikit-learn's."""
    accuracy, mean = calibration_curve(right, confidence, n_bins=bins)
    edges = np.linspace(0, 1, bins + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=bins)
    return np.sum(counts[counts > 0] / len(right) * np.abs(accuracy - mean))


def classifier(out, case, random):
    trials = int(random.integers(1, 20000))
    successes = int(random.integers(0, trials + 1)) if case > 1 else case * trials
    confidence = float(random.choice([0.9, 0.95, 0.99]))
    out[f"wilson/{case}"] = torch.tensor(
        [successes, trials, confidence, *proportion_confint(successes, trials, 1 - confidence, "wilson")],
        dtype=torch.float64)
    a, b = (int(n) for n in random.integers(0, 40 if case % 2 else 2000, 2))
    if a != b:  # equal: the correction has nothing to correct, and statsmodels makes it 1 / n
        table = [[0, a], [b, 0]]
        chi = mcnemar(table, exact=False, correction=True)
        out[f"mcnemar/{case}"] = torch.tensor(
            [a, b, mcnemar(table, exact=True).pvalue, chi.statistic, chi.pvalue], dtype=torch.float64)
    n, classes = int(random.integers(5, 600)), int(random.integers(2, 12))
    label = random.integers(0, classes, n)
    answer = np.where(random.uniform(size=n) < 0.6, label, random.integers(0, classes, n))
    sure = random.uniform(1 / classes, 1, n)
    if case % 3 == 0:
        # Half of them on the edges of the bins, where other answers are in the bins on both sides.
        edges = np.linspace(0, 1, 16)
        on_edge = edges[np.clip(np.round(sure * 15).astype(int), 1, 15)]
        sure = np.where(random.uniform(size=n) < 0.5, on_edge, sure)
    names = np.arange(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = precision_recall_fscore_support(label, answer, labels=names, zero_division=0)
        balanced = balanced_accuracy_score(label, answer)
        macro = f1_score(label, answer, labels=names, average="macro", zero_division=0)
    place = f"answers/{case}/"
    out[place + "label"] = torch.from_numpy(label)
    out[place + "answer"] = torch.from_numpy(answer)
    out[place + "confidence"] = torch.from_numpy(sure)
    out[place + "confusion"] = torch.from_numpy(confusion_matrix(label, answer, labels=names))
    out[place + "scores"] = torch.from_numpy(np.stack([np.asarray(s, dtype=np.float64) for s in scores]))
    out[place + "balanced_accuracy"] = torch.tensor([balanced], dtype=torch.float64)
    out[place + "macro_f1"] = torch.tensor([macro], dtype=torch.float64)
    out[place + "ece"] = torch.tensor([ece_of(sure, label == answer)], dtype=torch.float64)


def main():
    random = np.random.default_rng(0)
    out = {}
    for case in range(40):
        n = int(random.integers(2, 12))
        a, b = random.normal(0.5, 0.05, n), random.normal(0.48, 0.05, n)
        out[f"ttest/{case}/differences"] = torch.from_numpy(a - b)
        out[f"ttest/{case}/p"] = torch.tensor([stats.ttest_rel(a, b).pvalue])
        p = random.uniform(0, 0.2, int(random.integers(1, 10)))
        out[f"holm/{case}/p"] = torch.from_numpy(p)
        out[f"holm/{case}/adjusted"] = torch.from_numpy(holm(p))
        assert np.allclose(out[f"holm/{case}/adjusted"], multipletests(p, method="holm")[1], rtol=0, atol=1e-15)
        classifier(out, case, random)
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    main()
