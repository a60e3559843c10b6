"""Reuters-21578: newswire of 1987 as TF-IDF, earnings and acquisitions against the rest."""

from __future__ import annotations

import html
import lzma
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from algorithms.reading.files import check_sha256, find, require
from algorithms.reading.selection import Selection
from netsim.errors import DataError
from netsim.interfaces import Data
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component

_NOTE = "Reuters-21578, Distribution 1.0, 22 files reut2-000.sgm to reut2-021.sgm, 28 MB, for research"
_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/reuters21578-mld/reuters21578.tar.gz"
_SHA256 = "e0ac8cb485f38cd59bd8b4edc11ccc9e5950a09938b75f0b547309e12b194b08"
_FILES = (
    DataFile("reuters21578/reuters21578.tar.xz", _NOTE, _SHA256),
    DataFile("reuters21578/reuters21578.tar.gz", _NOTE, url=_URL),
    DataFile("reuters21578/reut2-000.sgm", _NOTE),
)
_DOCUMENT = re.compile(r"<REUTERS .*?</REUTERS>", re.DOTALL)
_TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>", re.DOTALL)
_TOPIC = re.compile(r"<D>(.*?)</D>")
_TEXT = re.compile(r"<TEXT.*?>(.*?)</TEXT>", re.DOTALL)
_TITLE = re.compile(r"<TITLE>(.*?)</TITLE>", re.DOTALL)
_BODY = re.compile(r"<BODY>(.*?)</BODY>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@component("dataset")
@dataclass(frozen=True)
class Reuters21578(Selection):
    """The 11367 documents that have a topic, as TF-IDF rows of unit length: d = 47724 in CSR, no bias column.

    Label 1: a topic is ``earn`` or ``acq`` (6416 documents), -1: neither (4951). A document's text is its title and
    body, or all of its text where it has no body; words and their frequencies are those of all 21578 documents
    (scikit-learn's TfidfVectorizer with its defaults).

    Parameters
    ----------
    data_dir
        The data folder; by default the one that NETSIM_DATA names. In it lies ``reuters21578/reuters21578.tar.xz`` (or
        ``.tar.gz``), or the 22 ``.sgm`` files in ``reuters21578/``.

    Notes
    -----
    In size and sparsity it is near RCV1 (d = 47236, 74 nonzeros a row), but it is not RCV1: name it as what it is.

    References
    ----------
    Lewis, "Reuters-21578 text categorization test collection, Distribution 1.0", 1997.
    """

    examples: ClassVar[Examples] = ({},)

    data_dir: str | None = None

    def read(self, rng: np.random.Generator) -> Data:
        """Read and count the words; `rng` is not used.

        Raises
        ------
        DataError
            If the files are missing, damaged or not the whole collection.
        """
        path = require("reuters21578", _FILES, self.data_dir)
        documents = [document for text in _texts(path) for document in _DOCUMENT.findall(text)]
        if len(documents) != 21578:
            raise DataError(f"{path}: 21578 documents in 22 files are needed. Got {len(documents)}.")
        from scipy.sparse import csr_array
        from sklearn.feature_extraction.text import TfidfVectorizer

        topics = [_topics(document) for document in documents]
        kept = np.flatnonzero([bool(names) for names in topics])
        features = csr_array(TfidfVectorizer().fit_transform(map(_words, documents))[kept])
        labels = np.array([1.0 if {"earn", "acq"} & set(topics[row]) else -1.0 for row in kept])
        return Data(features, labels, "reuters21578")

    def wants(self) -> tuple[DataFile, ...]:
        """Return the archive, or the first of the 22 files beside each other."""
        return _FILES

    def found(self) -> Path | None:
        """Return the file or folder that `load` reads."""
        return find(_FILES, self.data_dir)

    def files(self) -> list[Path]:
        """Return the archive, or all 22 files."""
        path = self.found()
        if path is None:
            return []
        return sorted(path.parent.glob("reut2-*.sgm")) if path.suffix == ".sgm" else [path]


def _texts(path: Path) -> list[str]:
    """Yield the 22 files in order."""
    if path.suffix == ".sgm":
        return [file.read_text("latin-1") for file in sorted(path.parent.glob("reut2-*.sgm"))]
    check_sha256("reuters21578", path, next(file.sha256 for file in _FILES if Path(file.path).name == path.name))
    try:
        with tarfile.open(path) as archive:
            members = sorted((m for m in archive if m.isfile() and m.name.endswith(".sgm")), key=lambda m: m.name)
            streams = [archive.extractfile(member) for member in members]
            return [stream.read().decode("latin-1") for stream in streams if stream]
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise DataError(f"{path}: a readable archive is needed. Got {error}.") from None


def _topics(document: str) -> list[str]:
    found = _TOPICS.search(document)
    return _TOPIC.findall(found[1]) if found else []


def _words(document: str) -> str:
    found = _TEXT.search(document)
    text = found[1] if found else ""
    title, body = _TITLE.search(text), _BODY.search(text)
    if body:
        text = f"{title[1] if title else ''} {body[1]}"
    return html.unescape(_TAG.sub(" ", text))
