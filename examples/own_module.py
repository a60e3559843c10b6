"""A PyTorch module of your own: `netsim run examples/own_module.yaml` (pip install 'netsim-learn[torch]')."""

from torch import Tensor, nn


class Digits(nn.Module):
    """A small convolutional network for images of 8 x 8 pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(1, channels, 3), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2))
        self.say = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(9 * channels, 10))

    def forward(self, x: Tensor) -> Tensor:
        pixels = x[:, :64].reshape(-1, 1, 8, 8)  # the last column is a bias
        return self.say(self.look(pixels))


def make(channels: int = 8) -> nn.Module:
    """What the scenario names."""
    return Digits(channels)
