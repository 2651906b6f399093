#!/usr/bin/env python3
"""Writes data/digits.csv from the file that scikit-learn ships.

    pip download scikit-learn==1.9.1 --no-deps
    python3 scripts/make-digits.py scikit_learn-*.whl data/digits.csv

Needs the standard library alone. Pixels are as they come, whole numbers from 0 to 16; the class also stands as ten columns of 0 and 1.
"""

import gzip
import sys
import zipfile


def main(wheel_path, csv_path):
    with zipfile.ZipFile(wheel_path) as wheel, wheel.open("sklearn/datasets/data/digits.csv.gz") as packed:
        text = gzip.decompress(packed.read()).decode("ascii")
    rows = [[int(float(word)) for word in line.split(",")] for line in text.splitlines() if line.strip()]
    assert len(rows) == 1797 and all(len(row) == 65 and 0 <= row[64] <= 9 for row in rows)
    names = [f"pixel{i}" for i in range(64)] + ["label"] + [f"class{k}" for k in range(10)]
    with open(csv_path, "w", encoding="ascii", newline="\n") as out:
        out.write(",".join(names) + "\n")
        for row in rows:
            out.write(",".join(map(str, row + [int(row[64] == k) for k in range(10)])) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
