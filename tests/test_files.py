import resource
import subprocess
import sys

import pytest

from fr_archive.files import check_target, replacing, write_bytes


def test_write_is_whole(tmp_path):
    write_bytes(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_an_existing_file_is_kept_unless_asked(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="--force"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"


def test_a_missing_folder_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder that exists"):
        check_target(tmp_path / "nowhere" / "a.bin")
    with pytest.raises(IsADirectoryError, match="must name a file"):
        check_target(tmp_path, overwrite=True)


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def interrupted():
        with replacing(path, overwrite=True) as temporary:
            temporary.write_bytes(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.bin"]


def test_a_disk_that_fills_is_an_error_and_nothing_is_lost(tmp_path):
    """A real write that the system stops half-way: the file size limit of the process."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = "from fr_archive.files import write_bytes; write_bytes('a.bin', bytes(100_000), True)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    assert done.returncode == 1
    assert "OSError" in done.stderr
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.bin"]
