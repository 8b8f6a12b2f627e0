"""Reads a safetensors file with the reference implementation and writes it anew.

    echo_safetensors.py OUT.safetensors IN.safetensors
"""

import sys

from safetensors.torch import load_file, save_file

save_file(load_file(sys.argv[2]), sys.argv[1])
