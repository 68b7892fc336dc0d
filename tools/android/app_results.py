"""Reads a result file of the app in the same way as `fr-keras report`."""

import argparse

from fr_bench.benchmark import result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    for one in result.load(parser.parse_args().file):
        print(f"android: Python reads a result: {one.file}, {one.delegate}, {one.status}")


if __name__ == "__main__":
    main()
