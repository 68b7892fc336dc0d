"""The one error of this package."""


class ArchiveError(ValueError):
    """Raised for an archive that cannot be read, or for contents that cannot be written.

    Attributes:
        offset: The byte of the file at which reading stopped; `None` if writing failed.
    """

    def __init__(self, message: str, offset: int | None = None):
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self._message = message
        self.offset = offset

    def at(self, offset: int) -> "ArchiveError":
        """Returns the same error at another byte of the file."""
        return ArchiveError(self._message, offset)
