"""Writes weights files as other programs do, and what these programs compute with them.

    export_weights.py OUT.safetensors SOURCE FOLDER

SOURCE, and the files that it writes into FOLDER:
  timm_xception       timm's legacy_xception: new.pt (a state dict in torch.save's zip archive), old.pt
                      (a training checkpoint with `module.` names and an optimizer, in the file format
                      from before), plain.safetensors
  torchvision         torchvision's inception_v3 with its auxiliary head and transform_input: new.pt
  resnet18, ...       another model of torchvision's, as its published weights are made: new.pt
  timm_inception      timm's inception_v3: half.safetensors, in float16
  keras               Keras's Xception: named.h5 (the layout of the published files), numbered.weights.h5
                      (Keras 3's), nameless.weights.h5 (as earlier Keras 3 wrote it), gzip.h5

OUT has `images` (N, 3, 299, 299; of torchvision's others 96) and `logits` (N, 1000) of the network in evaluation mode. Weights are
random and BatchNorm has parameters and statistics in which a swap would show.
"""

import functools
import os
import pathlib
import sys

import torch
from safetensors.torch import save_file

from export_models import stir_batch_norm

CLASSES = 1000
SIZE = 299


def images_of(seed, count=2, size=SIZE):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def evaluated(net, size=SIZE):
    generator = torch.Generator().manual_seed(1)
    stir_batch_norm(net, generator, images_of(2, size=size))
    images = images_of(3, count=1, size=size)
    with torch.no_grad():
        return {"images": images, "logits": net.eval()(images)}


def timm_xception(folder):
    import timm

    net = timm.create_model("legacy_xception", num_classes=CLASSES)
    result = evaluated(net)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.save(state, folder / "new.pt")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.fc(torch.ones(1, 2048)).sum().backward()
    optimizer.step()
    net.load_state_dict(state)
    wrapped = torch.nn.DataParallel(net)
    torch.save({"optimizer": optimizer.state_dict(), "epoch": 3, "arch": "legacy_xception",
                "state_dict": wrapped.state_dict()},
               folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(state, folder / "plain.safetensors")
    return result


def torchvision_inception(folder):
    import torchvision

    net = torchvision.models.inception_v3(weights=None, num_classes=CLASSES, init_weights=False,
                                          transform_input=True, aux_logits=True)
    result = evaluated(net)
    torch.save({"model": net.state_dict(), "model_ema": None}, folder / "new.pt")
    return result


def torchvision_other(name, folder):
    import torchvision

    google = {"init_weights": False, "transform_input": True, "aux_logits": True}
    net = getattr(torchvision.models, name)(
        weights=None, num_classes=CLASSES, **(google if name == "googlenet" else {}))
    result = evaluated(net, size=96)
    torch.save(net.state_dict(), folder / "new.pt")
    return result


def timm_inception(folder):
    import timm

    net = timm.create_model("inception_v3", num_classes=CLASSES)
    evaluated(net)
    net.half().float()  # so that rounding loses nothing
    with torch.no_grad():
        images = images_of(3, count=1)
        result = {"images": images, "logits": net.eval()(images)}
    state = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_file(state, folder / "half.safetensors", metadata={"format": "pt"})
    return result


def keras_xception(folder):
    os.environ["KERAS_BACKEND"] = "torch"
    import h5py
    import keras
    import numpy as np
    from keras.src.legacy.saving import legacy_h5_format

    def build():
        return keras.applications.Xception(weights=None, classes=CLASSES, classifier_activation=None)

    build()  # so that the shortcuts of the next have higher numbers
    keras.utils.set_random_seed(0)
    net = build()
    random = np.random.default_rng(1)
    norms = [layer for layer in net.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        channels = norm.gamma.shape
        norm.gamma.assign(random.uniform(0.5, 1.5, channels))
        norm.beta.assign(random.normal(0.0, 0.2, channels))
        norm.momentum = 0.0
    channels_last = lambda images: images.permute(0, 2, 3, 1)
    with torch.no_grad():
        net(channels_last(images_of(2)), training=True)
        images = images_of(3, count=1)
        logits = net(channels_last(images), training=False).detach()
    net.save_weights(folder / "numbered.weights.h5")
    net.save(folder / "whole.keras")
    with h5py.File(folder / "named.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, net)
    with h5py.File(folder / "numbered.weights.h5") as file:
        with h5py.File(folder / "nameless.weights.h5", "w") as copy:
            for name in file:
                file.copy(name, copy)
            copy["layers"].visititems(lambda _, item: item.attrs.pop("name", None) and None)
    with h5py.File(folder / "named.h5") as file, h5py.File(folder / "gzip.h5", "w") as copy:
        copy_compressed(h5py, np, file, copy.create_group("model_weights"))
    return {"images": images, "logits": logits.cpu()}


def copy_compressed(h5py, np, source, target):
    """Copies a group; words get a fixed length, as older h5py wrote them."""
    for key, value in source.attrs.items():
        words = isinstance(value, np.ndarray) and value.dtype == object
        target.attrs[key] = np.array([word.encode() for word in value]) if words else value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            copy_compressed(h5py, np, item, target.create_group(name))
        elif item.ndim == 4:
            target.create_dataset(name, data=item[()], compression="gzip", compression_opts=1, shuffle=True)
        else:
            target.create_dataset(name, data=item[()])


def main():
    out, source, folder = sys.argv[1:]
    torch.manual_seed(0)
    sources = {"timm_xception": timm_xception, "torchvision": torchvision_inception,
               "timm_inception": timm_inception, "keras": keras_xception}
    export = sources.get(source, functools.partial(torchvision_other, source))
    result = export(pathlib.Path(folder))
    save_file({name: tensor.detach().contiguous() for name, tensor in result.items()}, out)


if __name__ == "__main__":
    main()
