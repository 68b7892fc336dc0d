"""`fr_bench.page` and `fr-keras serve`: networks of one's own in a browser."""

import json
import math
import threading
import urllib.error
import urllib.request
from urllib.parse import quote

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import fr_archive
from fr_archive import Archive, Quantized, Reference
from fr_bench import page
from fr_bench.page import _entries
from fr_keras import tflite
from fr_keras_cli import main

pytestmark = pytest.mark.usefixtures("stepwise_module")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def content(network) -> bytes:
    options = {"labels": ("a", "b", "c"), "normalization": (0.5, -1.0)}
    return tflite.convert(network, **options).content


def test_a_file_is_described(network, content):
    x = np.random.default_rng(1).random((2, 28, 28, 1), np.float32)
    one = page.bundled("a.tflite", content, "float32", x)
    assert one.line["task"] == "digits"
    assert one.line["shape"] == [28, 28, 1]
    assert one.line["capacities"] == []
    assert one.line["labels"] == ["a", "b", "c"]
    assert one.line["normalization"] == {"scale": 0.5, "offset": -1.0}
    assert one.line["download_bytes"] < one.line["bytes"] == len(content)
    rows = np.frombuffer(one.rows, "<f4")
    np.testing.assert_array_equal(rows[: x.size], x.ravel())
    np.testing.assert_allclose(rows[x.size :].reshape(2, 3), network.predict(x, verbose=0), 1e-4)
    assert json.loads(page.index([one]))["files"] == [one.line]


def test_files_with_int8_ends_are_refused(network):
    x = np.random.default_rng(1).random((8, 28, 28, 1), np.float32)
    int8 = tflite.convert(network, quantize="int8", calibration=x).content
    with pytest.raises(ValueError, match=r"'a.tflite' must have .*--float-io.* Received: .*int8"):
        page.bundled("a.tflite", int8)


def test_files_of_an_open_size_are_refused(network):
    content = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    assert [one.is_open for one in tflite.inspect(content).inputs] == [True]
    with pytest.raises(
        ValueError, match=r"'a.tflite' must have .*fixed size.* Received: .*float32"
    ):
        page.bundled("a.tflite", content)


@pytest.mark.parametrize(
    ("taken", "given", "task"),
    [
        ((28, 28, 1), (10,), "digits"),
        ((28, 28, 3), (10,), "other"),
        ((64, 64, 1), (64, 64, 2), "segmentation"),
        ((64, 32, 1), (64, 32, 2), "other"),
        ((64, 64, 1), (32, 32, 2), "other"),
    ],
)
def test_shapes_say_which_screen_a_network_fits(taken, given, task):
    assert _entries._task(taken, given) == task


def test_capacities_are_the_fewest_bytes_that_suffice():
    random = np.random.default_rng(3)
    tensors = [Quantized(random.integers(-9, 9, n).tolist(), -20) for n in (30, 7)]
    data = fr_archive.encode(Archive(Reference("net"), tensors))
    for found in _entries._capacities(data)[:-1]:
        for size, is_there in ((found["bytes"], True), (found["bytes"] - 1, False)):
            try:
                read = [len(one.values) for one in fr_archive.decode_prefix(data[:size]).tensors]
            except fr_archive.ArchiveError:
                read = [0, 0]
            wanted = [math.ceil(found["share"] * count) for count in (30, 7)]
            assert all(map(int.__ge__, read, wanted)) == is_there
    assert _entries._capacities(data)[-1] == {"share": 1.0, "bytes": len(data)}


def test_the_server_isolates_the_page_and_gives_out_nothing_else(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("the page")
    (tmp_path / "secret").write_text("secret")
    models = dict.fromkeys(("a.fr", "my net (1).fr", "ü+50%.fr", "a?b#c.fr"), b"abc")
    with page.server(tmp_path / "site", models, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{running.server_address[1]}"
        try:
            with urllib.request.urlopen(f"{address}/") as reply:
                assert reply.read() == b"the page"
                assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert reply.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            for name in models:
                with urllib.request.urlopen(f"{address}/models/{quote(name)}") as reply:
                    assert reply.read() == b"abc"
            for path in ("/models/b.fr", "/models/../../secret", "/../secret", "/models/"):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(address + path)
        finally:
            running.shutdown()
            thread.join()


def test_serve_tells_the_addresses(content, tmp_path, monkeypatch):
    class Running:
        server_address = ("0.0.0.0", 4321)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def serve_forever(self):
            raise KeyboardInterrupt

    given = []
    monkeypatch.setattr(page, "server", lambda *arguments: given.append(arguments) or Running())
    monkeypatch.setattr(page, "addresses", lambda port: (f"here:{port}", f"there:{port}"))
    file = tmp_path / "a.tflite"
    file.write_bytes(content)
    other = CliRunner().invoke(main, ["serve", str(file), "--page", str(tmp_path)])
    assert other.exit_code == 2
    assert "make web" in other.output
    for name in ("index.html", "main.js", "worker.js"):
        (tmp_path / name).touch()
    done = CliRunner().invoke(main, ["serve", str(file), "--page", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "here:4321" in done.output
    assert "there:4321" in done.output
    assert {*given[0][1]} == {"a.tflite", "a.tflite.rows", "index.json"}
    twice = CliRunner().invoke(main, ["serve", str(file), str(file), "--page", str(tmp_path)])
    assert twice.exit_code == 2
    assert "different names" in twice.output
