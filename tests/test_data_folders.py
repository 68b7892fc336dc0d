"""Folders of images, with classes or masks, read in bounded memory."""

import sys

import numpy as np
import pytest
from PIL import Image

from fr_bench import data

SPLITS = ("train", "validation", "test")


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def classes(path, names=("cat", "dog"), rows=6, size=(20, 24), suffix=".png"):
    """A folder for each class; the first pixel says the class and the number of the image."""
    for number, name in enumerate(names):
        for i in range(rows):
            write(path / name / f"{i:02d}{suffix}", np.full((*size, 3), 100 * number + i))
    return path


def masks(path, rows=6, size=(20, 24), values=(0, 1)):
    """Images of which the left half is bright, and masks of the left half."""
    for i in range(rows):
        half = np.arange(size[1]) < size[1] // 2
        write(path / "images" / f"{i}.png", np.broadcast_to(half * (200 + i), size))
        write(path / "masks" / f"{i}.png", np.broadcast_to(np.where(half, *values[::-1]), size))
    return path


def rows_of(found):
    return {name: len(getattr(found, name)) for name in SPLITS}


#: The folders of a layout, the splits that are drawn, and the rows of train, validation and test.
LAYOUTS = {
    "flat": ((".",), ("validation", "test"), (9, 1, 2)),
    "train and test": (("train", "test"), ("validation",), (11, 1, 12)),
    "val": (("train", "val", "test"), (), (12, 12, 12)),
    "validation": (("train", "validation", "test"), (), (12, 12, 12)),
}


@pytest.mark.parametrize("make", [classes, masks])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_of_folders(tmp_path, make, layout):
    names, drawn, rows = LAYOUTS[layout]
    for name in names:
        make(tmp_path / name, rows=6 if make is classes else 12)
    found = data.load(str(tmp_path))
    assert found.drawn == drawn
    assert tuple(rows_of(found).values()) == rows
    for name in SPLITS:
        split = getattr(found, name)
        assert isinstance(split.x, np.memmap)
        assert (split.x.dtype, split.x.shape[1:]) == (np.uint8, (20, 24, 3))
        if make is classes:
            np.testing.assert_array_equal(split.x[:, 0, 0, 0] // 100, split.y)
        else:
            np.testing.assert_array_equal(split.x[..., 0] > 100, split.y)
    assert found.labels == (("cat", "dog") if make is classes else ("0", "1"))
    assert found.normalization == (1 / 255, 0)


def test_drawn_splits_share_no_row_and_are_the_same_each_time(tmp_path):
    classes(tmp_path, rows=20)
    first, second = data.load(str(tmp_path)), data.load(str(tmp_path))
    pixels = {name: {*getattr(first, name).x[:, 0, 0, 0].tolist()} for name in SPLITS}
    assert sum(map(len, pixels.values())) == len(set.union(*pixels.values())) == 40
    for name in SPLITS:
        np.testing.assert_array_equal(getattr(first, name).x, getattr(second, name).x)


def test_colours_and_grey(tmp_path):
    for name in ("a", "b"):
        for i in range(4):
            write(tmp_path / name / f"{i}.png", np.full((16, 16, 3), (250, 100 + i, 0)))
    assert data.load(str(tmp_path)).train.x[0, 0, 0].tolist()[::2] == [250, 0]
    grey = data.load(str(tmp_path), channels=1).train.x
    assert grey.shape[1:] == (16, 16, 1)
    assert 100 < grey.mean() < 200
    with pytest.raises(ValueError, match=r"`channels` must be 1 or 3\. Received: 4"):
        data.load(str(tmp_path), channels=4)


def test_resized_masks_are_not_smoothed(tmp_path):
    masks(tmp_path, size=(33, 47), values=(0, 7))
    found = data.load(str(tmp_path), image_size=(16, 20))
    assert found.train.x.shape[1:] == (16, 20, 3)
    assert {*np.unique(found.train.y)} == {0, 7}
    assert found.labels == tuple("01234567")
    # They lie where the image lies.
    assert np.mean((found.train.x[..., 0] > 100) == (found.train.y == 7)) > 0.95


def test_masks_of_black_and_white_and_of_palettes(tmp_path):
    masks(tmp_path / "white", values=(0, 255))
    white = data.load(str(tmp_path / "white"))
    assert ({*np.unique(white.train.y)}, white.labels) == ({0, 255}, ("0", "1"))
    masks(tmp_path / "palette", values=(0, 1))
    for file in (tmp_path / "palette" / "masks").iterdir():
        with Image.open(file) as mask:
            indexed = Image.fromarray(np.asarray(mask), "L").convert("P")
        indexed.putdata(list(np.asarray(mask).ravel()))
        indexed.putpalette([0, 0, 0, 200, 30, 90])
        indexed.save(file)
    assert {*np.unique(data.load(str(tmp_path / "palette")).train.y)} == {0, 1}


def test_a_second_folder_for_validation(tmp_path):
    classes(tmp_path / "data", rows=10)
    classes(tmp_path / "more", rows=3, size=(40, 48))
    found = data.load(str(tmp_path / "data"), validation=str(tmp_path / "more"))
    assert rows_of(found) == {"train": 16, "validation": 6, "test": 4}
    assert (found.drawn, found.validation.x.shape[1:]) == (("test",), (20, 24, 3))
    for wrong in (tmp_path / "none", masks(tmp_path / "masks"), classes(tmp_path / "c", "ab")):
        with pytest.raises(ValueError, match=r"`(data|validation)` must"):
            data.load(str(tmp_path / "data"), validation=str(wrong))
    for name in ("train", "val", "test"):
        classes(tmp_path / "all" / name)
    for source, second in (("data", "all"), ("all", "more")):
        with pytest.raises(ValueError, match="`validation` must"):
            data.load(str(tmp_path / source), validation=str(tmp_path / second))


def test_files_that_keras_does_not_read_are_counted(tmp_path):
    classes(tmp_path)
    for name in ("x.webp", "y.webp"):
        Image.new("RGB", (24, 20)).save(tmp_path / "cat" / name)
    (tmp_path / "cat" / "notes.txt").write_text("a cat")
    message = r"3 files in '.*cat' are left out.*: 1 \.txt, 2 \.webp"
    with pytest.warns(UserWarning, match=message):
        assert sum(rows_of(data.load(str(tmp_path))).values()) == 12


def test_hidden_files_and_folders_are_no_data(tmp_path):
    classes(tmp_path)
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"0")
    (tmp_path / "cat" / "._00.png").write_bytes(b"no image")  # as macOS leaves them
    write(tmp_path / "dog" / ".trash" / "9.png", np.zeros((20, 24, 3)))
    write(tmp_path / ".cache" / "9.png", np.zeros((20, 24, 3)))
    found = data.load(str(tmp_path))
    assert (found.labels, sum(rows_of(found).values())) == (("cat", "dog"), 12)
    for name in SPLITS:
        split = getattr(found, name)
        np.testing.assert_array_equal(split.x[:, 0, 0, 0] // 100, split.y)


def halved(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif"])
@pytest.mark.parametrize("size", [None, (16, 16)])
def test_a_broken_image_is_named(tmp_path, suffix, size):
    for what in (halved, lambda file: file.write_bytes(b""), lambda file: file.write_text("no")):
        file = classes(tmp_path, rows=3, suffix=suffix) / "dog" / f"01{suffix}"
        what(file)
        with pytest.raises(ValueError, match=rf"dog.01\{suffix}' is damaged"):
            data.load(str(tmp_path), image_size=size)


@pytest.mark.parametrize("suffix", [".gif", ".bmp"])
def test_an_image_that_keras_does_not_read_in_grey_is_named(tmp_path, suffix):
    classes(tmp_path, suffix=suffix)
    message = rf"cat.00\{suffix}' is damaged, or of a kind .*\.png.*Received: .?channels"
    with pytest.raises(ValueError, match=message):
        data.load(str(tmp_path), channels=1)


def test_unfit_folders_are_named(tmp_path):
    def refused(match, path, **arguments):
        with pytest.raises(ValueError, match=f"`data` must.*{match}"):
            data.load(str(path), **arguments)

    classes(tmp_path / "no test" / "train")
    classes(tmp_path / "no test" / "val")
    refused("'train' and 'test'.*with .*'train', 'val'", tmp_path / "no test")
    for name in ("train", "test", "val", "validation"):
        classes(tmp_path / "both" / name)
    refused("one of the folders 'val' and 'validation'", tmp_path / "both")
    classes(tmp_path / "empty")
    (tmp_path / "empty" / "owl").mkdir()
    refused(r"in every class.*none in \['owl'\]", tmp_path / "empty")
    classes(tmp_path / "other" / "train")
    classes(tmp_path / "other" / "test", names=("cat", "cow"))
    refused("same classes.*cow", tmp_path / "other")
    classes(tmp_path / "few", rows=1)
    refused("more rows", tmp_path / "few")


def test_vehicles_may_have_a_class_train(tmp_path):
    assert data.load(str(classes(tmp_path, names=("bus", "train")))).labels == ("bus", "train")


def renamed(file):
    file.rename(file.with_suffix(".jpg"))


def test_unfit_masks_are_named(tmp_path):
    def refused(match, change):
        path = masks(tmp_path / str(len([*tmp_path.iterdir()])))
        change(path)
        with pytest.raises(ValueError, match=f"`data` must.*{match}"):
            data.load(str(path))

    refused("no partner: 3", lambda path: (path / "masks" / "3.png").unlink())
    refused("no partner: 3", lambda path: (path / "images" / "3.png").unlink())
    colours = np.full((20, 24, 3), (0, 1, 2))
    refused("of one channel.*1.png", lambda path: write(path / "masks" / "1.png", colours))
    other_size = np.zeros((24, 20))
    refused("size of their images", lambda path: write(path / "masks" / "1.png", other_size))
    refused("keeps their numbers", lambda path: renamed(path / "masks" / "1.png"))
    refused("1.png' is damaged", lambda path: halved(path / "masks" / "1.png"))
    refused("1.png' is damaged", lambda path: halved(path / "images" / "1.png"))
    for name in ("train", "test"):
        (masks if name == "train" else classes)(tmp_path / "mixed" / name)
    with pytest.raises(ValueError, match="masks in each split or in none"):
        data.load(str(tmp_path / "mixed"))


def test_pillow_is_needed_only_for_sizes_and_masks(tmp_path, monkeypatch):
    classes(tmp_path / "classes")
    masks(tmp_path / "masks")
    monkeypatch.setitem(sys.modules, "PIL", None)
    found = data.load(str(tmp_path / "classes"), image_size=(16, 16))
    assert found.train.x.shape[1:] == (16, 16, 3)
    for name, size in (("classes", None), ("masks", (16, 16))):
        with pytest.raises(ImportError, match=r"pip install 'fr-keras\[images\]'"):
            data.load(str(tmp_path / name), image_size=size)


def test_the_folder_of_a_class_may_be_a_link(tmp_path):
    classes(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere" / name)
    assert sum(rows_of(data.load(str(tmp_path / "data"))).values()) == 12


def test_reading_leaves_the_random_state(tmp_path):
    classes(tmp_path)
    np.random.seed(7)  # noqa: NPY002 - it is the global state that Keras uses
    data.load(str(tmp_path))
    found = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    assert found == np.random.random()  # noqa: NPY002


# What reading changes is told


def test_images_that_stay_as_they_are_need_no_word(tmp_path):
    classes(tmp_path / "a")
    masks(tmp_path / "b", rows=6)
    assert data.load(str(tmp_path / "a")).changes == ()
    assert data.load(str(tmp_path / "a"), (20, 24)).changes == ()
    assert data.load(str(tmp_path / "b"), channels=1).changes == ()


def test_other_sizes_are_told_of_every_split(tmp_path):
    classes(tmp_path / "d" / "train", size=(10, 12))
    classes(tmp_path / "d" / "test", size=(20, 24))
    classes(tmp_path / "v", rows=3, size=(30, 20))
    found = data.load(str(tmp_path / "d"), (20, 24), validation=str(tmp_path / "v"))
    assert found.changes == (
        "18 of 30 images are resized from 10x12, 30x20 to 20x24 (height x width).",
    )
    classes(tmp_path / "d" / "test", names=("cat",), rows=1, size=(40, 40))
    (told,) = data.load(str(tmp_path / "d"), (16, 16)).changes
    assert told.startswith("24 of 24 images are resized from 10x12, 20x24 and 1 other sizes to")


@pytest.mark.parametrize(
    ("mode", "channels", "told"),
    [
        ("L", 3, "6 of 12 images are stored in grey and read in colour."),
        ("1", 3, "6 of 12 images are stored in grey and read in colour."),
        ("LA", 3, "6 of 12 images are stored in grey and read in colour."),
        ("P", 1, "12 of 12 images are stored in colour and read in grey."),
        ("RGBA", 1, "12 of 12 images are stored in colour and read in grey."),
        ("L", 1, "6 of 12 images are stored in colour and read in grey."),
        ("P", 3, None),
        ("RGBA", 3, None),
    ],
)
def test_other_colours_are_told(tmp_path, mode, channels, told):
    """The images of one class, beside those of another in colour."""
    classes(tmp_path)
    for file in (tmp_path / "cat").iterdir():
        with Image.open(file) as image:
            changed = image.convert(mode)
        changed.save(file)
    assert data.load(str(tmp_path), channels=channels).changes == (() if told is None else (told,))


def test_the_images_of_masks_are_told_and_the_masks_are_not(tmp_path):
    found = data.load(str(masks(tmp_path)), (10, 12))
    assert found.changes == (
        "6 of 6 images are resized from 20x24 to 10x12 (height x width).",
        "6 of 6 images are stored in grey and read in colour.",
    )


def test_without_pillow_a_new_size_is_told_all_the_same(tmp_path, monkeypatch):
    classes(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert data.load(str(tmp_path), (10, 12)).changes == (
        "Images of another size than 10x12 are resized to it.",
    )


def test_one_hot_labels_are_told(tmp_path):
    x, y = np.zeros((8, 6, 6), np.uint8), np.arange(8) % 4
    told = {}
    for name, labels in (("one-hot", np.eye(4)[y]), ("integers", y)):
        arrays = {"x_train": x, "y_train": labels, "x_test": x, "y_test": labels}
        np.savez(tmp_path / "d.npz", **arrays)
        told[name] = data.load(str(tmp_path / "d.npz")).changes
    assert told == {
        "one-hot": ("One-hot labels are read as the numbers of their classes.",),
        "integers": (),
    }


@pytest.mark.parametrize("make", [classes, masks])
@pytest.mark.parametrize("rows", [3, 40])  # the disk is found to be full at the end, or before
def test_a_full_disk_is_told_with_the_way_out(tmp_path, monkeypatch, make, rows):
    make(tmp_path, rows=rows)
    full = lambda: open("/dev/full", "w+b")  # noqa: E731, SIM115
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(OSError, match=r"folder for temporary files, .* is full after .*TMPDIR"):
        data.load(str(tmp_path))
