"""Reads version directories, one a line, and prints what each answers, or null."""

import json
import sys

from support import stores
from support.deaths import ROWS


def main():
    for line in sys.stdin:
        found = stores.load_and_predict(line.strip(), ROWS)
        print(json.dumps(None if found is None else float(found[0])), flush=True)


if __name__ == "__main__":
    main()
