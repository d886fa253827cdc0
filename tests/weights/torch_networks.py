"""The small network and LargeFOV as plain torch modules, with our names: no part of minideeplab.

The recipe in ``minideeplab/weights/README.md`` loads an exported ``.safetensors`` file into them.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


def conv_bn_relu(channels, filters, stride=1, dilation=1):
    conv = nn.Conv2d(channels, filters, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(filters), relu=nn.ReLU()))


def conv_bn(channels, filters):
    conv = nn.Conv2d(channels, filters, 1, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(filters)))


class Residual(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.first = conv_bn_relu(channels, channels, dilation=dilation)
        self.conv = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(self.bn(self.conv(self.first(x))) + x)


class ASPP(nn.Module):
    def __init__(self, channels, filters, rates):
        super().__init__()
        self.branches = nn.Sequential(*(conv_bn_relu(channels, filters, 1, r) for r in rates))
        self.drop = nn.Dropout(0.1)
        self.join = conv_bn(filters * len(rates), filters)

    def forward(self, x):
        return self.join(self.drop(torch.cat([branch(x) for branch in self.branches], 1)))


class DeepLabSmall(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.fine = nn.Sequential(
            conv_bn_relu(3, 32, 2), conv_bn_relu(32, 32), conv_bn_relu(32, 64, 2),
            conv_bn_relu(64, 64),
        )  # fmt: skip
        self.coarse = nn.Sequential(
            conv_bn_relu(64, 128, 2), Residual(128, 1), conv_bn_relu(128, 192, 1, 2),
            Residual(192, 4),
        )  # fmt: skip
        self.aspp = ASPP(192, 64, (2, 4, 8, 12))
        self.detail = conv_bn(64, 64)
        self.refine = conv_bn_relu(64, 64)
        self.score = nn.Conv2d(64, num_classes, 1)

    def forward(self, x):
        fine = self.fine(x)
        context = self.aspp(self.coarse(fine))
        context = F.interpolate(context, fine.shape[2:], mode="bilinear", align_corners=True)
        return self.score(self.refine(F.relu(context + self.detail(fine))))


class LargeFOV(nn.Module):
    def __init__(self, num_classes, width=1.0):
        super().__init__()
        channels = 3
        for block, count, filters in (
            (1, 2, 64),
            (2, 2, 128),
            (3, 3, 256),
            (4, 3, 512),
            (5, 3, 512),
        ):
            rate = 2 if block == 5 else 1
            for i in range(1, count + 1):
                conv = nn.Conv2d(channels, round(filters * width), 3, 1, rate, rate)
                setattr(self, f"conv{block}_{i}", conv)
                channels = conv.out_channels
        self.fc6 = nn.Conv2d(channels, round(1024 * width), 3, 1, 12, 12)
        self.fc7 = nn.Conv2d(self.fc6.out_channels, self.fc6.out_channels, 1)
        self.fc8 = nn.Conv2d(self.fc6.out_channels, num_classes, 1)

    def forward(self, x):
        for block, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)):
            for i in range(1, count + 1):
                x = F.relu(getattr(self, f"conv{block}_{i}")(x))
            x = F.max_pool2d(x, 3, 2 if block <= 3 else 1, 1, ceil_mode=True)
        x = F.avg_pool2d(x, 3, 1, 1)
        x = F.dropout(F.relu(self.fc6(x)), 0.5, self.training)
        x = F.dropout(F.relu(self.fc7(x)), 0.5, self.training)
        return self.fc8(x)
