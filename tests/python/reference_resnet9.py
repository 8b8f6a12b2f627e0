"""David Page's network for CIFAR-10 in PyTorch: what the C++ ResNet-9's parity test compares with.

Written from the description in "How to train your ResNet" (myrtle.ai, 2018); the final layer is
called fc.
"""

from torch import nn


def unit(inputs, outputs):
    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
    net.add_module("bn", nn.BatchNorm2d(outputs))
    net.add_module("relu", nn.ReLU())
    return net


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.res1 = unit(channels, channels)
        self.res2 = unit(channels, channels)

    def forward(self, x):
        return x + self.res2(self.res1(x))


def layer(inputs, outputs, residual):
    net = unit(inputs, outputs)
    net.add_module("pool", nn.MaxPool2d(2))
    if residual:
        net.add_module("residual", Residual(outputs))
    return net


class ReferenceResNet9(nn.Module):
    def __init__(self, num_classes=10, width=1.0):
        super().__init__()
        c = [max(8, 8 * round(channels * width / 8)) for channels in (64, 128, 256, 512)]
        self.prep = unit(3, c[0])
        self.layer1 = layer(c[0], c[1], residual=True)
        self.layer2 = layer(c[1], c[2], residual=False)
        self.layer3 = layer(c[2], c[3], residual=True)
        self.fc = nn.Linear(c[3], num_classes, bias=False)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.prep(x))))
        return self.fc(x.amax(dim=(2, 3))) * 0.125
