"""CIFAR-10 as published (pickled batches, read without making any object but arrays) or as a tar of images."""

from __future__ import annotations

import io
import lzma
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from netsim.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
_BATCHES = (*_TRAIN, "test_batch")
_PIXELS = 3 * 32 * 32
_MEMBER_MAX = 64 << 20

# What an array in a pickle of Python 2 or 3 consists of.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
}  # fmt: skip


class Images(NamedTuple):
    """Pixels of shape (n, 3072), uint8, red then green then blue, each 32 rows of 32; and classes 0 to 9."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def read_cifar(path: Path) -> tuple[Images, Images]:
    """Read training and test images from a tar of images, the published tar, or a folder of its batches.

    Nothing is written to the disk: members are read from the archive.

    Raises
    ------
    DataError
        With the file, or the member of the archive, that is not as it should be.
    """
    if path.is_dir():
        files = {name: path / name for name in _BATCHES}
        missing = [name for name, file in files.items() if not file.is_file()]
        if missing:
            raise DataError(f"{path}: the files {', '.join(_BATCHES)} are needed. Got no {missing[0]}.")
        return _of_batches({name: _batch(file.read_bytes(), str(file)) for name, file in files.items()})
    batches, images = dict[str, Images](), dict[str, list[tuple[int, str, npt.NDArray[np.uint8]]]]()
    decode: Callable[[bytes, str], npt.NDArray[np.uint8]] | None = None
    for name, content in _members(path):
        where, parts = f"{path}: {name}", PurePosixPath(name).parts
        if parts[-1] in _BATCHES:
            batches[parts[-1]] = _batch(content, where)
        elif parts[-1].lower().endswith((".jpg", ".jpeg", ".png")):
            if len(parts) < 3 or parts[-3] not in ("train", "test") or parts[-2] not in CLASSES:
                allowed = f"images as train/CLASS/NAME or test/CLASS/NAME are needed, CLASS one of {', '.join(CLASSES)}"
                raise DataError(f"{where}: {allowed}. Got another place.")
            decode = decode or _decoder(path)
            images.setdefault(parts[-3], []).append((CLASSES.index(parts[-2]), name, decode(content, where)))
    if batches:
        missing = [name for name in _BATCHES if name not in batches]
        if missing:
            raise DataError(f"{path}: the batches {', '.join(_BATCHES)} are needed. Got no {missing[0]}.")
        return _of_batches(batches)
    if set(images) != {"train", "test"}:
        got = ", ".join(images) or "no images"
        raise DataError(f"{path}: batches, or images in train and test, are needed. Got {got}.")
    train, test = (_of_images(images[part]) for part in ("train", "test"))
    return train, test


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of an archive's files, one after the other."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                if ".." in parts or member.name.startswith("/") or not (member.isfile() or member.isdir()):
                    allowed = "plain files below the archive's own folder are needed"
                    raise DataError(f"{path}: {allowed}. Got {member.name!r}.")
                if member.isfile() and member.size > _MEMBER_MAX:
                    raise DataError(f"{path}: files of at most {_MEMBER_MAX} bytes are needed. Got {member.name!r}.")
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    yield member.name, stream.read()
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path}: a readable archive is needed. Got {error}.") from None


class _Arrays(pickle.Unpickler):
    """Makes arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"a pickle that wants {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _batch(content: bytes, where: str) -> Images:
    try:
        found = _Arrays(io.BytesIO(content), encoding="bytes").load()
        pixels, labels = found[b"data"], np.asarray(found[b"labels"])
        good = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape == (labels.size, _PIXELS)
    except Exception as error:  # a damaged pickle may raise anything
        text = f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise DataError(f"{where}: a batch of CIFAR-10 is needed, a dict of data and labels. Got {text}.") from None
    if not good or labels.dtype.kind != "i" or labels.ndim != 1 or labels.size == 0:
        allowed = f"data of shape (n, {_PIXELS}) in bytes and n labels are needed"
        raise DataError(f"{where}: {allowed}. Got {getattr(pixels, 'shape', type(pixels))} and {labels.size} labels.")
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        raise DataError(f"{where}: labels 0 to 9 are needed. Got {labels.min()} to {labels.max()}.")
    return Images(pixels, labels.astype(np.int64))


def _of_batches(batches: Mapping[str, Images]) -> tuple[Images, Images]:
    parts = [batches[name] for name in _TRAIN]
    train = Images(np.concatenate([p.pixels for p in parts]), np.concatenate([p.labels for p in parts]))
    return train, batches["test_batch"]


def _of_images(images: list[tuple[int, str, npt.NDArray[np.uint8]]]) -> Images:
    ordered = sorted(images, key=lambda image: image[:2])
    labels = np.array([label for label, _, _ in ordered], np.int64)
    return Images(np.stack([pixels for _, _, pixels in ordered]), labels)


def _decoder(path: Path) -> Callable[[bytes, str], npt.NDArray[np.uint8]]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError(f"{path}: Pillow is needed to read images; pip install 'netsim-learn[images]'.") from None

    def decode(content: bytes, where: str) -> npt.NDArray[np.uint8]:
        try:
            with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
                size = image.size
                pixels = np.asarray(image.convert("RGB"), np.uint8) if size == (32, 32) else None
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise DataError(f"{where}: a JPEG or PNG image is needed. Got {error}.") from None
        if pixels is None:
            raise DataError(f"{where}: 32 x 32 pixels are needed. Got {size[0]} x {size[1]}.")
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)).reshape(-1)

    return decode
