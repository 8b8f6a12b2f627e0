"""Xception in PyTorch, with the options of the C++ network: what its parity tests compare with.

Written from the paper (arXiv 1610.02357) and from the description of the notebook's network; the
names of the parameters are timm's. The paper's network without options is compared with timm's own.
"""

import torch
from torch import nn

ACTIVATIONS = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
}


class SeparableConv(nn.Module):
    def __init__(self, inputs, outputs, order, activation):
        super().__init__()
        self.depthwise_first = order == "depthwise_first"
        depth = inputs if self.depthwise_first else outputs
        self.conv1 = nn.Conv2d(depth, depth, 3, padding=1, groups=depth, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x):
        if self.depthwise_first:
            return self.pointwise(self.activation(self.conv1(x)))
        return self.conv1(self.activation(self.pointwise(x)))


class Block(nn.Module):
    """Separable convolutions of the given widths, with a linear shortcut around them."""

    def __init__(self, inputs, widths, net, halve, leading_relu=True):
        super().__init__()
        self.residual = net["residual"]
        if self.residual and halve:
            notebook = net["variant"] == "notebook"
            self.skip = nn.Conv2d(inputs, widths[-1], 1, stride=2, bias=notebook)
            if not notebook:
                self.skipbn = nn.BatchNorm2d(widths[-1])
        layers = []
        for width in widths:
            layers.append(nn.ReLU())
            layers.append(SeparableConv(inputs, width, net["order"], net["activation"]))
            layers.append(nn.BatchNorm2d(width))
            inputs = width
        if not leading_relu:
            del layers[0]
        if halve:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.rep = nn.Sequential(*layers)

    def forward(self, x):
        y = self.rep(x)
        if not self.residual:
            return y
        if hasattr(self, "skip"):
            x = self.skip(x)
        if hasattr(self, "skipbn"):
            x = self.skipbn(x)
        return y + x


class ReferenceXception(nn.Module):
    def __init__(self, variant="paper", order="depthwise_first", activation="none", residual=True,
                 width=1.0, middle_blocks=8, stem="standard", num_classes=10):
        super().__init__()
        net = {"variant": variant, "order": order, "activation": activation, "residual": residual}
        notebook = variant == "notebook"

        def c(channels):
            return max(8, 8 * round(channels * width / 8))

        small = stem == "small"
        conv = {"bias": notebook, "padding": 1 if notebook or small else 0}
        self.conv1 = nn.Conv2d(3, c(32), 3, stride=1 if small else 2, **conv)
        self.bn1 = nn.BatchNorm2d(c(32))
        self.conv2 = nn.Conv2d(c(32), c(64), 3, **conv)
        self.bn2 = nn.BatchNorm2d(c(64))
        self.block1 = Block(c(64), [c(128)] * 2, net, halve=True, leading_relu=False)
        self.block2 = Block(c(128), [c(256)] * 2, net, halve=True)
        self.block3 = Block(c(256), [c(728)] * 2, net, halve=True)
        self.blocks = 4 + middle_blocks
        for i in range(4, self.blocks):
            self.add_module(f"block{i}", Block(c(728), [c(728)] * 3, net, halve=False))
        self.add_module(f"block{self.blocks}", Block(c(728), [c(728), c(1024)], net, halve=True))
        self.conv3 = SeparableConv(c(1024), c(1536), order, activation)
        self.bn3 = nn.BatchNorm2d(c(1536))
        self.conv4 = SeparableConv(c(1536), c(2048), order, activation)
        self.bn4 = nn.BatchNorm2d(c(2048))
        self.fc = nn.Linear(c(2048), num_classes)
        if not notebook:  # the notebook's network keeps PyTorch's own initialization
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        for i in range(1, self.blocks + 1):
            x = self.get_submodule(f"block{i}")(x)
        x = torch.relu(self.bn3(self.conv3(x)))
        x = torch.relu(self.bn4(self.conv4(x)))
        return self.fc(x.mean(dim=(2, 3)))
