"""The one error of this package."""


class ArchiveError(ValueError):
    """An archive that cannot be read, or contents that cannot be written.

    Attributes:
        offset: The byte of the file at which reading stopped; `None` when writing.
    """

    def __init__(self, message: str, offset: int | None = None):
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.offset = offset
