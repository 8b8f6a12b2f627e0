"""Gives OpenMP's threads the waiting policy that xception gives its own (src/waiting_policy.cpp), so that
comparisons are fair. To be imported before torch, with which OpenMP is loaded and reads its variables."""
import os

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
