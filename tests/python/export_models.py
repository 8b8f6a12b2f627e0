"""Writes what PyTorch computes with a network, for the C++ tests to compare with.

    export_models.py OUT.safetensors KIND MODEL [option=value ...]

MODEL: timm (its legacy_xception), torchvision (its inception_v3; option aux=true: with auxiliary
head), reference (reference_xception.py; its arguments are the options), resnet9
(reference_resnet9.py), or another model of torchvision's by name (option stem=small, of ResNets: a
3x3 conv1 of stride 1, no max pooling; option aux=true, of googlenet).

KIND, and the tensors that it writes:
  init   weights/NAME: parameters and buffers as constructed after torch.manual_seed(0)
  step   in float64, with non-trivial BatchNorm parameters and statistics:
         weights/NAME, images, labels; train/{logits, aux0, aux1, loss} and train/grad/NAME in
         training mode; then buffers/NAME; then eval/{logits, loss} and eval/grad/NAME in
         evaluation mode
  both   init as initial/NAME, and step, of which weights/NAME has only what isn't as constructed:
         BatchNorm's. Of tensors of more than SAMPLED elements (initial, grad) every n-th one is
         written, with n = elements / SAMPLED, rounded down
  curve  in float32: weights/NAME, images (steps, N, 3, size, size), labels (steps, N) and the
         losses of as many steps of Adam with its defaults, a learning rate of 1e-3 and fused=True

Options of all models: size (px), batch, classes. There is no dropout.
"""

import ast
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

AUX_WEIGHTS = {"googlenet": 0.3}  # the others': 0.4
SAMPLED = 10000
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
    if model == "resnet9":
        from reference_resnet9 import ReferenceResNet9

        return ReferenceResNet9(num_classes=classes, **options)
    import torchvision

    if not hasattr(torchvision.models, model):
        raise SystemExit(f"export_models.py: no model {model}")
    stem = options.pop("stem", "standard")
    if model == "googlenet":
        options.update(aux_logits=options.pop("aux", False), init_weights=True,
                       transform_input=False, dropout_aux=0.0)
    if not model.startswith("resnet"):
        options["dropout"] = 0.0
    net = getattr(torchvision.models, model)(weights=None, num_classes=classes, **options)
    return with_small_stem(net) if stem == "small" else net


def with_small_stem(net):
    """A ResNet for small images, initialized as torchvision's is from the same generator state."""
    net.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = torch.nn.Identity()
    torch.manual_seed(0)
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    for layer in [*convolutions, net.fc]:
        layer.reset_parameters()
    for layer in convolutions:
        torch.nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return net


def outputs(net, images, labels):
    """Logits, those of the auxiliary heads, the nearest to the images first, and the loss."""
    result = net(images)
    logits, *aux = result if isinstance(result, tuple) else (result,)
    aux.reverse()  # of GoogLeNet's two, torchvision gives the second first
    loss = F.cross_entropy(logits, labels)
    for head in aux:
        weight = AUX_WEIGHTS.get(type(net).__name__.lower(), 0.4)
        loss = loss + weight * F.cross_entropy(head, labels)
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


def sampled(tensor):
    return tensor if tensor.numel() <= SAMPLED else tensor.flatten()[::tensor.numel() // SAMPLED]


def put_state(tensors, prefix, items, sample=False):
    for name, tensor in items:
        tensor = sampled(tensor.detach()) if sample else tensor.detach()
        tensors[f"{prefix}/{name}"] = tensor.clone().contiguous()


def put_pass(tensors, mode, net, images, labels, sample):
    net.train(mode == "train")
    net.zero_grad(set_to_none=True)
    logits, aux, loss = outputs(net, images, labels)
    loss.backward()
    values = {"logits": logits, "loss": loss, **{f"aux{i}": head for i, head in enumerate(aux)}}
    put_state(tensors, mode, values.items())
    grads = ((n, p.grad) for n, p in net.named_parameters() if p.grad is not None)
    put_state(tensors, f"{mode}/grad", grads, sample)


def export_step(net, size, count, classes, both=False):
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    if both:
        put_state(tensors, "initial", net.state_dict().items(), sample=True)
    net = net.double()
    stir_batch_norm(net, generator, batch(generator, count, size, classes, torch.float64)[0])
    images, labels = batch(generator, count, size, classes, torch.float64)
    tensors.update(images=images, labels=labels)
    weights = net.state_dict()
    if both:
        norms = {n for n, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
        weights = {n: t for n, t in weights.items() if n.rpartition(".")[0] in norms}
    put_state(tensors, "weights", weights.items())
    put_pass(tensors, "train", net, images, labels, both)
    put_state(tensors, "buffers", net.named_buffers())
    put_pass(tensors, "eval", net, images, labels, both)
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
    elif kind == "both":
        tensors = export_step(net, size, count, classes, both=True)
    elif kind == "curve":
        tensors = export_curve(net, size, count, classes)
    else:
        raise SystemExit(f"export_models.py: no kind {kind}")
    save_file(tensors, file)


if __name__ == "__main__":
    main()
