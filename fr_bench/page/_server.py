"""A server that gives out the page with networks of one's own."""

import functools
import http.server
import socket
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

#: With these a browser gives the page threads, if it came by HTTPS or from the same computer.
_ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
}
_MODELS = "/models/"
# An address of the documentation, RFC 5737: nothing is sent to it.
_ELSEWHERE = ("192.0.2.1", 9)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and in the place of its models those of a dict."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".webmanifest": "application/manifest+json"
    }

    def __init__(self, *args, models: Mapping[str, bytes], **kwargs):
        self._models = models
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if not path.startswith(_MODELS):
            super().do_GET()
            return
        content = self._models.get(path.removeprefix(_MODELS))
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        for name, value in _ISOLATION.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format, *args) -> None:
        """Says nothing: a page asks for dozens of files."""


def server(
    page: Path, models: Mapping[str, bytes], host: str, port: int
) -> http.server.ThreadingHTTPServer:
    """Returns a server, which runs once its `serve_forever` is called.

    Args:
        page: The folder of the page.
        models: The files of its folder `models`, by their names.
        host: The address at which it listens.
        port: The port; 0 takes a free one.

    Raises:
        OSError: If the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(page), models=models)
    return http.server.ThreadingHTTPServer((host, port), handler)


def addresses(port: int) -> tuple[str, str | None]:
    """Returns the address of the page on this computer, and that for others in its network.

    The second is `None` where this computer is in no network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            own = probe.getsockname()[0]
        except OSError:
            own = None
    return f"http://localhost:{port}/", own and f"http://{own}:{port}/"
