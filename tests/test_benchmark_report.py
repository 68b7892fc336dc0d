"""The page of benchmark results: everything is in it, nothing is fetched, nothing is made up."""

import base64
import dataclasses
import html.parser
import json
import re

import pytest
from click.testing import CliRunner

from fr_bench.benchmark import Deviation, Metric, Ops, OpTime, Result, State, Times, load, save
from fr_bench.report import benchmark_page, measured
from fr_keras_cli import main

HOST = {"name": "host", "abi": "x86_64", "os": "Linux", "processor": "Some CPU"}
PHONE = {"name": "Phone 9", "abi": "arm64-v8a", "os": "Android 14"}
HOSTILE = "<script>alert('$x_{$')</script>\n&.tflite"


def result(file="a.tflite", target="host", delegate="xnnpack", **fields) -> Result:
    return Result(
        **{
            "file": file,
            "bytes": 12_345,
            "sha256": "ab" * 32,
            "target": target,
            "device": {"host": HOST, "android": PHONE}.get(target, {"name": target}),
            "tool": "LiteRT 2.3",
            "delegate": delegate,
            "threads": 1,
            **fields,
        }
    )


def timed(us: float) -> Times:
    return Times(50, init_us=900.0, first_us=3 * us, mean_us=us + 1, median_us=us, p5_us=us - 1)


def everything() -> list[Result]:
    """Two files on a computer, an emulator, a GPU and a phone."""
    scored = {"metric": Metric("accuracy", 0.975, 200)}
    near = {"probabilities": Deviation(16, 2e-7, 1.5e-7, argmax=1.0)}
    far = {"probabilities": Deviation(16, 0.1, 0.1, steps=26.0, argmax=0.875)}
    profile = (OpTime("CONV_2D", 3, 300.0), OpTime("SOFTMAX", 1, 100.0))
    fields = {"agreement": near, "profile": profile, **scored}
    return [
        result(times=timed(2000.0), ops=Ops(4, 3, 1, {"RESHAPE": 1}), **fields),
        result("b.tflite", times=timed(500.0), ops=Ops(4, 4, 1, {}), agreement=far, **scored),
        result(target="arm64", agreement=near, notes=("Emulated.",)),
        result("b.tflite", "gpu", "gpu", status="failed", message="it was killed by SIGSEGV"),
        result("b.tflite", "android", "gpu", status="refused"),
        result(
            target="android",
            delegate="nnapi",
            times=Times(50, mean_us=8000.0),
            ops=Ops(4, 1, 2),
            notes=("NNAPI is deprecated since Android 15",),
            state=State((80, 79), (30.0, 31.5), True, (0, 1), 0.5, 1830.0),
        ),
    ]


class Page(html.parser.HTMLParser):
    """What a page fetches, its text, its tables, and its images."""

    def __init__(self, text: str):
        super().__init__()
        self.fetched, self.tags, self.images, self.text = [], [], [], []
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                (self.images if value.startswith("data:") else self.fetched).append(value)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "table":
            self.rows.append([])  # what follows is in no cell

    def handle_data(self, data):
        self.text.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def cells(self, *starts: str) -> list[str]:
        """The first row that begins so."""
        rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        return next(row for row in rows if row[: len(starts)] == [*starts])


def test_the_page_needs_nothing_but_itself():
    text = benchmark_page(everything())
    page = Page(text)
    assert page.fetched
    assert all(re.fullmatch(r"#[a-z]+", one) for one in page.fetched)
    ids = set(re.findall(r'id="([a-z]+)"', text))
    assert {one[1:] for one in page.fetched} <= ids
    assert not {"script", "link", "iframe", "object"} & {*page.tags}
    assert not re.search(r"https?:|@import|url\(", text)
    assert len(page.images) == 3
    for one in page.images:
        assert base64.b64decode(one.split(",")[1]).startswith(b"\x89PNG")


def test_it_is_made_for_phones_and_for_dark_rooms():
    text = benchmark_page(everything())
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "prefers-color-scheme: dark" in text
    # Every table scrolls inside its own box.
    assert (
        text.count("<table>") == len(re.findall('<div class="table( cards)?"><table>', text)) >= 6
    )


def test_every_file_target_note_and_refusal_is_there():
    page = Page(benchmark_page(everything()))
    for word in (
        "a.tflite", "b.tflite", "host (Some CPU)", "Phone 9", "arm64", "gpu", "nnapi", "Android 14",
        "12,345", "97.50 %", "it was killed by SIGSEGV", "no reason is known", "Emulated",
        "NNAPI is deprecated since Android 15", "1 RESHAPE", "30 to 31.5", "1,830",
    ):  # fmt: skip
        assert word in page.words, word
    assert "6 measurements: 4 done, 1 refused, 1 failed" in page.words


def test_numbers_stand_where_they_belong():
    page = Page(benchmark_page(everything()))
    assert page.cells("1", "a.tflite", "97.50 % n = 200") == [
        "1", "a.tflite", "97.50 % n = 200", "-", "12,345", "2.00 ms xnnpack, 1 thread",
        "8.00 ms nnapi, 1 thread", "1.5e-07",
    ]  # fmt: skip
    assert page.cells("2", "b.tflite", "97.50 % n = 200")[5:] == [
        "0.500 ms xnnpack, 1 thread", "-", "26 steps",
    ]  # fmt: skip
    assert page.cells("1", "a.tflite", "2.00 ms") == [
        "1", "a.tflite", "2.00 ms", "8.00 ms", "4.00 x",
    ]  # fmt: skip
    assert page.cells("2", "b.tflite", "probabilities")[3:5] == ["26 steps 87.5 % of 16", "-"]
    taken = page.cells("1", "a.tflite", "Phone 9", "nnapi", "1 of 4")
    assert taken[5:] == ["2", "-"]  # the tool does not say which it refused
    assert page.cells("CONV_2D") == ["CONV_2D", "3", "0.300", "75.0 %"]


def test_what_is_absent_is_never_a_zero():
    emulated = result(target="arm64", agreement={"y": Deviation(4, 0.0, 0.0)})
    page = Page(benchmark_page([emulated]))
    row = page.cells("1", "a.tflite", "arm64")
    assert row[:6] == ["1", "a.tflite", "arm64", "xnnpack", "1", "done"]
    assert row[6:] == [*["-"] * 9, "equal", "-"]
    assert "No target gave times" in page.words
    assert "No target gave a profile" in page.words
    assert page.images == []


def test_what_agrees_too_little_is_marked():
    text = benchmark_page(everything())
    assert '<strong class="refused">26 steps</strong>' in text
    one = Deviation(16, 1.0, 5e-3)
    assert measured.stands_out(result(delegate="xnnpack"), one)
    gpu = result(target="gpu", delegate="gpu")
    assert not measured.stands_out(gpu, one)
    assert not measured.stands_out(dataclasses.replace(gpu, precision="float16"), one)
    assert measured.stands_out(dataclasses.replace(gpu, precision="float32"), one)
    assert not measured.stands_out(result(), dataclasses.replace(one, steps=1.0))


def test_only_one_computer_is_said():
    page = Page(benchmark_page(everything()[:2]))
    assert "Only host (Some CPU) gave times" in page.words
    assert len(page.images) == 2


def test_the_fastest_counts_and_a_mean_where_there_is_no_median():
    runs = [
        result(times=timed(900.0), threads=1),
        result(times=timed(300.0), threads=2),
        result(times=Times(50, mean_us=400.0), delegate="none"),
        result(delegate="none", threads=2),
    ]
    (file,) = measured.by_file(runs)
    best = file.fastest["host (Some CPU)"]
    assert (best.us, best.kernels, best.threads) == (300.0, "xnnpack", 2)
    (idle,) = measured.by_file([dataclasses.replace(runs[1], ops=Ops(4, 0, 0))])
    assert idle.fastest["host (Some CPU)"].kernels == "xnnpack (took no op)"  # the CPU's time
    assert measured.typical(runs[2].times) == 400.0
    assert measured.typical(runs[3].times) is None


def test_places_have_names():
    served = {"name": "llvmpipe (LLVM 15.0.6)", "os": "Linux"}
    half = result(target="gpu", delegate="gpu", precision="float16", device=served)
    assert (measured.device_label(half), measured.where(half)) == ("gpu (llvmpipe)", "gpu, float16")
    assert measured.devices([half]) == {
        "gpu (llvmpipe)": ["name: llvmpipe (LLVM 15.0.6)", "os: Linux", "tool: LiteRT 2.3"]
    }
    phone = result(target="android", delegate="gpu")
    assert (measured.device_label(phone), measured.where(phone)) == ("Phone 9", "android, gpu")
    bare = result(target="arm64", device={})
    assert (measured.device_label(bare), measured.where(bare)) == ("arm64", "arm64, xnnpack")


def test_files_of_one_name_and_other_contents_stay_apart():
    twice = [result(sha256="aa" * 32), result(sha256="cc" * 32, bytes=7)]
    names = [file.name for file in measured.by_file(twice)]
    assert names == ["a.tflite (aaaaaaaa)", "a.tflite (cccccccc)"]


def test_a_remark_of_all_files_is_made_once():
    runs = [result(file, notes=("Warm.",)) for file in ("a.tflite", "b.tflite")]
    assert measured.remarks(runs) == [("done", "All files on host (Some CPU), xnnpack", "Warm")]
    assert measured.remarks(runs[:1])[0][1].startswith("a.tflite on")


def test_hostile_names_are_text():
    device = {"name": HOSTILE, "os": "小米 \x07 $y$"}
    output = {HOSTILE: Deviation(4, 1.0, 1.0)}
    profile = (OpTime(HOSTILE, 1, 3.0), OpTime("$z", 1, 0.0))
    runs = [
        result(HOSTILE, "android", device=device, tool=HOSTILE, times=timed(9.0),
               message=HOSTILE, notes=(HOSTILE,), agreement=output, profile=profile,
               ops=Ops(1, 0, 0, {HOSTILE: 1}), metric=Metric(HOSTILE, 0.5, 4)),
        result(times=timed(1.0), profile=profile),
    ]  # fmt: skip
    text = benchmark_page(runs)
    page = Page(text)
    assert "script" not in page.tags
    assert "<script" not in text
    assert len(page.images) == 3
    assert " ".join(HOSTILE.split()) in page.words


def test_numbers_that_are_none_do_no_harm(tmp_path):
    nan, inf = float("nan"), float("inf")
    lost = {"x": Deviation(4, 1e-9, 1e-9), "y": Deviation(4, nan, nan), "z": Deviation(4, 1.0, 0.1)}
    runs = [
        result("\ud800", times=timed(0.0), bytes=0, metric=Metric("accuracy", nan, 1)),
        result("nan", times=timed(nan), profile=(OpTime("A", 1, 0.0),), agreement=lost),
        result("inf", times=timed(inf), sha256="1"),
    ]
    save(runs, tmp_path / "r.json")
    done = call(tmp_path / "r.json", "--out", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    page = Page((tmp_path / "r.html").read_text())
    assert page.images == []
    assert page.cells("2", "nan", "-", "-", "12,345")[-1] == "nan"
    assert measured.stands_out(runs[1], lost["y"])


def test_many_files_and_devices_fit():
    runs = [
        result(
            f"{n}.tflite", "android", device={"name": f"Phone {m}"}, times=timed(10.0 ** (n % 7)),
            sha256=f"{n:064}", profile=tuple(OpTime(f"OP_{k}", 1, 1.0 + k) for k in range(9)),
        )
        for n in range(12) for m in range(8)
    ]  # fmt: skip
    page = Page(benchmark_page(runs))
    assert len(page.images) == 3
    assert "All files" not in page.words
    # No computer to compare with.
    assert " x" not in page.cells("1", "0.tflite", "0.001 ms")[-1]


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError, match="at least one result"):
        benchmark_page([])


def call(*args):
    return CliRunner().invoke(main, ["report", *map(str, args)])


def test_command_joins_files(tmp_path):
    results = everything()
    save(results[:3], tmp_path / "computer.json")
    save(results[3:], tmp_path / "phone.json")
    out = tmp_path / "page.html"
    done = call(tmp_path / "computer.json", tmp_path / "phone.json", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "file": str(out), "results": 6, "done": 4, "refused": 1, "failed": 1,
    }  # fmt: skip
    assert load(tmp_path / "phone.json") == results[3:]
    assert out.read_text() == benchmark_page(results)
    again = call(tmp_path / "computer.json", "--out", out)
    assert again.exit_code == 2
    assert "exists" in again.output
    forced = call(tmp_path / "computer.json", "--out", out, "--force")
    assert forced.exit_code == 0
    assert f"Report: {out}, 3 results: 3 done" in forced.output


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 2, "does not exist"),
        ("{}", 1, "must be a result file"),
        ("not JSON", 1, "must be a result file"),
        ('{"format": "fr-keras-benchmark", "version": 2, "results": []}', 1, "version"),
        ('{"format": "fr-keras-benchmark", "version": 1, "results": []}', 1, "at least one"),
    ],
)
def test_command_refuses_bad_files(tmp_path, content, code, words):
    file, out = tmp_path / "r.json", tmp_path / "page.html"
    if content is not None:
        file.write_text(content)
    done = call(file, "--out", out)
    assert done.exit_code == code
    assert words in done.output
    assert not out.exists()
