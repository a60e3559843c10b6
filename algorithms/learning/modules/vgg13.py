"""VGG13 with batch norm for images of 32 x 32 pixels."""

from __future__ import annotations

from typing import Any


def make(classes: int = 10) -> Any:
    """Make ten convolutions 3 x 3 in five stages and one fully connected layer: 9416010 weights with ten classes.

    References
    ----------
    Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015, table 1,
    configuration B, with batch norm and one fully connected layer in place of three, as is usual for 32 x 32 pixels.
    """
    from torch import nn

    layers, inputs = list[Any](), 3
    for width in (64, 128, 256, 512, 512):
        for _ in range(2):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, classes))
