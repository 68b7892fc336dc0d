import numpy as np
import pytest

from fr_archive import ArchiveError
from fr_archive.filling import fill


@pytest.mark.parametrize("by_channel", [False, True])
def test_scales_beyond_float32_are_refused_without_a_warning(by_channel):
    with pytest.raises(ArchiveError, match="outside the range of float32"):
        fill(np.array([[1e300], [1.0]]), None, 0.5, by_channel)
