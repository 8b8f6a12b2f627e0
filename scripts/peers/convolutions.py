#!/usr/bin/env python3
"""Two questions about LibTorch's convolutions on this CPU, which decide how xception computes them.

    convolutions.py [--batch-size 32] [--threads N] [--repeats 25]

pointwise: is a 1x1 convolution faster than the product of pixels that stands for it (models/pixel_product.h)?
Shapes of Xception at 71 px; prints the convolution's speed over the product's: forward, the image's gradient,
the weight's gradient.

parts: is a weight's gradient faster in parts of the batch, one a thread, which need no barrier of all threads?
Shapes of Inception V3 at 75 px in bfloat16; prints the time of parts over the time of the whole.
"""
import argparse
import concurrent.futures
import statistics
import time

import waiting_policy  # before torch loads OpenMP  # noqa: F401
import torch

# in channels, out channels, side of the image
POINTWISE = ((64, 128, 33), (128, 128, 33), (128, 256, 17), (256, 256, 17), (256, 728, 9), (728, 728, 5),
             (728, 1024, 5), (1024, 1536, 3), (1536, 2048, 3))
# in channels, out channels, kernel, stride, padding, side of the image
WEIGHTS = ((3, 32, (3, 3), 2, (0, 0), 75), (32, 32, (3, 3), 1, (0, 0), 37), (32, 64, (3, 3), 1, (1, 1), 35),
           (80, 192, (3, 3), 1, (0, 0), 17), (48, 64, (5, 5), 1, (2, 2), 7), (96, 96, (3, 3), 1, (1, 1), 7),
           (288, 384, (3, 3), 2, (0, 0), 7), (160, 160, (1, 7), 1, (0, 3), 3), (192, 192, (7, 1), 1, (3, 0), 3),
           (192, 320, (3, 3), 2, (0, 0), 3), (384, 384, (1, 3), 1, (0, 1), 1), (448, 384, (3, 3), 1, (1, 1), 1))


def seconds(work, repeats):
    """Median time of a call."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def tensors(batch, channels, filters, kernel, stride, padding, side, dtype):
    """An image, a weight and a gradient of their convolution, channels last."""
    image = torch.randn(batch, channels, side, side).to(dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(filters, channels, *kernel).to(dtype).to(memory_format=torch.channels_last)
    result = torch.conv2d(image, weight, None, stride, padding)
    return image, weight, torch.randn_like(result)


def gradient(image, weight, above, stride, padding, of_image):
    return torch.ops.aten.convolution_backward(above, image, weight, None, (stride, stride), padding, (1, 1), False,
                                               (0, 0), 1, (of_image, not of_image, False))


def pointwise(args):
    for dtype in (torch.float32, torch.bfloat16):
        for channels, filters, side in POINTWISE:
            image, weight, above = tensors(args.batch_size, channels, filters, (1, 1), 1, (0, 0), side, dtype)
            pixels, rows = (x.permute(0, 2, 3, 1).flatten(0, 2) for x in (image, above))
            matrix = weight.flatten(1)
            pairs = ((lambda: torch.conv2d(image, weight), lambda: pixels @ matrix.t()),
                     (lambda: gradient(image, weight, above, 1, (0, 0), True), lambda: rows @ matrix),
                     (lambda: gradient(image, weight, above, 1, (0, 0), False), lambda: rows.t() @ pixels))
            ratios = [seconds(product, args.repeats) / seconds(convolution, args.repeats)
                      for convolution, product in pairs]
            print(f"pointwise {str(dtype)[6:]} {channels} to {filters} channels, {side} px: "
                  + ", ".join(f"{ratio:.2f}" for ratio in ratios), flush=True)


def parts(args):
    threads = torch.get_num_threads()
    pool = concurrent.futures.ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    total = [0.0, 0.0]
    for channels, filters, kernel, stride, padding, side in WEIGHTS:
        image, weight, above = tensors(args.batch_size, channels, filters, kernel, stride, padding, side,
                                       torch.bfloat16)
        shares = list(zip(image.tensor_split(threads), above.tensor_split(threads)))

        def in_parts():
            return sum(pool.map(lambda share: gradient(share[0], weight, share[1], stride, padding, False)[1], shares))

        times = (seconds(lambda: gradient(image, weight, above, stride, padding, False), args.repeats),
                 seconds(in_parts, args.repeats))
        total = [sum(pair) for pair in zip(total, times)]
        print(f"parts {channels} to {filters} channels, {kernel[0]}x{kernel[1]}, {side} px: {times[1] / times[0]:.2f}",
              flush=True)
    print(f"parts, all: {total[1] / total[0]:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=0, help="0: LibTorch's choice")
    parser.add_argument("--repeats", type=int, default=25)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    with torch.no_grad():
        pointwise(args)
        parts(args)


if __name__ == "__main__":
    main()
