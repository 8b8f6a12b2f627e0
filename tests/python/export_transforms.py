"""Writes what torchvision v2 makes of uint8 images, for the C++ tests to compare with.

    export_transforms.py OUT.safetensors

For each case: CASE/images uint8 (N, 3, H, W) and CASE/result uint8 (N, 3, S, S); cases with random
boxes also CASE/boxes float32 (N, 4: top, left, height, width), cases with flips CASE/flips (N).
CASE/result is computed as v2 does on a GPU: float32, rounded after each step; CASE/native, where it
is given, with the fixed-point arithmetic that v2 uses for uint8 tensors on some CPUs.
normalized/result is float32, after to_dtype and normalize. statistics: mean and standard deviation
of the boxes that RandomResizedCrop draws for a 32 x 32 image, float32 (2, 4).
"""

import sys

import torch
from safetensors.torch import save_file
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as T


def smooth_noise(n, height, width, generator):
    """Noise of every frequency, so that a wrong filter shows."""
    coarse = torch.rand(n, 3, max(2, height // 8), max(2, width // 8), generator=generator)
    coarse = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    fine = torch.rand(n, 3, height, width, generator=generator)
    return ((0.6 * coarse + 0.4 * fine) * 255).round().to(torch.uint8)


def boxes_of(n, height, width):
    crop = v2.RandomResizedCrop(8)
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    drawn = [crop.make_params([image]) for _ in range(n)]
    return torch.tensor([[d["top"], d["left"], d["height"], d["width"]] for d in drawn])


def in_float(operation, images):
    """The operation on float32, rounded to uint8 as v2 does."""
    return operation(images.float()).round().clamp(0, 255).to(torch.uint8)


def crops(images, boxes, size):
    return torch.stack([
        T.resized_crop(image, *box.tolist(), [size, size], antialias=True)
        for image, box in zip(images, boxes)])


def main():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    out = {}

    def case(name, images, result, **more):
        out[f"{name}/images"] = images.clone()  # safetensors refuses shared memory
        out[f"{name}/result"] = result.contiguous()
        for key, value in more.items():
            out[f"{name}/{key}"] = value.float()

    def resize(size):
        return lambda images: T.resize(images, size, antialias=True)

    small = smooth_noise(6, 32, 32, generator)
    case("upsample", small, in_float(resize([299, 299]), small), native=resize([299, 299])(small))
    large = smooth_noise(3, 240, 180, generator)
    crop = v2.CenterCrop(96)
    case("downsample", large, crop(in_float(resize([96]), large)), native=crop(resize([96])(large)))
    odd = smooth_noise(2, 53, 97, generator)
    case("odd_crop", odd, T.center_crop(odd, [72, 72]))
    for name, images, size in (("crop", small, 71), ("crop_down", large, 75)):
        boxes = boxes_of(len(images), *images.shape[2:])
        case(name, images, in_float(lambda i: crops(i, boxes, size), images), boxes=boxes,
             native=crops(images, boxes, size))
    boxes = boxes_of(6, 320, 320)
    enlarged = in_float(resize([320, 320]), small)
    case("resize_crop", small, in_float(lambda i: crops(i, boxes, 299), enlarged), boxes=boxes)
    flips = torch.tensor([0, 1, 1, 0, 1, 0])
    flipped = torch.stack([T.horizontal_flip(i) if f else i for i, f in zip(small, flips)])
    case("flip", small, in_float(resize([71, 71]), flipped), flips=flips)
    shifts = torch.tensor([[-4, 4], [0, 0], [3, -2], [1, 1], [-1, 0], [4, 4]])
    shifted = torch.stack([
        T.crop(T.pad(i, [4, 4]), 4 + int(dy), 4 + int(dx), 32, 32) for i, (dy, dx) in zip(small, shifts)])
    case("shift", small, shifted, shifts=shifts)
    resized = in_float(resize([71, 71]), small)
    case("normalized", small, T.normalize(T.to_dtype(resized, torch.float32, scale=True),
                                          [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    many = boxes_of(20000, 32, 32).float()
    out["statistics"] = torch.stack([many.mean(0), many.std(0)])
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    main()
