"""Writes small HDF5 files as Keras lays them out, of which something is wrong.

    make_keras_files.py OUT.safetensors FOLDER
"""

import pathlib
import sys

import h5py
import numpy as np
import torch
from safetensors.torch import save_file


def layer(file, name="conv2d", **options):
    file.attrs["layer_names"] = [name]
    group = file.create_group(name)
    group.attrs["weight_names"] = ["kernel:0"]
    if options:
        group.create_dataset("kernel:0", **options)
    return group


def main():
    out, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    ones = np.ones((3, 3, 2, 4), "f4")

    def write(name, fill):
        with h5py.File(folder / name, "w") as file:
            fill(file)

    write("good", lambda file: layer(file, data=ones))
    write("long_list", lambda file: [
        layer(file, data=ones), file.attrs.create("layer_names0", file.attrs.pop("layer_names"))])
    write("half", lambda file: layer(file, data=ones.astype("f2")))
    write("counter", lambda file: layer(file, data=np.int64(5)))

    (folder / "secret").write_bytes(b"1234" * 72)
    write("external_storage", lambda file: layer(
        file, shape=ones.shape, dtype="f4", external=[(str(folder / "secret"), 0, 288)]))
    write("other", lambda file: file.create_dataset("kernel:0", data=ones))

    def linked(link):
        def fill(file):
            layer(file)["kernel:0"] = link
        return fill

    write("external_link", linked(h5py.ExternalLink(str(folder / "other"), "/kernel:0")))
    write("soft_link", linked(h5py.SoftLink("/elsewhere")))

    def virtual(file):
        layout = h5py.VirtualLayout(ones.shape, "f4")
        layout[...] = h5py.VirtualSource(str(folder / "other"), "kernel:0", ones.shape)
        layer(file).create_virtual_dataset("kernel:0", layout)

    write("virtual", virtual)
    write("lzf", lambda file: layer(file, data=ones, compression="lzf"))
    write("huge", lambda file: layer(file, shape=(1 << 20, 1 << 20), dtype="f4", chunks=(1024, 1024)))
    write("bomb", lambda file: layer(file, data=np.zeros((4096, 1024), "f4"), compression="gzip",
                                     compression_opts=9, chunks=(4096, 1024)))
    write("missing_layer", lambda file: file.attrs.__setitem__("layer_names", ["conv2d"]))
    write("missing_weight", lambda file: layer(file))
    write("empty", lambda file: None)
    write("twice", lambda file: (layer(file, data=ones),
                                 file.attrs.__setitem__("layer_names", ["conv2d", "conv2d"])))
    write("odd_name", lambda file: layer(file, name="a\nb", data=ones))
    save_file({"none": torch.zeros(0)}, out)


if __name__ == "__main__":
    main()
