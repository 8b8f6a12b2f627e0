"""Writes what SciPy and statsmodels' formulas give, for the C++ tests to compare with.

    export_statistics.py OUT.safetensors

ttest/N/differences and ttest/N/p (scipy.stats.ttest_rel); holm/N/p and holm/N/adjusted.
"""

import sys

import numpy as np
import torch
from safetensors.torch import save_file
from scipy import stats


def holm(p):
    """Holm (1979), written from the definition: reject in order while p_(i) <= alpha / (m - i)."""
    adjusted = np.empty_like(p)
    for i in range(len(p)):
        # The smallest alpha at which i is rejected: all before it, and itself, must be.
        order = np.sort(p)
        rank = np.flatnonzero(order == p[i])[-1]
        adjusted[i] = min(1.0, max((len(p) - j) * order[j] for j in range(rank + 1)))
    return adjusted


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
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    main()
