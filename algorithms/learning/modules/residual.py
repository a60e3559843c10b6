"""What residual networks for images of 32 x 32 pixels are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def network(widths: Sequence[int], blocks: Sequence[int], classes: int) -> Any:
    """Make a residual network of blocks of two convolutions 3 x 3, batch norm and ReLU.

    Stages but the first halve the sides of the image. A shortcut whose shape changes is a convolution 1 x 1 with batch
    norm (option B). After the last stage comes the mean over the image and one output a class.

    Parameters
    ----------
    widths, blocks
        Channels and blocks of each stage.
    classes
        Outputs.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2.
    """
    import torch
    from torch import nn

    class Block(nn.Module):
        """x -> ReLU(body(x) + shortcut(x))."""

        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
            )  # fmt: skip
            same = stride == 1 and inputs == outputs
            projection = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
            self.shortcut = nn.Sequential(*([] if same else projection))

        def forward(self, x: Any) -> Any:
            return torch.relu(self.body(x) + self.shortcut(x))

    layers: list[Any] = [nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    inputs = widths[0]
    for stage, (width, number) in enumerate(zip(widths, blocks, strict=True)):
        for i in range(number):
            layers.append(Block(inputs, width, 2 if stage and i == 0 else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
