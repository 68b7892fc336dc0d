"""The folder on the device in which everything happens, and which is removed at the end."""

import shlex

from fr_bench.benchmark.android import _phone
from fr_bench.benchmark.android.adb import Adb, AdbError, Answer

PATH = "/data/local/tmp/fr_keras-benchmark"
#: Seconds between two looks at the current while a tool runs.
_LOOK = 0.2
# The process id may belong to another process by now, so its command line is checked.
_END_TOOL = f"""p=$(cat {PATH}/pid 2>/dev/null)
[ -n "$p" ] && grep -q {PATH} /proc/$p/cmdline 2>/dev/null && kill -9 $p
rm -f {PATH}/pid"""
# The shell around a tool that was stopped may write a last file meanwhile, and then ends.
_REMOVE = f"rm -rf {PATH} 2>/dev/null || {{ sleep 1; rm -rf {PATH}; }}"
_RUN = """{end}
cd {path} || exit 1
head -n 1 /proc/stat > before
{command} > log 2>&1 &
p=$!
echo $p > pid
while kill -0 $p 2>/dev/null; do cat {current} 2>/dev/null; sleep {look} || sleep 1; done > current
wait $p
code=$?
head -n 1 /proc/stat > after
rm -f pid
tail -c 1000000 log
(exit $code)"""


class Folder:
    """A context that makes the folder and removes it at the end, whatever happens inside.

    There is one measurement at a time: a tool or files that an earlier measurement left are
    stopped and removed first.

    Raises:
        AdbError: If the folder cannot be made on the device.
    """

    def __init__(self, adb: Adb):
        self._adb = adb

    def __enter__(self) -> "Folder":
        self._adb.check(f"{_END_TOOL}\n{_REMOVE} && mkdir -p {PATH}")
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self._adb.check(f"{_END_TOOL}\n{_REMOVE}")
        except AdbError:
            # The first error says more; the next measurement removes the folder.
            if error is None:
                raise

    def run(self, words: list[str], libraries: bool, limit: float) -> Answer:
        """Runs a tool in the folder.

        Args:
            words: The name and arguments of the tool.
            libraries: Whether its shared libraries are in the folder.
            limit: The time limit in seconds, after which the tool is stopped.

        Raises:
            TookTooLong: If the tool did not finish in time.
        """
        paths = f"LD_LIBRARY_PATH={PATH} ADSP_LIBRARY_PATH={PATH} " if libraries else ""
        command = paths + shlex.join([f"{PATH}/{words[0]}", *words[1:]])
        script = _RUN.format(
            end=_END_TOOL, path=PATH, command=command, current=_phone.CURRENT, look=_LOOK
        )
        try:
            # In a shell of its own, which `exit` may leave.
            return self._adb.shell(f"(\n{script}\n)", limit)
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        try:
            self._adb.shell(_END_TOOL, tries=1)
        except AdbError:
            return  # the device is gone or hangs; leaving the context tries again

    def watched(self) -> tuple[list[str], list[float]]:
        """Returns the first line of /proc/stat before and after the last run, and microamperes."""
        return _phone.watched(self._adb.shell(f"cd {PATH} && cat before after && cat current").text)
