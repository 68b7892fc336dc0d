"""The page of `web/demo` with networks of one's own: what it is told about them, and its server."""

from fr_bench.page._entries import Bundled, bundled, index
from fr_bench.page._server import addresses, server

__all__ = ["Bundled", "addresses", "bundled", "index", "server"]
