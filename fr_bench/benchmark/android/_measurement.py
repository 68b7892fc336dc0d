"""Measures one file with one delegate and one number of threads on a phone."""

import dataclasses

import numpy as np

from fr_bench.benchmark._subject import Subject
from fr_bench.benchmark.android import _protos, texts
from fr_bench.benchmark.android._folder import PATH
from fr_bench.benchmark.android._naming import means
from fr_bench.benchmark.android._session import Installed, Session, row_file
from fr_bench.benchmark.android.adb import AdbError, Answer, DeviceLost, TookTooLong, complaint
from fr_bench.benchmark.result import Ops, OpTime

_RESULT, _RUNTIME, _PROFILE, _OUTPUT = "result.pb", "runtime.pb", "profile.pb", "outputs.bin"
#: The most inferences in the run with the op profile, which slows each down a little.
_PROFILED = 10
_WRITTEN = {
    "result_file_path": f"{PATH}/{_RESULT}",
    "model_runtime_info_output_file": f"{PATH}/{_RUNTIME}",
    "export_model_runtime_info": "true",
}


class RunError(RuntimeError):
    """Raised if a run gave no times.

    Attributes:
        refused: Whether the delegate refused the file.
    """

    def __init__(self, message: str, refused: bool = False):
        super().__init__(message)
        self.refused = refused


@dataclasses.dataclass(frozen=True)
class Run:
    """How a subject is run.

    Attributes:
        session: The phone.
        installed: The tool.
        delegate: The requested delegate.
        threads: The number of CPU threads.
        warmup: The number of inferences before the timed ones.
        limit: The time limit for one run of the tool, in seconds.
    """

    session: Session
    installed: Installed
    delegate: str
    threads: int
    warmup: int
    limit: float

    def timed(self, runs: int) -> texts.Report:
        """Runs the file and returns its times.

        Raises:
            RunError: If there are no times.
            DeviceLost: If the device is gone.
        """
        answer = self._answer(runs, self.warmup, **_WRITTEN)
        report = texts.read(answer.text, self.delegate)
        written = self.session.read(_RESULT) if answer.code == 0 else None
        held = _protos.result(written) if written else None
        if held is not None:
            times, memory = held
            report = dataclasses.replace(
                report, times=times, memory_bytes=memory or report.memory_bytes
            )
        if answer.code or report.times is None:
            raise RunError(_why(answer, report), report.refused)
        runtime = self.session.read(_RUNTIME) if self.delegate != "none" else None
        ops = (_protos.ops(runtime, self.delegate) if runtime else None) or report.ops
        notes = (*report.notes, *texts.fallback(self.delegate, ops, report.applied))
        return dataclasses.replace(report, ops=ops, notes=notes)

    def profile(self, runs: int) -> tuple[OpTime, ...] | None:
        """Returns the op profile, from a separate run; `None` if the tool has none."""
        switch = self.installed.tool.profiles
        if switch is None:
            return None
        proto = {
            "op_profiling_output_mode": "proto",
            "op_profiling_output_file": f"{PATH}/{_PROFILE}",
        }
        if not proto.keys() <= self.installed.tool.flags:
            proto = {}
        answer = self._answer(min(runs, _PROFILED), 1, **{switch: "true"}, **proto)
        written = self.session.read(_PROFILE) if proto else None
        held = _protos.profile(written) if written else None
        return held or texts.read(answer.text, self.delegate).profile

    def outputs(self, subject: Subject) -> list[np.ndarray] | None:
        """Runs every row and returns the outputs; `None` if the tool cannot write them.

        Raises:
            RunError: If a row gives no outputs, or a wrong number of bytes.
        """
        if not self.installed.tool.writes_outputs:
            return None
        kinds = subject.ends.outputs.values()
        rows = [_split(self._row(subject, n), list(kinds)) for n in range(len(subject.inputs[0]))]
        return [np.stack(parts) for parts in zip(*rows, strict=True)]

    def _row(self, subject: Subject, row: int) -> bytes:
        inputs = [
            (f"{PATH}/{row_file(row, part)}", shape) for part, shape in enumerate(subject.shapes)
        ]
        flags = self.installed.tool.rows(inputs, f"{PATH}/{_OUTPUT}")
        answer = self._answer(1, 0, **flags)
        written = self.session.read(_OUTPUT)
        if answer.code or written is None:
            raise RunError(_why(answer, texts.read(answer.text, self.delegate)))
        return written

    def _answer(self, runs: int, warmup: int, **flags: str) -> Answer:
        self.session.remove(_RESULT, _RUNTIME, _PROFILE, _OUTPUT)
        libraries = self.installed.binary.libraries
        if libraries and self.delegate == "npu":
            flags |= {"dispatch_library_path": PATH, "compiler_plugin_library_path": PATH}
        words = self.installed.tool.run(
            f"{PATH}/model.tflite", self.delegate, self.threads, runs, warmup, **flags
        )
        try:
            return self.session.folder.run(
                [self.installed.name, *words], bool(libraries), self.limit
            )
        except DeviceLost:
            raise
        except (TookTooLong, AdbError) as error:
            raise RunError(str(error)) from error


def with_refused(ops: Ops | None, profile: tuple[OpTime, ...] | None, delegate: str) -> Ops | None:
    """Adds the names of the ops that stayed on the CPU, from a profile whose numbers add up."""
    if ops is None or ops.refused is not None or profile is None:
        return ops
    rest = {row.op: row.count for row in profile if not means(row.op, delegate)}
    if sum(rest.values()) != ops.total - ops.delegated:
        return ops
    return dataclasses.replace(ops, refused=rest)


def _why(answer: Answer, report: texts.Report) -> str:
    """The reason why a run gave no times."""
    if report.error:
        return report.error
    if answer.code:
        return complaint(answer)
    return f"the tool printed no times. {complaint(answer)}"


def _split(content: bytes, kinds: list[tuple[tuple[int, ...], np.dtype]]) -> list[np.ndarray]:
    """The outputs of one row, which are stored one after another."""
    sizes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in kinds]
    if len(content) != sum(sizes):
        raise RunError(f"the tool wrote {len(content)} bytes of outputs instead of {sum(sizes)}")
    parts, begin = [], 0
    for (shape, dtype), size in zip(kinds, sizes, strict=True):
        parts.append(np.frombuffer(content[begin : begin + size], dtype).reshape(shape))
        begin += size
    return parts
