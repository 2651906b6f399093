#!/usr/bin/env python3
"""Writes data/diabetes.csv from the two files that scikit-learn ships.

    pip download scikit-learn==1.9.1 --no-deps
    python3 scripts/make-diabetes.py scikit_learn-*.whl data/diabetes.csv

Needs the standard library alone. Every column, the target too, is standardised over the 442 rows: mean 0 and
population variance (divided by N) 1, computed in exact sums (math.fsum) and rounded once to the nearest double;
numbers are written with the fewest digits that read back to the same double.
"""

import gzip
import math
import sys
import zipfile

COLUMNS = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6", "progression"]


def standardised(column):
    n = len(column)
    mean = math.fsum(column) / n
    centred = [x - mean for x in column]
    deviation = math.sqrt(math.fsum(c * c for c in centred) / n)
    return [c / deviation for c in centred]


def numbers(wheel, name):
    with wheel.open(f"sklearn/datasets/data/{name}") as packed:
        text = gzip.decompress(packed.read()).decode("ascii")
    return [[float(word) for word in line.split()] for line in text.splitlines() if line.strip()]


def main(wheel_path, csv_path):
    with zipfile.ZipFile(wheel_path) as wheel:
        rows = numbers(wheel, "diabetes_data_raw.csv.gz")
        target = numbers(wheel, "diabetes_target.csv.gz")
    assert len(rows) == len(target) == 442 and all(len(row) == 10 for row in rows)
    columns = [standardised(list(column)) for column in zip(*(row + t for row, t in zip(rows, target)))]
    with open(csv_path, "w", encoding="ascii", newline="\n") as out:
        out.write(",".join(COLUMNS) + "\n")
        for row in zip(*columns):
            out.write(",".join(repr(x) for x in row) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
