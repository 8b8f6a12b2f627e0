"""Writes what fvcore counts for timm's and torchvision's models, for the C++ tests to compare with.

    export_complexity.py OUT.safetensors

MODEL/SIZE: int64 (multiply-adds of convolutions and linear layers, elements of their outputs,
parameters), one image, evaluation.
"""

import logging
import sys

import timm
import torch
import torchvision
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from reference_resnet9 import ReferenceResNet9
from safetensors.torch import save_file

logging.disable(logging.WARNING)
MODELS = {
    "xception": lambda: timm.create_model("legacy_xception", num_classes=10),
    "inception_v3": lambda: torchvision.models.inception_v3(num_classes=10, init_weights=False, aux_logits=True),
}
TORCHVISION = ["resnet18", "resnet50", "vgg16_bn", "alexnet"]
for name in TORCHVISION:
    MODELS[name] = lambda name=name: getattr(torchvision.models, name)(num_classes=10)
MODELS["googlenet"] = lambda: torchvision.models.googlenet(num_classes=10, init_weights=False, aux_logits=True)
MODELS["resnet9"] = ReferenceResNet9
SIZES = {"xception": (96, 299), "inception_v3": (96, 299), "resnet9": (32,)}
out = {}
for name, build in MODELS.items():
    model = build().eval()
    for size in SIZES.get(name, (97,)):
        image = torch.zeros(1, 3, size, size)
        flops = FlopCountAnalysis(model, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        activations = ActivationCountAnalysis(model, image).unsupported_ops_warnings(False)
        activations.uncalled_modules_warnings(False)
        counted = flops.by_operator()
        out[f"{name}/{size}"] = torch.tensor([
            counted["conv"] + counted["linear"],
            sum(activations.by_operator()[kind] for kind in ("conv", "linear")),
            sum(p.numel() for p in model.parameters()),
        ])
save_file(out, sys.argv[1])
