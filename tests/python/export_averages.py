"""Writes what torch.optim.swa_utils and timm's ModelEmaV3 make of a row of weights, for the C++
tests to compare with.

    export_averages.py OUT.safetensors

weights/STEP/NAME: the network's parameters and running statistics after each step, 0 the initial
ones; ema/STEP/NAME, timm/STEP/NAME, swa/STEP/NAME: the averages after the step, float32.
"""

import sys

import timm.utils
import torch
from safetensors.torch import save_file
from torch.optim import swa_utils

STEPS = 12
DECAY = 0.8


def network():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def put(out, name, module):
    out |= {f"{name}/{n}": t.clone() for n, t in module.state_dict().items() if t.is_floating_point()}


def main():
    torch.manual_seed(0)
    net = network()
    ema = swa_utils.AveragedModel(
        net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(DECAY), use_buffers=True
    )
    ema.update_parameters(net)  # the first is a copy
    swa = swa_utils.AveragedModel(net, use_buffers=True)
    timms = timm.utils.ModelEmaV3(net, decay=DECAY)
    out = {}
    put(out, "weights/0", net)
    for step in range(1, STEPS + 1):
        with torch.no_grad():
            for tensor in net.state_dict().values():
                if tensor.is_floating_point():
                    tensor.add_(torch.randn_like(tensor))
        ema.update_parameters(net)
        swa.update_parameters(net)
        timms.update(net)
        put(out, f"weights/{step}", net)
        put(out, f"ema/{step}", ema.module)
        put(out, f"timm/{step}", timms.module)
        put(out, f"swa/{step}", swa.module)
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    main()
