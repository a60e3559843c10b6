"""Samples dealt to nodes: load, check, split, and lie in the order of the nodes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.reading.sizes import check_sizes
from netsim.errors import ConfigError, DataError, Fault
from netsim.fields import NonNegativeFloat, PositiveInt, Range, Ref
from netsim.interfaces import ColumnPartition, Data, Dataset, Draws, Floats, Indices, LabelCounts, Partition, ReadsFiles
from netsim.registry import build
from netsim.rng import stream

FIRST = Draws()
_iid = functools.partial(build, "partition", "iid")
_FLOAT64: np.dtype[np.floating[Any]] = np.dtype(np.float64)
_KEPT_MAX_BYTES = 1 << 28
_LARGEST_LABEL = 1e100
_FLOYD_UP_TO = 10_000  # samples; of more, numpy shuffles the last ones where many are chosen


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """A dataset in the order of its nodes: node m holds the rows edges[m] .. edges[m + 1] - 1.

    The test samples belong to no node; both are None where there are none.
    """

    features: Any
    labels: Floats
    edges: tuple[int, ...]
    name: str
    test_features: Any = None
    test_labels: Floats | None = None
    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()

    def label_counts(self) -> LabelCounts:
        """Return how many samples of each label every node has."""
        known, codes = np.unique(self.labels, return_inverse=True)
        parts = np.split(codes, self.edges[1:-1])
        counts = np.stack([np.bincount(part, minlength=known.size) for part in parts])
        is_named = known.size == len(self.class_names)
        return LabelCounts(self.class_names if is_named else tuple(f"{label:g}" for label in known), counts)

    @property
    def num_nodes(self) -> int:
        return len(self.edges) - 1

    def num_samples(self, node: int) -> int:
        """Return the number of a node's samples."""
        return self.edges[node + 1] - self.edges[node]

    def sample_weights(self) -> Floats:
        """Return 1 / (M n_m) for each row, so that weighted sums over all rows are means over nodes."""
        sizes = np.diff(self.edges)
        return np.repeat(1.0 / (self.num_nodes * sizes), sizes)


@dataclass(frozen=True)
class Dealt:
    """A dataset dealt to nodes, which draw minibatches from their shares.

    Parameters
    ----------
    dataset
        Any number of classes.
    l2
        Weight of the ridge, over all entries. Where the loss is convex there is an optimum, unless this is 0.
    nodes
        M.
    partition
        Which samples each node has.
    batch
        ``full``, a whole number of samples, or a fraction in (0, 1) of each node's samples (rounded, at least one);
        drawn without replacement. A node with no more samples than that uses all.
    """

    name: ClassVar[str]
    draws_start: ClassVar[bool] = False

    dataset: Annotated[Dataset, Ref("dataset")]
    l2: NonNegativeFloat = 1e-3
    nodes: PositiveInt = 4
    partition: Annotated[Partition, Ref("partition")] = field(default_factory=_iid)
    batch: Literal["full"] | PositiveInt | Annotated[float, Range(gt=0, lt=1)] = "full"

    @property
    def redraws(self) -> frozenset[str]:
        """Data, partition and start, where they are drawn."""
        parts = {
            "data": getattr(self.dataset, "draws", True),
            "partition": self.nodes > 1 and getattr(self.partition, "draws", True),
            "start": self.draws_start,
        }
        return frozenset(part for part, is_drawn in parts.items() if is_drawn)

    def deal(self, seed: int, draws: Draws = FIRST, dtype: np.dtype[np.floating[Any]] = _FLOAT64) -> Shares:
        """Load and split the data.

        The dataset draws from the stream ``(seed, draws.data, -1, "dataset")``, the partition from
        ``(seed, draws.partition, -1, "partition")``.

        Raises
        ------
        DataError
            If the data are missing, damaged or not finite.
        ConfigError
            With more nodes than samples.
        """
        data = _load(self.dataset, seed, draws.data)
        features = _checked(data.name, data.features, data.labels, dtype)
        check_sizes(data.name, features.data if hasattr(features, "tocsr") else features)
        test_features = None
        if data.test_labels is not None:
            test_features = _checked(f"{data.name}, test samples", data.test_features, data.test_labels, dtype)
            if test_features.shape[1] != features.shape[1]:
                allowed = f"test samples of {features.shape[1]} columns are needed, as many as training samples have"
                raise DataError(f"{data.name}: {allowed}. Got {test_features.shape[1]}.")
        rng = stream(seed, draws.partition, -1, "partition")
        if isinstance(self.partition, ColumnPartition):
            columns = self.partition.split_columns(features.shape[1], self.nodes, rng)
            return _vertical(Shares(features, data.labels, (), data.name, test_features, data.test_labels), columns)
        split_by = data.labels
        if getattr(self.partition, "by_group", False):
            if data.groups is None:
                rule = getattr(self.partition, "name", type(self.partition).__name__)
                allowed = f"a dataset that says whom samples come from (such as node_column of csv), for {rule}"
                raise ConfigError([Fault(("dataset",), allowed, data.name)])
            split_by = data.groups.astype(np.float64)
        parts = self.partition.split(split_by, self.nodes, rng)
        order = _checked_order(parts, self.nodes, data)
        edges = (0, *np.cumsum([part.size for part in parts]).tolist())
        if not np.array_equal(order, np.arange(order.size)):
            features, labels = features[order], data.labels[order]
        else:
            labels = data.labels
        return Shares(features, labels, edges, data.name, test_features, data.test_labels, data.class_names, data.shape)


def batch_sizes(batch: str | float, shares: Shares) -> tuple[int | None, ...]:
    """Return the samples in each node's minibatch; None where it is all that the node has.

    Parameters
    ----------
    batch
        ``"full"``, a number of samples (int) or a fraction of each node's samples (float), rounded, at least one.
    """
    sizes = [shares.num_samples(node) for node in range(shares.num_nodes)]
    if isinstance(batch, str):
        return (None,) * len(sizes)
    wanted = [batch if isinstance(batch, int) else max(1, round(batch * size)) for size in sizes]
    return tuple(b if b < size else None for b, size in zip(wanted, sizes, strict=True))


def draw(size: int | None, num_samples: int, rng: np.random.Generator) -> Indices | None:
    """Draw `size` of the node's samples without replacement, sorted, all subsets equally likely; None: all of them."""
    if size is None:
        return None
    batch = rng.choice(num_samples, size, replace=False, shuffle=False)
    batch.sort()
    return batch


def draw_many(size: int | None, num_samples: int, rng: np.random.Generator, count: int) -> list[Indices | None]:
    """Draw as many batches as `count` calls of `draw` do, the same ones, and leave the stream where they do.

    numpy chooses few out of many by Floyd's algorithm: a number up to n - s, ..., n - 1 each, and where one was drawn
    before, the largest possible one in its place. The numbers of all batches are drawn at once.
    """
    # A batch in which a number is replaced takes longer here than a draw of its own; most large batches are such.
    if size is None or num_samples > _FLOYD_UP_TO or size * size > num_samples:
        return [draw(size, num_samples, rng) for _ in range(count)]
    limits = np.tile(np.arange(num_samples - size, num_samples), count)
    drawn = rng.integers(0, limits, endpoint=True).reshape(count, size)
    batches = np.sort(drawn, axis=1)
    for i in np.flatnonzero((batches[:, 1:] == batches[:, :-1]).any(axis=1)):
        chosen = set[int]()
        for limit, number in zip(limits[:size].tolist(), drawn[i].tolist(), strict=True):
            chosen.add(limit if number in chosen else number)
        batches[i] = sorted(chosen)
    return list(batches)


def _load(dataset: Dataset, seed: int, replication: int) -> Data:
    """Load the data; those of a dataset that draws nothing are kept as long as its files stay."""
    if getattr(dataset, "draws", True):
        return dataset.load(stream(seed, replication, -1, "dataset"))
    files = dataset.files() if isinstance(dataset, ReadsFiles) else ()
    states = [file.stat() for file in files]
    key = repr((type(dataset), dataset, [(s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_ino) for s in states]))
    if key not in _kept:
        data = dataset.load(stream(seed, replication, -1, "dataset"))
        _kept.clear()
        if _size_bytes(data.features) > _KEPT_MAX_BYTES:
            return data
        _kept[key] = data
    return _kept[key]


def _size_bytes(features: Any) -> int:
    parts = (features.data, features.indices, features.indptr) if hasattr(features, "tocsr") else (features,)
    return int(sum(part.nbytes for part in parts))


_kept = dict[str, Data]()


def _vertical(shares: Shares, columns: Sequence[Indices]) -> Shares:
    """Give every node all samples, with zeros in place of the columns that are not its own."""
    import scipy.sparse as sp

    whole = sp.csc_array(shares.features)
    parts = []
    for own in columns:
        keep = np.zeros(whole.shape[1])
        keep[own] = 1.0
        part = sp.csr_array(whole * keep)
        part.eliminate_zeros()
        parts.append(part)
    rows = shares.labels.size
    features, labels = sp.csr_array(sp.vstack(parts, format="csr")), np.tile(shares.labels, len(columns))
    edges = tuple(range(0, rows * len(columns) + 1, rows))
    tests = None if shares.test_features is None else sp.csr_array(shares.test_features)
    return Shares(features, labels, edges, shares.name, tests, shares.test_labels)


def _checked(name: str, given: Any, labels: Floats, dtype: np.dtype[np.floating[Any]]) -> Any:
    """Return the features as a C-contiguous array of a type, or CSR, all finite."""
    is_sparse = hasattr(given, "tocsr")
    features: Any = given.tocsr() if is_sparse else np.ascontiguousarray(given, dtype)
    if features.ndim != 2 or features.shape[0] != labels.size or 0 in features.shape:
        allowed = "features of shape (samples, columns), at least one each, and a label per sample are needed"
        raise DataError(f"{name}: {allowed}. Got shape {features.shape} and {labels.size} labels.")
    values: Floats = features.data if is_sparse else features.reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):
        suspicious = not np.isfinite(values.sum())
    if suspicious and not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        if is_sparse:
            row, column = int(np.searchsorted(features.indptr, at, side="right")) - 1, int(features.indices[at])
        else:
            row, column = divmod(at, features.shape[1])
        raise DataError(f"{name}: row {row}, column {column} (from 0): a finite number is needed. Got {values[at]}.")
    if not np.isfinite(labels).all():
        row = int(np.flatnonzero(~np.isfinite(labels))[0])
        raise DataError(f"{name}: row {row} (from 0): a finite label is needed. Got {labels[row]}.")
    largest = float(np.abs(labels).max())
    if largest > _LARGEST_LABEL:
        raise DataError(
            f"{name}: labels of at most {_LARGEST_LABEL:g}, so that they can be squared. Got {largest:.3g}."
        )
    return features


def _checked_order(parts: Sequence[Indices], nodes: int, data: Data) -> Indices:
    """Return all rows in the order of their nodes."""
    order = np.concatenate(parts) if parts else np.empty(0, np.int64)
    is_fine = len(parts) == nodes and all(part.size for part in parts) and order.size == data.labels.size
    if not is_fine or not np.array_equal(np.sort(order), np.arange(order.size)):
        sizes = [part.size for part in parts]
        allowed = f"a partition deals each of {data.labels.size} samples to one of {nodes} nodes, and some to each"
        raise DataError(f"{data.name}: {allowed}. Got parts of {sizes} samples.")
    return order
