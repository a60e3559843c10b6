"""The 161 tensors of ResNet-50 (He, Zhang, Ren, Sun, "Deep residual learning", CVPR 2016) for 1000 classes, in order.

Convolutions without bias as (out, in, height, width), each with the scale and shift of its batch normalisation.
"""

from __future__ import annotations

STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks, and channels inside a block; four times as many leave it
WEIGHTS = 25_557_032


def shapes() -> tuple[tuple[int, ...], ...]:
    """53 convolutions, 2 x 53 vectors of batch normalisation, the last layer's matrix and bias."""
    found: list[tuple[int, ...]] = []

    def convolution(out: int, into: int, side: int) -> None:
        found.extend([(out, into, side, side), (out,), (out,)])

    convolution(64, 3, 7)
    into = 64
    for blocks, inside in STAGES:
        for block in range(blocks):
            convolution(inside, into, 1)
            convolution(inside, inside, 3)
            convolution(4 * inside, inside, 1)
            if block == 0:
                convolution(4 * inside, into, 1)
            into = 4 * inside
    return (*found, (1000, 2048), (1000,))
