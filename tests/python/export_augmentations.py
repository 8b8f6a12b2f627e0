"""Writes what torchvision v2 makes of images with the parameters that it drew, for the C++ tests to
compare with.

    export_augmentations.py OUT.safetensors

shift_MODE/images, shifts, result: RandomCrop's windows out of a border of each padding mode.
erase/images, result float32, normalized; boxes (N, 4: top, left, height, width), height 0 where
nothing was erased. erase/statistics: mean and standard deviation of 20,000 boxes of a 32 x 32 image.
op_NAME/images, values, result: an operation of RandAugment and TrivialAugmentWide with magnitudes of
both; values as our code has them. levels_rand/NAME, levels_trivial/NAME: every value that may be
drawn for an image of 48 x 64. jitter/images, order, factors, result: ColorJitter. jitter_resize:
the same before Resize. mixup, cutmix: images, labels, share, boxes, mixed and targets of batches.
"""

import sys

import torch
from export_transforms import smooth_noise
from safetensors.torch import save_file
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as T

SHIFTS = torch.tensor([[-4, 4], [0, 0], [3, -2], [1, 1], [-1, 0], [4, 4]])

# Our names, and what an operation's magnitude is to us.
OPERATIONS = {
    "Identity": ("identity", lambda m: 0.0),
    "Brightness": ("brightness", lambda m: 1.0 + m),
    "Contrast": ("contrast", lambda m: 1.0 + m),
    "Color": ("saturation", lambda m: 1.0 + m),
    "Sharpness": ("sharpness", lambda m: 1.0 + m),
    "Posterize": ("posterize", lambda m: float(int(m))),
    "Solarize": ("solarize", lambda m: 255.0 * m),
    "AutoContrast": ("auto_contrast", lambda m: 0.0),
    "Equalize": ("equalize", lambda m: 0.0),
    "ShearX": ("shear_x", lambda m: m),
    "ShearY": ("shear_y", lambda m: m),
    "TranslateX": ("translate_x", lambda m: float(int(m))),
    "TranslateY": ("translate_y", lambda m: float(int(m))),
    "Rotate": ("rotate", lambda m: m),
}


def normalize(images):
    return T.normalize(T.to_dtype(images, torch.float32, scale=True),
                       [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def magnitudes(space, name, bins, height, width, only=None):
    """Every magnitude of an operation, signed where it may be."""
    function, signed = space[name]
    values = function(bins, height, width)
    if values is None:
        return [0.0]
    values = [float(v) for v in values]
    if only is not None:
        values = [values[only]]
    return values + [-v for v in values] if signed else values


def main():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(2)
    out = {}

    def case(name, **tensors):
        for key, value in tensors.items():
            out[f"{name}/{key}"] = value.clone().contiguous()

    small = smooth_noise(6, 32, 32, generator)
    for mode in ("constant", "edge", "reflect", "symmetric"):
        shifted = torch.stack([
            T.crop(T.pad(i, [4, 4], padding_mode=mode), 4 + int(dy), 4 + int(dx), 32, 32)
            for i, (dy, dx) in zip(small, SHIFTS)])
        case(f"shift_{mode}", images=small, shifts=SHIFTS.float(), result=shifted)

    def boxes_of(n, p):
        erasing = v2.RandomErasing(p=p, value=0.25)
        boxes, values = [], []
        for _ in range(n):
            drawn = erasing.make_params([torch.zeros(3, 32, 32)])
            if torch.rand(1) >= p or drawn["v"] is None:
                boxes.append([0, 0, 0, 0])
                values.append(None)
            else:
                boxes.append([drawn[k] for k in "ijhw"])
                values.append(drawn["v"])
        return boxes, values

    boxes, values = boxes_of(6, 0.7)
    erased = torch.stack([i if v is None else T.erase(i, *b, v)
                          for i, b, v in zip(normalize(small), boxes, values)])
    many = torch.tensor(boxes_of(20000, 1.0)[0]).float()
    case("erase", images=small, boxes=torch.tensor(boxes).float(), result=erased,
         statistics=torch.stack([many.mean(0), many.std(0)]))

    rand, trivial = v2.RandAugment(), v2.TrivialAugmentWide()
    for theirs, (name, value) in OPERATIONS.items():
        drawn = []
        for transform, only in ((rand, (9, 30)), (trivial, (3, 17, 30))):
            for bin_ in only:
                drawn += magnitudes(transform._AUGMENTATION_SPACE, theirs, 31, 32, 40, bin_)
        images = smooth_noise(len(drawn) + 1, 32, 40, generator)
        images[-1] = 77  # of one color: no contrast, nothing to equalize
        drawn.append(drawn[0])
        if name == "auto_contrast":
            images[:-1] = 40 + images[:-1] // 2
        result = torch.stack([
            rand._apply_image_or_video_transform(
                i, theirs, m, interpolation=T.InterpolationMode.NEAREST, fill=rand._fill)
            for i, m in zip(images, drawn)])
        case(f"op_{name}", images=images, result=T.center_crop(result, [32, 32]),
             values=torch.tensor([value(m) for m in drawn]))
        for kind, transform, only in (("rand", rand, 9), ("trivial", trivial, None)):
            all_ = magnitudes(transform._AUGMENTATION_SPACE, theirs, 31, 48, 64, only)
            case(f"levels_{kind}", **{name: torch.tensor([value(m) for m in all_])})

    jitter = v2.ColorJitter(brightness=0.4, contrast=0.5, saturation=0.6, hue=0.2)
    images = smooth_noise(12, 32, 32, generator)
    images[0] = 128
    order, factors, results = [], [], []
    for image in images:
        drawn = jitter.make_params([image])
        order.append(drawn["fn_idx"])
        factors.append([drawn[f"{k}_factor"] for k in ("brightness", "contrast", "saturation", "hue")])
        results.append(jitter.transform(image, drawn))
    result = torch.stack(results)
    case("jitter", images=images, order=torch.stack(order).float(), factors=torch.tensor(factors),
         result=result)
    resized = T.resize(result.float(), [71, 71], antialias=True).round().clamp(0, 255)
    case("jitter_resize", result=resized.to(torch.uint8))

    images = torch.randn(5, 3, 12, 17, generator=generator)
    labels = torch.tensor([2, 0, 1, 2, 1])
    mixup, cutmix = v2.MixUp(num_classes=4), v2.CutMix(num_classes=4)
    shares, mixed, targets = [], [], []
    for share in (0.0, 0.3, 0.7311, 1.0):
        drawn = dict(labels=labels, batch_size=5, lam=share)
        shares.append(share)
        mixed.append(mixup.transform(images, drawn))
        targets.append(mixup.transform(labels, drawn))
    case("mixup", images=images, labels=labels, shares=torch.tensor(shares),
         mixed=torch.stack(mixed), targets=torch.stack(targets))
    shares, centers, boxes, mixed, targets = [], [], [], [], []

    class Beta:  # tells what was drawn
        def sample(self, _):
            shares.append(torch.rand(1))
            return shares[-1]

    cutmix._dist = Beta()
    randint = torch.randint

    def tell(*arguments, **options):
        centers.append(randint(*arguments, **options))
        return centers[-1]

    torch.randint = tell
    for _ in range(12):
        drawn = dict(labels=labels, batch_size=5, **cutmix.make_params([images]))
        boxes.append(list(drawn["box"]))
        mixed.append(cutmix.transform(images, drawn))
        targets.append(cutmix.transform(labels, drawn))
    torch.randint = randint
    case("cutmix", images=images, labels=labels, shares=torch.cat(shares),
         centers=torch.cat(centers).view(12, 2), boxes=torch.tensor(boxes),
         mixed=torch.stack(mixed), targets=torch.stack(targets))
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    main()
