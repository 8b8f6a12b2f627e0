"""Writes the well-made examples of corpus/, from which the fuzzers set out.

    make_corpus.py
"""

import os
import pathlib
import struct

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

CORPUS = pathlib.Path(__file__).parent / "corpus"


def keras_file(name, fill):
    with h5py.File(CORPUS / "keras_file" / name, "w", userblock_size=0) as file:
        fill(file)


def named(group, vlen, **options):
    words = (lambda items: items) if vlen else (lambda items: np.array([i.encode() for i in items]))
    group.attrs["layer_names"] = words(["conv2d", "predictions"])
    for layer, shape in (("conv2d", (1, 1, 2, 3)), ("predictions", (3, 2))):
        inner = group.create_group(layer)
        inner.attrs["weight_names"] = words([f"{layer}/kernel:0"])
        inner.create_dataset(f"{layer}/kernel:0", data=np.ones(shape, "f4"), **options)


def numbered(group):
    variables = group.create_group("layers/batch_normalization_10/vars")
    variables.attrs["name"] = "block1_conv1_bn"
    for i in range(4):
        variables.create_dataset(str(i), data=np.ones(3, "f4"))


def main():
    for folder in ("safetensors", "torch_file", "keras_file"):
        os.makedirs(CORPUS / folder, exist_ok=True)
    save_file({"a.weight": torch.ones(2, 3), "b": torch.zeros(0, 4), "c": torch.ones(3).half()},
              CORPUS / "safetensors" / "three", metadata={"format": "pt"})
    conv = torch.nn.Conv2d(1, 2, 3)
    state = {"module.conv.weight": conv.weight, "module.t": torch.ones(2, 3).t(), "module.n": torch.tensor(5)}
    for protocol in (2, 4):
        for new in (False, True):
            torch.save({"state_dict": state, "epoch": 3, "best": 0.5, "names": ("a", b"b", {1, 2}, None, True)},
                       CORPUS / "torch_file" / f"checkpoint{protocol}{'zip' if new else 'old'}",
                       pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    keras_file("named", lambda file: named(file, vlen=True))
    keras_file("full_gzip", lambda file: named(file.create_group("model_weights"), vlen=False,
                                               compression="gzip", shuffle=True))
    keras_file("numbered", numbered)


if __name__ == "__main__":
    main()
