"""The sub-command that lets a phone run one's networks: serve."""

from pathlib import Path

import click

from fr_keras_cli._options import failure

_PAGE = Path("build") / "web" / "demo"
_ALWAYS = ("index.html", "main.js", "worker.js")


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--page",
    type=click.Path(file_okay=False, path_type=Path),
    default=_PAGE,
    show_default=True,
    help="The folder of the page, which `make web` builds.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port; 0 takes a free one.",
)
def serve(files, page, port) -> None:
    """Open networks in the browser of a phone, to try and measure.

    FILES are .fr archives with a skeleton, or .tflite files, with float32 inputs and outputs. Every
    device in the same network can open the page and load the files, until Ctrl-C.
    """
    if len({file.name for file in files}) < len(files):
        raise click.UsageError("FILES must have different names")
    # Everything in the folder is given out.
    missing = [name for name in _ALWAYS if not (page / name).is_file()]
    if missing:
        raise click.UsageError(
            f"--page must be the folder of the page, which `make web` builds. Received: '{page}' "
            f"without {missing}"
        )
    with failure():
        from fr_bench import page as library

        bundles = {file.name: library.bundled(file.name, file.read_bytes()) for file in files}
        models = {name: one.content for name, one in bundles.items()}
        models |= {one.line["reference"]: one.rows for one in bundles.values()}
        models["index.json"] = library.index(bundles.values())
        with library.server(page, models, "0.0.0.0", port) as running:
            here, elsewhere = library.addresses(running.server_address[1])
            _tell(here, elsewhere)
            try:
                running.serve_forever()
            except KeyboardInterrupt:
                click.echo("Stopped.")


def _tell(here: str, elsewhere: str | None) -> None:
    click.echo(f"On this computer, with threads: {here}")
    if elsewhere is None:
        click.echo("This computer is in no network, so no phone can open the page.")
        return
    click.echo(f"In the same network, with one thread: {elsewhere}")
    try:
        import segno
    except ImportError:
        click.echo("For a QR code of this address: pip install 'fr-keras[serve]'")
        return
    segno.make(elsewhere, micro=False).terminal(compact=True)
