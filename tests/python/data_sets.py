"""Makes data sets with the libraries that others make them with, or reads ours with these.

    data_sets.py OUT.safetensors make DIR
        DIR/MNIST/raw: IDX files, plain and .gz, as torchvision.datasets.MNIST reads them
        DIR/shards/train, val: tar files of webdataset's TarWriter, PNG images of different sizes
        DIR/photos/train: class folders of JPEG and PNG images of different sizes
    data_sets.py OUT.safetensors read DIR
        DIR/*.tar, read by webdataset in the order of names

OUT: of `make`, mnist/{images, labels, test_images}, shards/{labels, N}, N: image (H, W, 3);
photos/N: torchvision's Resize(16) of an image, (H, W, 3), in the order of files; of
`read`, shards/{labels, N}.
"""

import glob
import gzip
import io
import os
import struct
import sys

import numpy as np
import torch
import webdataset
from PIL import Image
from safetensors.torch import save_file


def idx(values):
    header = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(np.uint8).tobytes()


def make_mnist(folder, random, out):
    raw = os.path.join(folder, "MNIST/raw")
    os.makedirs(raw)
    for name, n in (("train", 60), ("t10k", 20)):
        images, labels = random.integers(0, 256, (n, 28, 28)), np.arange(n) % 10
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            with open(f"{raw}/{name}-{kind}-ubyte", "wb") as file:
                file.write(idx(values))
    from torchvision.datasets import MNIST

    train, test = MNIST(folder, train=True), MNIST(folder, train=False)
    out["mnist/images"], out["mnist/labels"] = train.data, train.targets
    out["mnist/test_images"] = test.data
    # The test files as they are published.
    for kind in ("images-idx3", "labels-idx1"):
        plain = f"{raw}/t10k-{kind}-ubyte"
        with open(plain, "rb") as file, gzip.open(plain + ".gz", "wb") as packed:
            packed.write(file.read())
        os.remove(plain)


def make_shards(folder, random, out):
    labels = []
    for subset, sizes in (("train", (7, 5, 8)), ("val", (4,))):
        os.makedirs(f"{folder}/shards/{subset}")
        for shard, n in enumerate(sizes):
            with webdataset.TarWriter(f"{folder}/shards/{subset}/{shard:06d}.tar") as tar:
                for i in range(n):
                    height, width = random.integers(20, 40, 2)
                    image = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
                    png = io.BytesIO()
                    Image.fromarray(image).save(png, "PNG")
                    label = int(random.integers(0, 3))
                    tar.write({"__key__": f"{shard}-{i}", "png": png.getvalue(), "cls": label})
                    if subset == "train":
                        out[f"shards/{len(labels)}"] = torch.from_numpy(image)
                        labels.append(label)
    out["shards/labels"] = torch.tensor(labels)


def make_photos(folder, random, out):
    from torchvision.transforms import v2

    os.makedirs(f"{folder}/photos/train/a")
    os.makedirs(f"{folder}/photos/train/b")
    names = ("a/1.jpg", "a/2.png", "a/3.png", "b/1.png", "b/2.jpg")
    for i, (name, size) in enumerate(zip(names, ((40, 61), (100, 33), (33, 50), (16, 90), (12, 10)))):
        smooth = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        file = f"{folder}/photos/train/{name}"
        Image.fromarray(smooth).resize(size[::-1], Image.BICUBIC).save(file)
        pixels = torch.from_numpy(np.array(Image.open(file)))
        resized = v2.functional.resize(pixels.permute(2, 0, 1), 16, antialias=True)
        out[f"photos/{i}"] = resized.permute(1, 2, 0)


def read_shards(folder, out):
    urls = ["file:" + file for file in sorted(glob.glob(folder + "/*.tar"))]
    labels = []
    for sample in webdataset.WebDataset(urls, shardshuffle=False):
        image = Image.open(io.BytesIO(sample.get("png") or sample["jpg"])).convert("RGB")
        out[f"shards/{len(labels)}"] = torch.from_numpy(np.array(image))
        labels.append(int(sample["cls"]))
    out["shards/labels"] = torch.tensor(labels)


def main():
    out = {}
    if sys.argv[2] == "make":
        random = np.random.default_rng(0)
        make_mnist(sys.argv[3], random, out)
        make_shards(sys.argv[3], random, out)
        make_photos(sys.argv[3], random, out)
    else:
        read_shards(sys.argv[3], out)
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, sys.argv[1])


main()
