"""Two convolutions and two fully connected layers for images of 28 x 28 grey levels."""

from __future__ import annotations

from typing import Any


def make(classes: int = 10, dropout: float = 0.5) -> Any:
    """Make the network of LENA's MNIST experiment: 21840 weights with ten classes.

    Convolution of 10 filters 5 x 5, maximum of 2 x 2, ReLU; 20 filters 5 x 5, dropout of whole channels, maximum of
    2 x 2, ReLU; 50 outputs, ReLU, dropout; one output a class. The paper names the layers and not their sizes: these
    are those of PyTorch's first MNIST example.

    Parameters
    ----------
    classes
        Outputs.
    dropout
        Probability.

    References
    ----------
    Ghadikolaei, Stich, Jaggi, "LENA: Communication-efficient distributed learning with self-triggered gradient
    uploads", AISTATS 2021, figure 3.
    """
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(10, 20, 5), nn.Dropout2d(dropout), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Dropout(dropout), nn.Linear(50, classes),
    )  # fmt: skip
