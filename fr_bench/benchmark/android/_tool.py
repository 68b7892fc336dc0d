"""Android's `benchmark_model`: its two dialects and their command lines.

* `classic` comes with TensorFlow Lite: the CPU with and without XNNPACK, GPU and NNAPI.
* `litert` comes with LiteRT: the CPU (always with XNNPACK), GPU and NPU.
"""

import dataclasses
import re

_FLAG = re.compile(r"^\s*--([a-z0-9_-]+)=", re.MULTILINE)
_LOGGED = re.compile(r"^\S.*?(?:INFO|ERROR|tflite\s*):\s*(?=--)", re.MULTILINE)
#: Delegate -> the flag that turns it on; for `none`, the flag that is turned off.
SWITCHES = {
    "classic": {
        "none": "use_xnnpack",
        "xnnpack": "use_xnnpack",
        "gpu": "use_gpu",
        "nnapi": "use_nnapi",
    },
    "litert": {"xnnpack": "use_cpu", "gpu": "use_gpu", "npu": "use_npu"},
}
#: The flag that lets a GPU compute in float16, which both dialects do unless told otherwise.
_HALF = {"classic": "gpu_precision_loss_allowed", "litert": "allow_fp16"}
_NEVER = {
    ("classic", "npu"): (
        "the classic benchmark_model has no NPU: give LiteRT's, which has --use_npu"
    ),
    ("litert", "none"): (
        "LiteRT's benchmark_model always runs the CPU with XNNPACK: give the classic one, which "
        "has --use_xnnpack=false"
    ),
    ("litert", "nnapi"): (
        "LiteRT's benchmark_model has no NNAPI, which Android 15 deprecated: give the classic "
        "one, or ask for `npu`"
    ),
}


class ToolError(RuntimeError):
    """Raised if a `benchmark_model` cannot be used; says why."""


@dataclasses.dataclass(frozen=True)
class Tool:
    """One `benchmark_model`.

    Attributes:
        dialect: `classic` or `litert`.
        flags: The names of all its flags, according to its `--help`.
    """

    dialect: str
    flags: frozenset[str]

    @property
    def writes_outputs(self) -> bool:
        """Whether it reads inputs from files and writes outputs, which agreement needs."""
        wanted = {"input_layer", "input_layer_shape", "input_layer_value_files", "output_filepath"}
        return wanted <= self.flags

    @property
    def profiles(self) -> str | None:
        """The flag that turns on its op profile."""
        return next((f for f in ("enable_op_profiling", "use_profiler") if f in self.flags), None)

    def precision(self, delegate: str) -> str | None:
        """Returns the precision in which a GPU computes; `None` if the tool does not say."""
        return "float16" if delegate == "gpu" and _HALF[self.dialect] in self.flags else None

    def refusal(self, delegate: str) -> str | None:
        """Returns why it cannot run a delegate at all; `None` if it can."""
        never = _NEVER.get((self.dialect, delegate))
        if never is not None:
            return never
        switch = SWITCHES[self.dialect][delegate]
        # Builds from before XNNPACK run the plain kernels without being told.
        if switch in self.flags or delegate == "none":
            return None
        return f"this {self.dialect} benchmark_model has no --{switch}: use a newer build"

    def run(
        self, graph: str, delegate: str, threads: int, runs: int, warmup: int, **more: str
    ) -> list[str]:
        """Returns the arguments for a run of `runs` inferences after `warmup` others.

        Args:
            graph: The file, on the device.
            delegate: A delegate that the tool does not refuse.
            threads: The number of CPU threads.
            runs: The number of timed inferences.
            warmup: The number of inferences before them.
            **more: More flags; those that the tool does not have are left out.
        """
        flags = {
            "graph": graph,
            "num_threads": str(threads),
            "num_runs": str(runs),
            "warmup_runs": str(warmup),
            # Without these, the tool goes on for half a second and for one second.
            "warmup_min_secs": "0",
            "min_secs": "0",
            SWITCHES[self.dialect][delegate]: "false" if delegate == "none" else "true",
            **({_HALF[self.dialect]: "true"} if self.precision(delegate) else {}),
            **more,
        }
        return [f"--{name}={value}" for name, value in flags.items() if name in self.flags]

    def rows(self, inputs: list[tuple[str, tuple[int, ...]]], output: str) -> dict[str, str]:
        """Returns the flags for running given inputs and writing the outputs one after another.

        Args:
            inputs: The file on the device and the full shape of each input, in the graph's order.
            output: The file to write, on the device.
        """
        names = [f"input{n}" for n in range(len(inputs))]
        return {
            "input_layer": ",".join(names),
            "input_layer_shape": ":".join(",".join(map(str, shape)) for _, shape in inputs),
            "input_layer_value_files": ",".join(
                f"{name}:{file}" for name, (file, _) in zip(names, inputs, strict=True)
            ),
            "output_filepath": output,
        }


def read_help(text: str) -> Tool:
    """Returns which tool this is, from the output of its `--help`.

    Raises:
        ToolError: If it is not a `benchmark_model`.
    """
    flags = frozenset(_FLAG.findall(_LOGGED.sub("", text)))
    if "graph" not in flags or "num_runs" not in flags:
        said = " / ".join(text.split("\n")[:3]).strip() or "nothing"
        raise ToolError(
            "`tool` must be Android's benchmark_model, whose --help lists --graph and --num_runs. "
            f"It printed: {said[:200]}"
        )
    # Every litert build has --use_npu; some have --use_xnnpack too.
    return Tool("litert" if "use_npu" in flags else "classic", flags)
