"""Writes what PyTorch computes with a network, for the C++ tests to compare with.

    export_models.py OUT.safetensors KIND MODEL [option=value ...]

MODEL: timm (its legacy_xception), torchvision (its inception_v3; option aux=true: with auxiliary
head), reference (reference_xception.py; its arguments are the options).

KIND, and the tensors that it writes:
  init   weights/NAME: parameters and buffers as constructed after torch.manual_seed(0)
  step   in float64, with non-trivial BatchNorm parameters and statistics:
         weights/NAME, images, labels; train/{logits, aux, loss} and train/grad/NAME in training
         mode; then buffers/NAME; then eval/{logits, loss} and eval/grad/NAME in evaluation mode
  curve  in float32: weights/NAME, images (steps, N, 3, size, size), labels (steps, N) and the
         losses of as many steps of Adam with its defaults, a learning rate of 1e-3 and fused=True

Options of all models: size (px), batch, classes. There is no dropout.
"""

import ast
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

AUX_WEIGHT = 0.4
CURVE_STEPS = 20


def build(model, options):
    torch.manual_seed(0)
    classes = options.pop("classes", 10)
    if model == "timm":
        import timm

        return timm.create_model("legacy_xception", num_classes=classes, drop_rate=0.0, **options)
    if model == "torchvision":
        import torchvision

        return torchvision.models.inception_v3(
            weights=None, num_classes=classes, init_weights=True, transform_input=False,
            dropout=0.0, aux_logits=options.pop("aux", False), **options)
    if model == "reference":
        from reference_xception import ReferenceXception

        return ReferenceXception(num_classes=classes, **options)
    raise SystemExit(f"export_models.py: no model {model}")


def outputs(net, images, labels):
    """Logits, the auxiliary head's (or None), loss."""
    logits = net(images)
    aux = None
    if isinstance(logits, tuple):
        logits, aux = logits
    loss = F.cross_entropy(logits, labels)
    if aux is not None:
        loss = loss + AUX_WEIGHT * F.cross_entropy(aux, labels)
    return logits, aux, loss


def batch(generator, count, size, classes, dtype):
    images = torch.randn(count, 3, size, size, generator=generator, dtype=dtype)
    return images, torch.randint(classes, (count,), generator=generator)


def stir_batch_norm(net, generator, images):
    """Gives BatchNorm parameters and statistics in which a swap or another eps would show."""
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0.0, 0.2, generator=generator)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        net.train()(images)
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum


def put_state(tensors, prefix, items):
    for name, tensor in items:
        tensors[f"{prefix}/{name}"] = tensor.detach().clone().contiguous()


def put_pass(tensors, mode, net, images, labels):
    net.train(mode == "train")
    net.zero_grad(set_to_none=True)
    logits, aux, loss = outputs(net, images, labels)
    loss.backward()
    values = {"logits": logits, "aux": aux, "loss": loss}
    put_state(tensors, mode, ((k, v) for k, v in values.items() if v is not None))
    grads = ((n, p.grad) for n, p in net.named_parameters() if p.grad is not None)
    put_state(tensors, f"{mode}/grad", grads)


def export_step(net, size, count, classes):
    generator = torch.Generator().manual_seed(1)
    net = net.double()
    stir_batch_norm(net, generator, batch(generator, count, size, classes, torch.float64)[0])
    images, labels = batch(generator, count, size, classes, torch.float64)
    tensors = {"images": images, "labels": labels}
    put_state(tensors, "weights", net.state_dict().items())
    put_pass(tensors, "train", net, images, labels)
    put_state(tensors, "buffers", net.named_buffers())
    put_pass(tensors, "eval", net, images, labels)
    return tensors


def export_curve(net, size, count, classes):
    generator = torch.Generator().manual_seed(1)
    drawn = [batch(generator, count, size, classes, torch.float32) for _ in range(CURVE_STEPS)]
    tensors = {
        "images": torch.stack([images for images, _ in drawn]),
        "labels": torch.stack([labels for _, labels in drawn]),
    }
    put_state(tensors, "weights", net.state_dict().items())
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    net.train()
    losses = []
    for images, labels in drawn:
        optimizer.zero_grad()
        loss = outputs(net, images, labels)[2]
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    tensors["losses"] = torch.stack(losses)
    return tensors


def main():
    file, kind, model, *rest = sys.argv[1:]
    options = {}
    for option in rest:
        key, value = option.split("=", 1)
        literal = {"true": True, "false": False}
        try:
            options[key] = literal[value] if value in literal else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value
    size = options.pop("size", 96)
    count = options.pop("batch", 2)
    classes = options.get("classes", 10)
    net = build(model, options)
    if kind == "init":
        tensors = {}
        put_state(tensors, "weights", net.state_dict().items())
    elif kind == "step":
        tensors = export_step(net, size, count, classes)
    elif kind == "curve":
        tensors = export_curve(net, size, count, classes)
    else:
        raise SystemExit(f"export_models.py: no kind {kind}")
    save_file(tensors, file)


if __name__ == "__main__":
    main()
