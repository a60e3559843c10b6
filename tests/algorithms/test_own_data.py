"""Images, tables and arrays: what is read, and what is said of damaged files."""

import gzip
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest
import scipy.sparse as sp

from algorithms.datasets.arrays import Arrays
from algorithms.reading.cifar import CLASSES
from netsim.errors import ConfigError, DataError
from netsim.registry import build
from tests.support import stand_ins

DATA = os.environ.get("NETSIM_DATA", "")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The data folder of the test, which is not the working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path))
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path


def load(config, seed=0):
    return build("dataset", config).load(np.random.default_rng(seed))


# --- images --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_images(name, packed, folder):
    own = folder / name.replace("_", "-")
    stand_ins.images(own)
    pixels = np.random.default_rng(0).integers(0, 256, (stand_ins.TRAIN, 28, 28))
    for file in list(own.iterdir()) if packed else ():
        (own / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    data = load(name)
    assert np.array_equal(data.features, pixels.reshape(40, 784) / 255)
    assert data.labels.tolist() == [i % 10 for i in range(40)]
    assert data.test_features.shape == (20, 784)
    assert data.shape == (1, 28, 28)
    dataset = build("dataset", name)
    assert len(dataset.files()) == 4
    dataset.files()[3].unlink()
    assert dataset.found() is None
    with pytest.raises(DataError, match=rf"{name}: {own.name}/t10k-labels-idx1-ubyte.gz or .* is needed in "):
        load(name)


def test_mnist_of_the_data_folder(monkeypatch):
    """60000 and 10000 images; 5923 zeros and 980 in the test part, as LeCun's page counts them."""
    monkeypatch.setenv("NETSIM_DATA", DATA)
    if build("dataset", "mnist").found() is None:
        pytest.skip("mnist/ is not in the folder that NETSIM_DATA names")
    data = load("mnist")
    assert (data.labels.size, data.test_labels.size) == (60000, 10000)
    assert ((data.labels == 0).sum(), (data.test_labels == 0).sum()) == (5923, 980)


def cifar_tar(path, members):
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def batch_files(folder):
    stand_ins.batches(folder / "made")
    return {file.name: file.read_bytes() for file in sorted((folder / "made").iterdir())}


def test_cifar_batches_in_a_tar_and_in_a_folder(folder):
    own = folder / "cifar10"
    own.mkdir()
    members = [(f"cifar-10-batches-py/{name}", content) for name, content in batch_files(folder).items()]
    cifar_tar(own / "cifar-10-python.tar.gz", [*members, ("cifar-10-batches-py/readme.html", b"x")])
    packed = load("cifar10")
    (own / "cifar-10-python.tar.gz").unlink()
    stand_ins.batches(own / "cifar-10-batches-py")
    unpacked = load("cifar10")
    assert np.array_equal(packed.features, unpacked.features)
    assert packed.features.shape == (50, 3072)
    assert packed.features.dtype == np.float32
    assert packed.labels.tolist() == list(range(10)) * 5
    first = pickle.loads((own / "cifar-10-batches-py" / "data_batch_1").read_bytes(), encoding="bytes")[b"data"]
    assert np.array_equal(np.rint(packed.features[:10] * 255).astype(np.uint8), first)
    assert packed.shape == (3, 32, 32)
    assert load({"name": "cifar10", "classes": ["cat", "dog"]}).labels.tolist() == [-1, 1] * 5


def test_cifar_images(folder):
    """Folders by class; a PNG keeps its pixels."""
    image = pytest.importorskip("PIL.Image")
    (folder / "cifar10-jpg").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)
    members = []
    for i, part in enumerate(["train"] * 10 + ["test"] * 10):
        stream = io.BytesIO()
        image.fromarray(pixels[i]).save(stream, "PNG")
        members.append((f"{part}/{CLASSES[i % 10]}/{i:04}.png", stream.getvalue()))
    path = folder / "cifar10-jpg" / "cifar10-jpg.tar.xz"
    cifar_tar(path, members[::-1])
    for _ in range(2):  # decoded, and from the cache
        data = load("cifar10")
        assert data.name == "CIFAR-10 (JPEG)"
        assert data.labels.tolist() == list(range(10))
        assert np.rint(data.features * 255).reshape(10, 3, 32, 32).transpose(0, 2, 3, 1) == pytest.approx(pixels[:10])
    assert list((folder / "cache").glob("cifar10-*.bin"))
    cifar_tar(path, [("train/cat/1.png", b"no image")])
    with pytest.raises(DataError, match=r"tar.xz: train/cat/1.png: a JPEG or PNG image is needed"):
        load("cifar10")
    cifar_tar(path, [("train/cats/1.png", b"")])
    with pytest.raises(DataError, match=r"train/cats/1.png: images as train/CLASS/NAME or test/CLASS/NAME are needed"):
        load("cifar10")


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


DAMAGES = {
    "gzip without its name": (
        "mnist/train-images-idx3-ubyte", lambda whole: gzip.compress(whole),
        "an IDX file is needed at byte 0. Got gzip; name it train-images-idx3-ubyte.gz.",
    ),
    "one image less than announced": (
        "mnist/train-images-idx3-ubyte", lambda whole: whole[:-784],
        "40 x 28 x 28 = 31360 bytes are needed after the header of 16. Got 30576.",
    ),
    "a byte too many": (
        "mnist/train-images-idx3-ubyte", lambda whole: whole + b"x",
        "40 x 28 x 28 = 31360 bytes are needed after the header of 16. Got more.",
    ),
    "labels of another length": (
        "mnist/train-labels-idx1-ubyte", lambda whole: stand_ins.idx(np.arange(39) % 10),
        "40 labels are needed, one for each image of",
    ),
    "labels to 254": (
        "mnist/train-labels-idx1-ubyte", lambda whole: stand_ins.idx(np.arange(215, 255)),
        "labels 0 to 9 are needed. Got 215 for image 0 (from 0).",
    ),
    "no rows": (
        "mnist/train-images-idx3-ubyte", lambda whole: struct.pack(">4I", 0x803, 40, 0, 28),
        "sizes from 1 and at most 2147483648 bytes in all are needed at byte 4. Got 40 x 0 x 28.",
    ),
    "2^31 x 2^31": (
        "mnist/train-images-idx3-ubyte", lambda whole: struct.pack(">4I", 0x803, 1, 1 << 31, 1 << 31),
        "in all are needed at byte 4. Got 1 x 2147483648 x 2147483648.",
    ),
    "nothing": (
        "mnist/train-images-idx3-ubyte", lambda whole: b"", "an IDX header of 16 bytes is needed. Got 0.",
    ),
    "a pickle that wants more": (
        "cifar10/cifar-10-batches-py/data_batch_1", lambda whole: pickle.dumps(Bomb()),
        "a batch of CIFAR-10 is needed, a dict of data and labels. Got a pickle that wants posix.system.",
    ),
    "a ragged row": (
        "own.csv", lambda whole: whole + b"1,2,3,4,5,6\n",
        "lines with as many values as the first are needed. Got: Expected 5 fields in line 32, saw 6.",
    ),
    "a short row": (
        "own.csv", lambda whole: whole + b"1,2,red\n", "own.csv:32: column 'site': a value is needed. Got nothing.",
    ),
    "a Parquet file cut short": (
        "own.parquet", lambda whole: whole[:-20], "a whole Parquet file is needed. Got: ",
    ),
    "an npz cut short": (
        "own.npz", lambda whole: whole[:-20], "a whole .npz file of plain arrays is needed. Got: ",
    ),
    "another magic number": (
        "mnist/train-labels-idx1-ubyte", lambda whole: b"\x00\x00\x09\x01" + whole[4:],
        "the magic number 2049 of 1-dimensional bytes is needed at byte 0. Got 2305.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files(damage, folder):
    """A sentence with file and place, and nothing is written."""
    name, change, sentence = DAMAGES[damage]
    stand_ins.images(folder / "mnist")
    stand_ins.batches(folder / "cifar10" / "cifar-10-batches-py")
    stand_ins.tables(folder)
    stand_ins.arrays(folder)
    config = {"mnist": "mnist", "cifar10": "cifar10"}.get(name.partition("/")[0])
    config = config or {"name": name.rpartition(".")[2], "path": name}
    load(config)
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError) as caught:
        load(config)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert sentence in text
    assert "\n" not in text
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_tar_that_leaves_its_folder(name, folder):
    (folder / "cifar10").mkdir()
    path = folder / "cifar10" / "cifar-10-python.tar.gz"
    cifar_tar(path, [(name, b"x")])
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(DataError) as caught:
        load("cifar10")
    assert str(caught.value) == f"{path}: plain files below the archive's own folder are needed. Got {name!r}."
    assert sorted(folder.parent.rglob("*")) == before


def test_a_tar_cut_short_or_without_a_batch(folder):
    (folder / "cifar10").mkdir()
    path = folder / "cifar10" / "cifar-10-python.tar.gz"
    members = list(batch_files(folder).items())
    cifar_tar(path, members[1:])
    with pytest.raises(DataError, match=r"tar.gz: the batches .* are needed. Got no data_batch_1."):
        load("cifar10")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"tar.gz: a readable archive is needed. Got "):
        load("cifar10")
    cifar_tar(path, [])
    with pytest.raises(DataError, match=r"batches, or images in train and test, are needed. Got no images."):
        load("cifar10")


# --- tables --------------------------------------------------------------------------------------------


def write(folder, text, name="t.csv"):
    (folder / name).write_text(text)
    return {"name": "csv", "path": name}


@pytest.mark.parametrize(
    ("body", "line"),
    [("3,nan,y\n", 2), ("\n3,nan,y\n", 3), ("1,2,x\n\n \n3,nan,y\n", 5), ("1,2,\"x\nz\"\n3,nan,y\n", 4),
     ("1,2,x\n,,\n", 3), ("1,2,x\r\n\r\n3,nan,y\r\n", 4), ("1,2,x\n\n3,1e-400,y\n", 4), ("1,2,x\n\n3,z,y\n", 4),
     ("1,2,x\r3,nan,y\r", 3)],
)  # fmt: skip
def test_a_line_of_a_csv_file_is_that_of_an_editor(body, line, folder):
    """Blank lines count although they hold no row, and so do the lines inside a quoted cell."""
    (folder / "own.csv").write_text("a,b,kind\n" + body, newline="")
    with pytest.raises(DataError, match=rf"own.csv:{line}: column "):
        load({"name": "csv", "path": "own.csv", "target": "kind"})


def test_csv_columns(folder):
    """Numbers as they are, texts one-hot in the order of the alphabet, true and false as 1 and 0."""
    config = write(folder, "x,on,kind,y\n1.5,True,b,low\n-2,False,a,high\n0,True,b,low\n")
    data = load(config)
    assert data.features.tolist() == [[1.5, 1, 0, 1], [-2, 0, 1, 0], [0, 1, 0, 1]]
    assert data.class_names == ("high", "low")
    assert data.labels.tolist() == [1, -1, 1]
    assert load({**config, "target": "x"}).labels.tolist() == [1.5, -2, 0]
    assert load({**config, "target": "kind", "ignore": ["y", "on"]}).features.tolist() == [[1.5], [-2], [0]]
    grouped = load({**config, "node_column": "kind"})
    assert grouped.groups.tolist() == [1, 0, 1]
    assert grouped.features.shape == (3, 2)
    semicolons = write(folder, "x;y\n1;2.5\n3;4.5\n", "s.csv")
    assert load({**semicolons, "separator": ";"}).labels.tolist() == [2.5, 4.5]


def test_parquet_and_npz_and_openml_are_read_alike(folder):
    stand_ins.tables(folder)
    stand_ins.arrays(folder)
    csv, parquet = (load({"name": name, "path": f"own.{name}", "target": "species"}) for name in ("csv", "parquet"))
    assert np.array_equal(csv.features, parquet.features)
    assert np.array_equal(csv.labels, parquet.labels)
    assert np.array_equal(load({"name": "openml", "id": 61}).features, csv.features)
    assert load({"name": "npz", "path": "own.npz"}).features.shape == (12, 3)


@pytest.mark.parametrize(
    ("text", "keys", "error", "sentence"),
    [
        ("x,y\n1,\n", {}, DataError, ":2: column 'y': a value is needed. Got nothing."),
        ("x,y\n1,2\ninf,2\n", {}, DataError, ":3: column 'x': a value is needed. Got inf."),
        ("x,y\n", {}, DataError, "at least one row of values is needed. Got none."),
        ("", {}, DataError, "Got: No columns to parse from file."),
        ("y\n1\n", {}, DataError, "a column beside the target 'y' is needed. Got none."),
        ("x,y\n1,2\n", {"target": "z"}, ConfigError, "dataset.target: a column of "),
        ("weight,y\n1,2\n", {"node_column": "weigth"}, ConfigError, "Got 'weigth'. Nearest: weight."),
        ("x,y\n1,2\n", {"ignore": ["q"]}, ConfigError, "dataset.ignore: a column of "),
    ],
)
def test_what_a_table_must_have(text, keys, error, sentence, folder):
    with pytest.raises(error) as caught:
        load({**write(folder, text), **keys})
    assert sentence in str(caught.value)


def test_files_are_looked_for_in_the_working_folder_first(folder):
    write(folder, "x,y\n1,5\n")
    assert load({"name": "csv", "path": "t.csv"}).labels.tolist() == [5]
    write(folder / "here", "x,y\n1,6\n")
    assert load({"name": "csv", "path": "t.csv"}).labels.tolist() == [6]


# --- arrays --------------------------------------------------------------------------------------------


def test_arrays_of_every_library():
    import pandas as pd

    x, y = np.random.default_rng(0).standard_normal((6, 4)), np.arange(6) % 3
    plain = Arrays.of(x, y)
    frame = pd.DataFrame(x)
    assert Arrays.of(frame, pd.Series(y)) == plain
    assert Arrays.of(x.tolist(), y.tolist()) == plain
    sparse = Arrays.of(sp.csr_array(x), y, subsample=3)
    assert sparse.load(np.random.default_rng(0)).features.shape == (3, 4)
    images = Arrays.of(x.reshape(6, 2, 2), y, test_features=x[:2].reshape(2, 2, 2), test_labels=[0, 1], groups=[7] * 6)
    data = images.load(np.random.default_rng(0))
    assert (data.shape, data.test_features.shape, data.groups.tolist()) == ((2, 2), (2, 4), [0] * 6)
    assert build("dataset", {"name": "arrays", "sha256": plain.sha256}) == plain


def test_arrays_of_torch():
    torch = pytest.importorskip("torch")
    x = np.arange(12.0).reshape(6, 2)
    assert Arrays.of(torch.tensor(x, requires_grad=True), torch.arange(6)) == Arrays.of(x, np.arange(6))


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((["a", "b"], [0, 1]), "features: numbers are needed. Got <U1."),
        (([[1.0]], [[1, 2]]), "labels: a vector with a label for each sample is needed. Got shape (1, 2)."),
        (([[1.0]], [1], [[2.0]]), "arrays: test_features and test_labels are needed together. Got one of them."),
    ],
)
def test_what_are_no_arrays(parts, sentence):
    with pytest.raises(DataError) as caught:
        Arrays.of(*parts)
    assert str(caught.value) == sentence


def test_arrays_of_another_machine():
    with pytest.raises(DataError, match=r"arrays: .*/arrays/1{64}.npz is needed \(arrays handed over in Python"):
        load({"name": "arrays", "sha256": "1" * 64})


# --- scikit-learn ---------------------------------------------------------------------------------------


def test_sklearn():
    assert load({"name": "sklearn", "loader": "load_wine"}).features.shape == (178, 13)
    with pytest.raises(ConfigError, match=r"dataset.loader: a dataset of scikit-learn; .* Got 'irs'. Nearest: iris."):
        load({"name": "sklearn", "loader": "irs"})


def test_sklearn_of_what_was_not_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"sklearn: the data of sklearn.datasets.fetch_covtype are needed on this mach"):
        load({"name": "sklearn", "loader": "covtype"})


# --- map-style datasets ------------------------------------------------------------------------------------

OWN = """
class Squares:
    def __init__(self, size, odd=False):
        self.size, self.odd = size, odd
    def __len__(self):
        return self.size
    def __getitem__(self, i):
        if i >= self.size:
            raise IndexError(i)
        return [[[i, i], [0, 2 * i + self.odd]]], i % 2
def ragged():
    return [([1.0], 0), ([1.0, 2.0], 1)]
def nothing():
    return 3
"""


def test_map_style(folder):
    (folder / "here" / "squares.py").write_text(OWN)
    config = {"name": "map_style", "module": "squares.py:Squares", "arguments": {"size": 4}}
    data = load({**config, "test_arguments": {"size": 2, "odd": True}})
    assert data.features[3].tolist() == [3, 3, 0, 6]
    assert data.labels.tolist() == [-1, 1, -1, 1]
    assert data.test_features.tolist() == [[0, 0, 0, 1], [1, 1, 0, 3]]
    assert data.shape == (1, 2, 2)
    assert [file.name for file in build("dataset", config).files()] == ["squares.py"]
    with pytest.raises(DataError, match=r"squares.py:ragged: samples of one shape are needed. Got several shapes."):
        load({"name": "map_style", "module": "squares.py:ragged"})
    for module, got in (("nothing", "TypeError"), ("Squares", "TypeError"), ("none", "AttributeError")):
        with pytest.raises(ConfigError, match=f"module: .* Got {got}"):
            load({"name": "map_style", "module": f"squares.py:{module}"})
