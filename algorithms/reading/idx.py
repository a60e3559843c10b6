"""IDX files: arrays of bytes, as MNIST and its relatives are published."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np
import numpy.typing as npt

from algorithms.reading.files import find, require
from algorithms.reading.selection import Selection
from netsim.errors import DataError
from netsim.interfaces import Data
from netsim.interfaces.problems import DataFile

_BYTES_MAX = 1 << 31
_STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CLASSES = 10


def image_files(folder: str, note: str, url: str) -> tuple[tuple[DataFile, ...], ...]:
    """Return training images and labels, test images and labels, each packed or not.

    Parameters
    ----------
    folder
        Below the data folder.
    note
        What they are.
    url
        The folder where the packed files can be had.
    """
    return tuple(
        (DataFile(f"{folder}/{stem}.gz", note, url=f"{url}/{stem}.gz"), DataFile(f"{folder}/{stem}", note))
        for stem in _STEMS
    )


@dataclass(frozen=True)
class Images(Selection):
    """Training and test images in four IDX files.

    Parameters
    ----------
    data_dir
        The data folder; by default the working folder or the one that NETSIM_DATA names. In it lie four IDX files in a
        folder (``mnist/`` or ``fashion-mnist/``): ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same
        with ``t10k``, each as it is or as ``.gz``.
    """

    name: ClassVar[str]
    images: ClassVar[tuple[tuple[DataFile, ...], ...]]

    data_dir: str | None = None

    def read(self, rng: np.random.Generator) -> Data:
        """Read the four files; `rng` is not used."""
        return read_images(self.name, self.images, self.data_dir)

    def wants(self) -> tuple[DataFile, ...]:
        """Return the first of the four files."""
        return self.images[0]

    def needs(self) -> Sequence[tuple[DataFile, ...]]:
        """Return all four, each packed or not."""
        return self.images

    def found(self) -> Path | None:
        """Return the first of the four files, where all are there."""
        return next(iter(self.files()), None)

    def files(self) -> Sequence[Path]:
        """Return the four files, or nothing where one is missing."""
        paths = [find(either, self.data_dir) for either in self.images]
        there = [path for path in paths if path is not None]
        return there if len(there) == len(self.images) else []


def read_images(name: str, files: Sequence[Sequence[DataFile]], data_dir: str | None) -> Data:
    """Read images as rows of grey levels from 0 to 1 and their labels 0 to 9, training and test part.

    Raises
    ------
    DataError
        If a file is missing, damaged or does not fit the others.
    """
    paths = [require(name, either, data_dir) for either in files]
    parts = list[Any]()
    for images, labels in (paths[:2], paths[2:]):
        pixels, classes = read_idx(images, 3), read_idx(labels, 1)
        if classes.size != pixels.shape[0]:
            allowed = f"{pixels.shape[0]} labels are needed, one for each image of {images}"
            raise DataError(f"{labels}: {allowed}. Got {classes.size}.")
        if classes.max() >= _CLASSES:
            row = int(np.argmax(classes >= _CLASSES))
            raise DataError(f"{labels}: labels 0 to 9 are needed. Got {classes[row]} for image {row} (from 0).")
        parts += [pixels, classes.astype(np.float64)]
    pixels, labels_, test_pixels, test_labels = parts
    if pixels.shape[1:] != test_pixels.shape[1:]:
        raise DataError(f"{paths[2]}: images of {pixels.shape[1:]} pixels are needed. Got {test_pixels.shape[1:]}.")
    features, test_features = (part.reshape(len(part), -1) / 255.0 for part in (pixels, test_pixels))
    return Data(features, labels_, name, test_features, test_labels, shape=(1, *pixels.shape[1:]))


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Read the array of an IDX file of unsigned bytes.

    Parameters
    ----------
    path
        Unpacked while reading where its name ends in ``.gz``.
    dimensions
        How many are expected.

    Raises
    ------
    DataError
        If the file is none, or has more or fewer bytes than its header says.
    """
    size = 4 + 4 * dimensions
    try:
        with cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as stream:
            header = stream.read(size)
            shape = _shape(path, header, dimensions)
            count = math.prod(shape)
            body = stream.read(count + 1)
    except (zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path}: a readable IDX file is needed. Got {error}.") from None
    if len(body) != count:
        got = f"{len(body)}" if len(body) < count else "more"
        words = " x ".join(map(str, shape))
        raise DataError(f"{path}: {words} = {count} bytes are needed after the header of {size}. Got {got}.")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    size, magic = 4 + 4 * dimensions, 0x800 + dimensions
    if header[:2] == b"\x1f\x8b" and path.suffix != ".gz":
        raise DataError(f"{path}: an IDX file is needed at byte 0. Got gzip; name it {path.name}.gz.")
    if len(header) < size:
        raise DataError(f"{path}: an IDX header of {size} bytes is needed. Got {len(header)}.")
    got, *shape = struct.unpack(f">{1 + dimensions}I", header)
    if got != magic:
        allowed = f"the magic number {magic} of {dimensions}-dimensional bytes is needed at byte 0"
        raise DataError(f"{path}: {allowed}. Got {got}.")
    if not 0 < math.prod(shape) <= _BYTES_MAX:
        allowed = f"sizes from 1 and at most {_BYTES_MAX} bytes in all are needed at byte 4"
        raise DataError(f"{path}: {allowed}. Got {' x '.join(map(str, shape))}.")
    return tuple(shape)
