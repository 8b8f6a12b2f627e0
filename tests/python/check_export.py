"""Reads what `xception export` wrote as its users would, and writes the logits, for the C++ tests.

    check_export.py OUT.safetensors FILE MODEL images=N,3,S,S [classes=K]

FILE: .onnx (onnx.checker, onnxruntime), .pt (torch.load(weights_only=True)) or .safetensors; the
latter two fill timm's legacy_xception (MODEL timm), torchvision's inception_v3 (torchvision) or
another model of torchvision's (its name) strictly.
Tensors written: images, logits (of the batch), single (of its first image alone), and with ONNX
`batch_norms`, how many BatchNormalization nodes there are. ONNX's metadata is printed as JSON.
"""

import json
import sys

import torch
from safetensors.torch import load_file, save_file


def network(model, classes):
    if model == "timm":
        import timm

        return timm.create_model("legacy_xception", num_classes=classes)
    import torchvision

    google = {"init_weights": False, "transform_input": False}
    if model == "torchvision":
        return torchvision.models.inception_v3(weights=None, num_classes=classes, **google)
    options = google if model == "googlenet" else {}
    return getattr(torchvision.models, model)(weights=None, num_classes=classes, **options)


def main():
    out, file, model, *rest = sys.argv[1:]
    options = dict(item.split("=") for item in rest)
    torch.manual_seed(1)
    images = torch.randn(*map(int, options["images"].split(",")))
    results = {"images": images}
    if file.endswith(".onnx"):
        import onnx
        import onnxruntime

        onnx.checker.check_model(file, full_check=True)
        graph = onnx.load(file)
        print(json.dumps({item.key: item.value for item in graph.metadata_props}))
        kinds = [node.op_type for node in graph.graph.node]
        results["batch_norms"] = torch.tensor(kinds.count("BatchNormalization"))
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

        def run(batch):
            return torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0])
    else:
        weights = torch.load(file, weights_only=True) if file.endswith(".pt") else load_file(file)
        net = network(model, int(options["classes"]))
        net.load_state_dict(weights, strict=True)
        net.eval()

        def run(batch):
            with torch.no_grad():
                return net(batch)
    results["logits"] = run(images)
    results["single"] = run(images[:1])
    save_file({name: tensor.contiguous() for name, tensor in results.items()}, out)


main()
