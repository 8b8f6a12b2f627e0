#!/usr/bin/env python3
"""Makes CIFAR-10's binary files of a tar archive of single images.

    cifar10_of_images.py ARCHIVE DEST

The archive holds train/CLASS/NAME and test/CLASS/NAME, 32 x 32 px each, in any format that Pillow
reads, with CIFAR-10's class names. As JPEG the set is 18 MB and not 170, so it can be carried along
where there is no connection; accuracies on it are a little lower than on the original's pixels.
Writes DEST/cifar-10-batches-bin, its list of names last. Needs Pillow and NumPy.
"""
import argparse
import io
import multiprocessing
import pathlib
import random
import tarfile

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
BATCH = 10_000  # images a file


def record(item):
    """(part, label byte and the planes of red, green, blue) of an image."""
    import numpy as np
    from PIL import Image

    part, label, content = item
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.uint8)
    if pixels.shape != (32, 32, 3):
        raise ValueError(f"an image of {pixels.shape[1]} x {pixels.shape[0]} px, expected 32 x 32")
    return part, bytes([label]) + pixels.transpose(2, 0, 1).tobytes()


def images_in(archive):
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                part, name = pathlib.PurePosixPath(member.name).parts[-3:-1]
                yield part, CLASSES.index(name), tar.extractfile(member).read()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("dest", type=pathlib.Path)
    args = parser.parse_args()
    parts = {"train": [], "test": []}
    with multiprocessing.Pool() as pool:
        for part, content in pool.imap(record, images_in(args.archive), chunksize=500):
            parts[part].append(content)
    out = args.dest / "cifar-10-batches-bin"
    out.mkdir(parents=True, exist_ok=True)
    for part in parts.values():
        random.Random(10).shuffle(part)  # classes mixed, the same way each time
    train = parts["train"]
    for number, first in enumerate(range(0, len(train), BATCH), 1):
        (out / f"data_batch_{number}.bin").write_bytes(b"".join(train[first : first + BATCH]))
    (out / "test_batch.bin").write_bytes(b"".join(parts["test"]))
    (out / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n")
    print(f"{out}: {len(train)} training and {len(parts['test'])} test images")


if __name__ == "__main__":
    main()
