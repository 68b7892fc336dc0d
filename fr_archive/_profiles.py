"""The section that says what a network is like beside the others of its file: canonical JSON."""

import math
import numbers

from fr_archive import lz
from fr_archive._errors import ArchiveError
from fr_archive._plain import canonical, parsed
from fr_archive.rangecoder import Decoder

MOST_TEXT = 1 << 12


def write(profile: dict, before: bytes) -> bytes:
    """Returns the payload of the section.

    Args:
        profile: The profile.
        before: The beginning of the window.

    Raises:
        ArchiveError: If it is no profile, or too long.
    """
    text = canonical(profile)
    _check(profile)
    if len(text) > MOST_TEXT:
        raise ArchiveError(
            f"`profile` must take at most {MOST_TEXT} bytes as JSON. Received: {len(text)}"
        )
    return lz.compress(text, before)


def read(decoder: Decoder, before: bytes) -> dict:
    """Returns the profile that the section holds.

    Raises:
        ArchiveError: If `write` cannot have made the section.
    """
    text = lz.decompress(decoder, MOST_TEXT, before)
    try:
        profile = parsed(text)
        _check(profile)
    except ArchiveError as error:
        raise ArchiveError(f"The profile is refused: {error}", decoder.position) from None
    return profile


def _check(profile: object) -> None:
    share = profile.get("share") if isinstance(profile, dict) else None
    real = isinstance(share, numbers.Real) and not isinstance(share, bool)
    if not (real and math.isfinite(share) and 0 < share <= 1):
        raise ArchiveError(
            "A profile must be a dict with a `share` above 0 and at most 1: what the network costs "
            f"beside the largest. Received: {profile!r:.200}"
        )
