"""Datasets: shapes, scales and labels; LIBSVM's format line by line; what is said when a file is missing or damaged."""

import bz2
import gzip
import lzma
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algorithms.datasets import libsvm, reuters21578, synthetic_sparse
from algorithms.reading import files
from netsim.errors import ConfigError, DataError
from netsim.registry import build, names


def load(config, seed=0):
    return build("dataset", config).load(np.random.default_rng(seed))


# --- from scikit-learn's files ------------------------------------------------------------------------


def test_breast_cancer():
    """357 benign and 212 malignant cases of 30 measurements (Street et al. 1993); label 1 is benign."""
    data = load("breast_cancer")
    assert data.features.shape == (569, 31)
    assert data.features.flags.c_contiguous
    assert ((data.labels == 1).sum(), (data.labels == -1).sum()) == (357, 212)
    assert np.abs(data.features[:, :30].mean(0)).max() < 1e-13
    assert np.abs(data.features[:, :30].std(0) - 1).max() < 1e-13
    assert (data.features[:, 30] == 1).all()
    # The first case is malignant and its mean radius, 17.99, is above the mean of 14.127 (deviation 3.5209).
    assert data.labels[0] == -1
    assert data.features[0, 0] == pytest.approx((17.99 - 14.127292) / 3.520951, abs=1e-6)


@pytest.mark.parametrize("digit", [0, 3, 8])
def test_digits_one_against_the_rest(digit):
    """The counts of the ten digits are those of the UCI test file (optdigits.names)."""
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    data = load({"name": "digits", "positive_class": digit})
    assert data.features.shape == (1797, 65)
    assert (data.labels == 1).sum() == counts[digit]
    assert (data.labels == -1).sum() == 1797 - counts[digit]
    assert np.abs((data.features**2).sum(1) - 1).max() < 1e-14


def test_digits_with_interactions():
    """Rows are (products, pixels, 1)/N, so that product_ij times the last column is pixel_i times pixel_j."""
    plain, full = load("digits").features, load({"name": "digits", "interactions": True}).features
    assert full.shape == (1797, 2145)
    assert np.abs((full**2).sum(1) - 1).max() < 1e-13
    pixels, last = full[:, 2080:2144], full[:, 2144]
    expected = [pixels[:, i] * pixels[:, j] for i in range(64) for j in range(i, 64)]
    assert np.abs(full[:, :2080] * last[:, None] - np.array(expected).T).max() < 1e-14
    assert np.abs(pixels / last[:, None] - plain[:, :64] / plain[:, 64:]).max() < 1e-13
    assert (pixels / last[:, None]).max() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_without_scikit_learn(name, monkeypatch, tmp_path):
    dataset = build("dataset", name)
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(DataError, match=rf"{name}: the file datasets/data/{name}.csv.* of scikit-learn is needed"):
        dataset.load(np.random.default_rng(0))


def test_damaged_files_of_scikit_learn(monkeypatch):
    monkeypatch.setattr("algorithms.datasets.digits.sklearn_file", lambda *_: b"no gzip")
    with pytest.raises(DataError, match=r"digits: scikit-learn's digits.csv.gz cannot be unpacked"):
        load("digits")
    for text in (b"1,2,3\n", b"header\n1,2,x\n"):
        monkeypatch.setattr("algorithms.datasets.breast_cancer.sklearn_file", lambda *_, t=text: b"header\n" + t)
        with pytest.raises(DataError, match="breast_cancer: lines of 31 numbers are needed"):
            load("breast_cancer")


def test_positive_class_out_of_range():
    with pytest.raises(ConfigError, match=r"positive_class: a whole number >= 0 and <= 9, or nothing. Got 10."):
        build("dataset", {"name": "digits", "positive_class": 10})


# --- synthetic_sparse ---------------------------------------------------------------------------------


def test_synthetic_sparse_rows():
    data = load("synthetic_sparse")
    x = data.features
    assert x.shape == (2000, 5000)
    assert x.has_canonical_format
    assert (x.indices.dtype, x.data.dtype) == (np.int32, np.float64)
    assert np.abs(x.multiply(x).sum(1) - 1).max() < 1e-14
    assert x.nnz / 2000 == pytest.approx(54.9, abs=0.5)  # 60 less the repeats: 5000 - sum_j (1 - p_j)^60 = 54.9
    shares = np.arange(1, 5001) ** -0.8 / (np.arange(1, 5001) ** -0.8).sum()
    assert 5000 - ((1 - shares) ** 60).sum() == pytest.approx(54.9, abs=0.05)


@pytest.mark.parametrize("exponent", [0.0, 0.8])
def test_synthetic_sparse_popularity(exponent):
    """P(feature j in a row) = 1 - (1 - p_j)^k; 20 features over 20000 rows.

    Each within 5 standard errors: fails by chance with probability 20 * 6e-7.
    """
    config = {"num_rows": 20000, "num_features": 20, "nonzeros_per_row": 3, "popularity_exponent": exponent}
    x = load({"name": "synthetic_sparse", **config}, seed=3).features
    shares = np.arange(1, 21) ** -exponent
    expected = 1 - (1 - shares / shares.sum()) ** 3
    error = np.sqrt(expected * (1 - expected) / 20000)
    assert (np.abs(x.count_nonzero(axis=0) / 20000 - expected) < 5 * error).all()


def test_synthetic_sparse_noise():
    """The same seed with noise p differs in about n p labels: within 5 sqrt(n p (1-p)), chance 6e-7."""
    clean, noisy = (load({"name": "synthetic_sparse", "noise": noise}) for noise in (0.0, 0.2))
    assert (clean.features != noisy.features).nnz == 0
    assert abs((clean.labels != noisy.labels).sum() - 400) < 5 * 17.9


def test_synthetic_sparse_is_its_seed():
    a, b, c = load("synthetic_sparse", 1), load("synthetic_sparse", 1), load("synthetic_sparse", 2)
    assert a.features.data.tobytes() == b.features.data.tobytes()
    assert a.labels.tobytes() == b.labels.tobytes()
    assert a.features.data.tobytes() != c.features.data.tobytes()


def test_synthetic_sparse_in_blocks(monkeypatch):
    monkeypatch.setattr(synthetic_sparse, "_BLOCK", 100)
    x = load({"name": "synthetic_sparse", "num_rows": 95}).features
    assert x.shape == (95, 5000)
    assert np.abs(x.multiply(x).sum(1) - 1).max() < 1e-14


# --- libsvm ----------------------------------------------------------------------------------------------


def read(path, text, **config):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load({"name": "libsvm", "path": str(path), **config})


def test_libsvm_reads_what_the_format_allows(tmp_path):
    text = "+1 1:0.5 3:-2e-1 # a comment 4:7\n\n-1\t2:1 \r\n# nothing\n1 4:3"
    data = read(tmp_path / "a.txt", text)
    assert data.features.toarray().tolist() == [[0.5, 0, -0.2, 0], [0, 1, 0, 0], [0, 0, 0, 3]]
    assert data.labels.tolist() == [1, -1, 1]
    assert data.name == "a.txt"
    assert data.features.indices.dtype == np.int32


@pytest.mark.parametrize(
    ("given", "expected"),
    [("0 1", [-1, 1]), ("2 1", [1, -1]), ("-1 1", [-1, 1]), ("3 1 2", [3, 1, 2]), ("1 1", [1, 1])],
)
def test_libsvm_labels(tmp_path, given, expected):
    assert read(tmp_path / "a", "".join(f"{label} 1:1\n" for label in given.split())).labels.tolist() == expected


@pytest.mark.parametrize(("suffix", "pack"), [(".xz", lzma.compress), (".gz", gzip.compress), (".bz2", bz2.compress)])
def test_libsvm_unpacks(tmp_path, suffix, pack):
    data = read(tmp_path / f"a{suffix}", pack(b"1 1:2\n0 2:3\n"), num_features=5)
    assert data.features.toarray().tolist() == [[2, 0, 0, 0, 0], [0, 3, 0, 0, 0]]
    with pytest.raises(DataError, match=rf"a\{suffix}: a readable \{suffix} file is needed. Got "):
        read(tmp_path / f"a{suffix}", pack(b"1 1:2\n0 2:3\n" * 100)[:40])


def test_libsvm_below_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("1 1:2\n0 1:1\n")
    assert load({"name": "libsvm", "path": "sub/a"}).features.shape == (2, 1)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), block=st.integers(1, 60))
def test_libsvm_round_trip_whatever_the_blocks(tmp_path, seed, block):
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((7, 9)) * (rng.random((7, 9)) < 0.5)
    dense[0, 8] = 1.0
    lines = [
        f"{i % 2} " + " ".join(f"{j + 1}:{float(v)!r}" for j, v in enumerate(row) if v) for i, row in enumerate(dense)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libsvm, "_BLOCK_BYTES", block)
        data = read(tmp_path / "a", "\n".join(lines))
    assert np.array_equal(data.features.toarray(), dense)
    assert data.labels.tolist() == [-1, 1, -1, 1, -1, 1, -1]


ALLOWED = "'label index:value index:value ...' with whole, rising indices from 1 is allowed"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1 1:2 x", f"{ALLOWED}. Got 'x' as entry 2."),
        ("1 1:2 3", f"{ALLOWED}. Got '3' as entry 2."),
        ("1 1:2:3", f"{ALLOWED}. Got '1:2:3' as entry 1."),
        ("1 1: 2:3", f"{ALLOWED}. Got '1:' as entry 1."),
        ("1 :1 2:3", f"{ALLOWED}. Got ':1' as entry 1."),
        ("1 1:2-3", f"{ALLOWED}. Got '1:2-3' as entry 1."),
        ("1 1: 2:3-4", f"{ALLOWED}. Got '1:' as entry 1."),  # as many numbers as two good entries
        ("1 1.5:2", f"{ALLOWED}. Got '1.5:2' as entry 1."),
        ("1 qid:3 1:2", f"{ALLOWED}. Got 'qid:3' as entry 1."),
        ("1 0:2", f"{ALLOWED}. Got index 0 after 0."),
        ("1 2:2 2:3", f"{ALLOWED}. Got index 2 after 2."),
        ("1 3:2 2:3", f"{ALLOWED}. Got index 2 after 3."),
        ("1 -1:2", f"{ALLOWED}. Got '-1:2' as entry 1."),
        ("1:1 2:2", f"{ALLOWED}, the label a whole number. Got '1:1'."),
        ("yes 2:2", f"{ALLOWED}, the label a whole number. Got 'yes'."),
        ("0.5 2:2", f"{ALLOWED}, the label a whole number. Got '0.5'."),
        ("nan 2:2", f"{ALLOWED}, the label a whole number. Got 'nan'."),
        ("1,2 2:2", f"{ALLOWED}, the label a whole number. Got '1,2'."),
        ("1 1:2 4:nan", "finite numbers are allowed. Got '4:nan', value nan in column 4."),
        ("1 1:-inf 4:1", "finite numbers are allowed. Got '1:-inf', value -inf in column 1."),
        ("1 1:1e999", "finite numbers are allowed. Got '1:1e999', value inf in column 1."),
        ("1 1:2 7:1", "indices up to num_features = 6 are allowed. Got 7."),
        ("1 1:0x10", f"{ALLOWED}. Got '1:0x10' as entry 1."),
        ("1 1:2 \xe9", f"{ALLOWED}. Got 'é' as entry 2."),
    ],
)
def test_libsvm_broken_line(tmp_path, line, sentence):
    path = tmp_path / "a.txt"
    with pytest.raises(DataError) as caught:
        read(path, f"1 1:1\n\n0 2:1\n{line}\n1 1:1\n".encode("latin-1"), num_features=6)
    assert str(caught.value) == f"{path}:4: {sentence}"


def test_libsvm_broken_last_line(tmp_path):
    with pytest.raises(DataError, match=r"a:2: .* Got '1:2-3' as entry 1"):
        read(tmp_path / "a", "0 1:1\n1 1:2-3")


def test_libsvm_line_numbers_count_through_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(libsvm, "_BLOCK_BYTES", 16)
    with pytest.raises(DataError, match=r"a:41: "):
        read(tmp_path / "a", "1 1:1\n" * 40 + "1 1:x\n" + "1 1:1\n" * 9)


def slow_parser(text):
    """Line by line with regular expressions; None where a line is not allowed."""
    rows = []
    for line in text.split("\n"):
        tokens = line.partition("#")[0].split()
        if not tokens:
            continue
        number = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
        pairs = [re.fullmatch(rf"(\d+):({number})", token) for token in tokens[1:]]
        if not re.fullmatch(number, tokens[0]) or float(tokens[0]) % 1 or not all(pairs):
            return None
        indices = [int(pair[1]) for pair in pairs]
        if not all(a < b for a, b in zip([0, *indices], indices, strict=False)):
            return None
        rows.append((float(tokens[0]), dict(zip(indices, (float(pair[2]) for pair in pairs), strict=True))))
    return rows


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["1", "0", "2:3", "4:.5", "3:-1", "5:1e2", " ", " ", "\n", ":", "#", "-", ".", "e", "1:1"])
    )
)
def test_libsvm_is_as_strict_as_a_line_parser(tmp_path, pieces):
    text = "0 1:1\n1 9:1\n" + "".join(pieces)
    expected = slow_parser(text)
    if expected is None:
        with pytest.raises(DataError, match=r"a:\d+: "):
            read(tmp_path / "a", text)
        return
    data = read(tmp_path / "a", text)
    labels = [label for label, _ in expected]
    assert data.labels.tolist() == ([2 * label - 1 for label in labels] if len(set(labels)) == 2 else labels)
    for got, (_, row) in zip(data.features.toarray(), expected, strict=True):
        assert {j + 1: v for j, v in enumerate(got) if v} == row


def test_libsvm_without_samples(tmp_path):
    with pytest.raises(DataError, match=r"at least one line 'label index:value ...' is needed. Got none."):
        read(tmp_path / "a", "\n# nothing\n")
    with pytest.raises(DataError, match=r"at least one 'index:value' is needed. Got none in 2 lines."):
        read(tmp_path / "a", "1\n0\n")


def test_libsvm_file_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("NETSIM_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        load({"name": "libsvm", "path": "rcv1.xz"})
    place = "in the folder that the environment variable NETSIM_DATA names"
    assert str(caught.value) == f"libsvm: rcv1.xz is needed {place} (a file in LIBSVM's text format). Got no such file."
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"rcv1.xz is needed in {tmp_path} "):
        load({"name": "libsvm", "path": "rcv1.xz"})
    with pytest.raises(DataError, match=r"libsvm: /no/rcv1.xz is needed \("):
        load({"name": "libsvm", "path": "/no/rcv1.xz"})
    (tmp_path / "rcv1.xz").mkdir()
    with pytest.raises(DataError, match=r"a readable .xz file is needed. Got .*directory"):
        load({"name": "libsvm", "path": "rcv1.xz"})


def needs(config):
    """The dataset, or a skip with the sentence that says what to put where."""
    dataset = build("dataset", config)
    try:
        files.require(dataset.name, dataset.wants(), getattr(dataset, "data_dir", None))
    except DataError as error:
        pytest.skip(str(error))
    return dataset


def test_a9a():
    """32561 samples, 123 features, 7841 positive (UCI Adult's training part)."""
    data = needs({"name": "libsvm", "path": "a9a/a9a.xz", "num_features": 123}).load(np.random.default_rng(0))
    assert data.features.shape == (32561, 123)
    assert (data.labels == 1).sum() == 7841


# --- reuters21578 --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_reuters21578():
    """11367 of 21578 documents have a topic, 6416 of them earn or acq; 47724 words in all documents."""
    data = needs("reuters21578").load(np.random.default_rng(0))
    assert data.features.shape == (11367, 47724)
    assert ((data.labels == 1).sum(), (data.labels == -1).sum()) == (6416, 4951)
    lengths = data.features.multiply(data.features).sum(1)
    assert np.abs(lengths - 1).max() < 1e-12


def test_reuters21578_is_missing(monkeypatch, tmp_path):
    with pytest.raises(DataError) as caught:
        load({"name": "reuters21578", "data_dir": str(tmp_path)})
    text = str(caught.value)
    assert text.startswith("reuters21578: reuters21578/reuters21578.tar.xz or reuters21578/reuters21578.tar.gz or ")
    assert f"is needed in {tmp_path} (Reuters-21578, Distribution 1.0, 22 files" in text
    assert text.endswith("Got no such file.")


def test_reuters21578_is_damaged(tmp_path):
    folder = tmp_path / "reuters21578"
    folder.mkdir()
    (folder / "reut2-000.sgm").write_text("<REUTERS X><TOPICS></TOPICS></REUTERS>")
    with pytest.raises(DataError, match=r"reut2-000.sgm: 21578 documents in 22 files are needed. Got 1."):
        load({"name": "reuters21578", "data_dir": str(tmp_path)})
    (folder / "reuters21578.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"reuters21578.tar.gz: a readable archive is needed"):
        load({"name": "reuters21578", "data_dir": str(tmp_path)})
    (folder / "reuters21578.tar.xz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"tar.xz is needed undamaged, with the sha256 e0ac8cb.* Got [0-9a-f]{64}."):
        load({"name": "reuters21578", "data_dir": str(tmp_path)})


def test_a_reuters_document():
    """Topics, and the text of title and body; without a body, all text between tags."""
    head = "<REUTERS A><TOPICS><D>earn</D><D>acq</D></TOPICS>"
    whole = f"{head}<TEXT><TITLE>PROFIT &lt;ABC></TITLE><DATELINE>X</DATELINE><BODY>up\n5&amp;6</BODY></TEXT></REUTERS>"
    assert reuters21578._topics(whole) == ["earn", "acq"]
    assert reuters21578._words(whole) == "PROFIT <ABC> up\n5&6"
    assert reuters21578._words(f'{head}<TEXT TYPE="UNPROC">only <I>this</I></TEXT></REUTERS>') == "only  this "
    assert reuters21578._topics("<REUTERS A></REUTERS>") == []


# --- what `netsim data` asks ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({"breast_cancer", "digits", "synthetic_sparse", "libsvm", "reuters21578"}))
def test_every_dataset_says_what_it_needs(name, monkeypatch, tmp_path):
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path))
    cls = type(build("dataset", {"name": name, **({"path": "x.txt"} if name == "libsvm" else {})}))
    dataset = build("dataset", {"name": name, **cls.examples[0]})
    assert name in names("dataset")
    assert dataset.found() is None
    for file in dataset.wants():
        path = Path(tmp_path, file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        assert dataset.found() == path
        os.unlink(path)
        assert file.note
        assert re.fullmatch("|[0-9a-f]{64}", file.sha256)
