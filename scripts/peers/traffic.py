#!/usr/bin/env python3
"""Counts the bytes that one training step moves between a GPU's memory and its processor.

    traffic.py [--batch-size 128] [--image-size 299]

Prints gigabytes by class of kernel, for PyTorch's operations one by one ("eager") and for the kernels
that xception has with train.kernels=fused ("fused"). Divided by the GPU's copy rate that is the least
time that a step of those kernels takes: the column "allowed by traffic" in gpu.py's report.

What is counted: every kernel reads each operand once and writes each result once. Images and their
gradients are fp16 (2 bytes), parameters and Adam's moments fp32, convolutions read weights in fp16.
What the caches keep from one kernel to the next isn't taken off; per-channel sums, the image pipeline
and the head's loss are too small to matter and are left out, as is all below a percent in both.

The networks are written down below as the sequence of their layers (Inception V3 with its auxiliary
head). Needs nothing but Python.
"""
import argparse
import collections

HALF = 2  # bytes


class Image:
    """An activation: its bytes, and how often its gradient arrives."""

    def __init__(self, channels, size):
        self.channels, self.size = channels, size
        self.values = channels * size * size
        self.readers = 0
        self.sum_inside = False  # a kernel that writes its gradient adds another one

    @property
    def bytes(self):
        return HALF * self.values


class Step:
    """A training step of one image, layer by layer; `fused` says whose kernels run it."""

    def __init__(self, fused):
        self.fused = fused
        self.moved = collections.Counter()  # {class of kernel: bytes an image}
        self.once = collections.Counter()  # the same, bytes a step, whatever the batch
        self.images = []
        self.parameters = self.weights = 0

    def count(self, kind, *images):
        """A kernel that reads or writes each of these once."""
        self.moved[kind] += sum(image.bytes for image in images)

    def image(self, channels, size):
        self.images.append(Image(channels, size))
        return self.images[-1]

    def read(self, x):
        """x is an operand of one more layer, from which a gradient will come."""
        x.readers += 1
        return x

    # ---- layers: each adds its forward and its backward pass, and returns what it gives --------------

    def convolution(self, x, channels, size, taps=1, groups=1, first=False):
        weights = x.channels // groups * channels * taps
        kind = "depthwise" if groups > 1 else "convolution"
        y = self.image(channels, size)
        self.read(x)
        for _ in range(2 if first else 3):  # forward, weight's gradient, input's gradient
            self.count(kind, x, y)
            self.once[kind] += HALF * weights
        self.parameters += weights
        self.weights += weights
        return y

    def batch_norm(self, x, relu=False, added=None):
        """BatchNorm, then a sum with `added`, then ReLU."""
        self.parameters += 2 * x.channels
        self.read(x)
        y = self.image(x.channels, x.size)
        if self.fused:
            self.count("statistics", x)
            self.count("bn_forward", x, y)
            self.count("bn_reduce", x, y)  # y: its gradient
            self.count("bn_backward", x, y, x)
            if added is not None:
                self.count("bn_forward", self.read(added))  # its gradient is y's
            return y
        self.count("BatchNorm", x, x, y)
        self.count("BatchNorm", x, y, x, y, x)
        if added is not None:
            self.sum(y, added)
        return self.relu(y) if relu else y

    def relu(self, x):
        """Apart from any other kernel."""
        self.count("ReLU", x, x, x, x, x)
        return x

    def sum(self, y, added):
        self.count("sum", y, self.read(added), y)

    def depthwise(self, x, relu=False, normalized=False):
        """Depthwise 3x3 of x, after ReLU, after x's BatchNorm."""
        if not self.fused:
            if normalized:
                x = self.batch_norm(x)
            if relu:
                # A tensor of its own: backward needs it, and a shortcut reads x as it was.
                self.read(x)
                y = self.image(x.channels, x.size)
                self.count("ReLU", x, y, y, y, y)
                x = y
            return self.convolution(x, x.channels, x.size, taps=9, groups=x.channels)
        self.read(x)
        y = self.image(x.channels, x.size)
        self.count("depthwise_forward", x, y)
        self.count("depthwise_backward", x, y, x)
        if normalized:  # its sums are depthwise_backward's
            self.count("statistics", x)
            self.count("bn_backward", x, x, x)
            self.parameters += 2 * x.channels
        self.parameters += 9 * x.channels
        self.weights += 9 * x.channels
        return y

    def max_pool(self, x, size, added=None, normalized=False):
        """Of x, or of what BatchNorm (and ReLU) make of it."""
        if normalized and not self.fused:
            x = self.batch_norm(x, relu=normalized == "relu")
        self.read(x)
        y = self.image(x.channels, size)
        index = 1 if self.fused else 8  # bytes a value
        zeroed = 0 if self.fused else 1
        if normalized and self.fused:
            self.parameters += 2 * x.channels
            self.count("statistics", x)
            self.count("pool_forward", x, y, y)  # x where its maxima are, too
            self.count("bn_reduce", y, y)
            self.count("pool_backward", y, x, x)
        else:
            self.count("pool_forward", x, y)
            self.count("pool_backward", y, *[x] * (1 + zeroed))
        self.moved["pool_forward"] += index * y.values
        self.moved["pool_backward"] += index * y.values
        if added is not None:
            if self.fused:
                self.count("pool_forward", self.read(added))
            else:
                self.sum(y, added)
        return y

    def average(self, x, size):
        self.read(x)
        y = self.image(x.channels, size)
        self.count("average", x, y, x, y)
        return y

    def linear(self, x, classes):
        self.convolution(x, classes, 1)
        self.parameters += classes

    def copy(self, kind, x):
        self.count(kind, x, x)

    def finish(self):
        for image in self.images:
            for number in range(image.readers - 1):
                if image.sum_inside and number == 0:
                    self.count("depthwise_backward", image)
                else:
                    self.count("gradient sums", image, image, image)
        if self.fused:
            # Parameter, two moments, gradient; parameter, moments and an fp16 copy written.
            self.once["optimizer"] += self.parameters * (3 * 4 + HALF + 3 * 4 + HALF)
        else:
            self.once["optimizer"] += self.parameters * 32
            self.once["casts"] += self.weights * 2 * (4 + HALF)  # weights to fp16, gradients back
        return self


def halved(size, padding):
    return (size + 2 * padding - 3) // 2 + 1


# ---- Xception ------------------------------------------------------------------------------------


def xception(fused, size):
    net = Step(fused)
    x = net.convolution(Image(3, size), 32, halved(size, 0), taps=9, first=True)
    x = net.batch_norm(x, relu=True)
    x = net.convolution(x, 64, x.size - 2, taps=9)
    x = net.batch_norm(x, relu=True)
    x = xception_block(net, x, [128, 128], halves=True, leading_relu=False)
    x = xception_block(net, x, [256, 256], halves=True)
    x = xception_block(net, x, [728, 728], halves=True)
    for _ in range(8):
        x = xception_block(net, x, [728, 728, 728])
    x = xception_block(net, x, [728, 1024], halves=True)
    x = net.convolution(net.depthwise(x), 1536, x.size)
    x = net.convolution(net.depthwise(x, relu=True, normalized=True), 2048, x.size)
    x = net.batch_norm(x, relu=True)
    net.linear(net.average(x, 1), 10)
    return net.finish()


def xception_block(net, x, channels, halves=False, leading_relu=True):
    shortcut, y = x, x
    x.sum_inside = net.fused
    for place, out in enumerate(channels):
        first = place == 0
        y = net.convolution(net.depthwise(y, relu=leading_relu or not first, normalized=not first), out, y.size)
    if not halves:
        return net.batch_norm(y, added=shortcut)
    shortcut = net.batch_norm(net.convolution(x, channels[-1], halved(x.size, 1)))
    return net.max_pool(y, halved(y.size, 1), added=shortcut, normalized=True)


# ---- Inception V3 --------------------------------------------------------------------------------


def unit(net, x, channels, taps=1, size=None, first=False):
    """Convolution, BatchNorm, ReLU."""
    y = net.convolution(x, channels, size or x.size, taps=taps, first=first)
    return net.batch_norm(y, relu=True)


def branches(net, x, channels, averaged_last):
    """1x1 units that all read x; the last one the average of each pixel's 3x3 neighbors."""
    if not net.fused:
        last = [net.average(x, x.size)] if averaged_last else []
        own = channels[:-1] if averaged_last else channels
        results = [unit(net, x, count) for count in own]
        return results + [unit(net, y, channels[-1]) for y in last]
    # One product with the rows of all; BatchNorm and the average work on its slices.
    net.convolution(x, sum(channels), x.size)
    results = []
    for place, count in enumerate(channels):
        part = net.image(count, x.size)
        if averaged_last and place + 1 == len(channels):
            net.count("average", part, part, part, part)
        results.append(net.batch_norm(part, relu=True))
    return results


def joined(net, parts, pooled=None):
    """The concatenation. The fused units wrote into it; what was pooled is copied."""
    y = net.image(sum(part.channels for part in parts + ([pooled] if pooled else [])), parts[0].size)
    for part in parts:
        net.read(part)
    if not net.fused:
        net.copy("concatenation", y)
    elif pooled:
        net.copy("concatenation", pooled)
        net.copy("concatenation", pooled)  # its gradient, for the pool's kernel
    return y


def inception_a(net, x, pool_channels):
    one, five, three, pool = branches(net, x, [64, 48, 64, pool_channels], averaged_last=True)
    five = unit(net, five, 64, taps=25)
    three = unit(net, unit(net, three, 96, taps=9), 96, taps=9)
    return joined(net, [one, five, three, pool])


def inception_b(net, x):
    size = halved(x.size, 0)
    three = unit(net, x, 384, taps=9, size=size)
    (double,) = branches(net, x, [64], averaged_last=False)
    double = unit(net, unit(net, double, 96, taps=9), 96, taps=9, size=size)
    return joined(net, [three, double], net.max_pool(x, size))


def inception_c(net, x, channels):
    one, seven, double, pool = branches(net, x, [192, channels, channels, 192], averaged_last=True)
    seven = unit(net, unit(net, seven, channels, taps=7), 192, taps=7)
    for out in (channels, channels, channels, 192):
        double = unit(net, double, out, taps=7)
    return joined(net, [one, seven, double, pool])


def inception_d(net, x):
    size = halved(x.size, 0)
    three, seven = branches(net, x, [192, 192], averaged_last=False)
    three = unit(net, three, 320, taps=9, size=size)
    seven = unit(net, unit(net, seven, 192, taps=7), 192, taps=7)
    seven = unit(net, seven, 192, taps=9, size=size)
    return joined(net, [three, seven], net.max_pool(x, size))


def inception_e(net, x):
    one, three, double, pool = branches(net, x, [320, 384, 448, 192], averaged_last=True)
    double = unit(net, double, 384, taps=9)
    parts = [unit(net, y, 384, taps=3) for y in (three, three, double, double)]
    if not net.fused:  # torchvision concatenates the two of a branch first
        for pair in (parts[:2], parts[2:]):
            net.copy("concatenation", Image(sum(part.channels for part in pair), x.size))
    return joined(net, [one, *parts, pool])


def inception_v3(fused, size):
    net = Step(fused)
    x = unit(net, Image(3, size), 32, taps=9, size=halved(size, 0), first=True)
    x = unit(net, x, 32, taps=9, size=x.size - 2)
    x = net.convolution(x, 64, x.size, taps=9)
    x = net.max_pool(x, halved(x.size, 0), normalized="relu")
    x = unit(net, x, 80)
    x = net.convolution(x, 192, x.size - 2, taps=9)
    x = net.max_pool(x, halved(x.size, 0), normalized="relu")
    for pool_channels in (32, 64, 64):
        x = inception_a(net, x, pool_channels)
    x = inception_b(net, x)
    for channels in (128, 160, 160, 192):
        x = inception_c(net, x, channels)
    if x.size >= 17:  # the auxiliary head has nothing to work on below that
        aux = net.average(x, (x.size - 5) // 3 + 1)
        aux = unit(net, unit(net, aux, 128), 768, taps=25, size=aux.size - 4)
        net.linear(net.average(aux, 1), 10)
    x = inception_d(net, x)
    x = inception_e(net, inception_e(net, x))
    net.linear(net.average(x, 1), 10)
    return net.finish()


# ---- What others ask for ---------------------------------------------------------------------------

NETWORKS = {"xception": xception, "inception_v3": inception_v3}
SCHEMES = ("eager", "fused")


def step_bytes(model, scheme, batch, size):
    """{class of kernel: bytes of a training step}"""
    step = NETWORKS[model](scheme == "fused", size)
    kinds = {*step.moved, *step.once}
    return {kind: batch * step.moved[kind] + step.once[kind] for kind in kinds}


def total_bytes(model, scheme, batch, size):
    return sum(step_bytes(model, scheme, batch, size).values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=299)
    args = parser.parse_args()
    for model in NETWORKS:
        for scheme in SCHEMES:
            parts = step_bytes(model, scheme, args.batch_size, args.image_size)
            print(f"{model}, {scheme}: {sum(parts.values()) / 1e9:.1f} GB")
            for kind, moved in sorted(parts.items(), key=lambda item: -item[1]):
                print(f"  {kind:20} {moved / 1e9:6.2f}")


if __name__ == "__main__":
    main()
