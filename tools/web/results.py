"""Reads a result file of the page in the same way as `fr-keras report`, and makes the report.

PYTHONPATH=. python tools/web/results.py build/web/browser.json
"""

import argparse
from pathlib import Path

from fr_bench import report
from fr_bench.benchmark import result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    path = parser.parse_args().file
    found = result.load(path)
    page = path.with_suffix(".html")
    page.write_text(report.benchmark_page(found))
    print(f"web: Python reads {len(found)} results, and reports them in {page}")


if __name__ == "__main__":
    main()
