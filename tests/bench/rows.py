"""Rows as a quiet machine might give them: made up, in no way measured."""

from dataclasses import replace

from memspan.bench.kernels import COLUMNS, KEY
from memspan.bench.points import TRAINING, Point, points

LEAD = {"rnn": 4.8, "gru": 4.4, "lstm": 2.9}
RATE = {1: 150.0, 2: 290.0}


def made_up():
    """A row for every point and peer, smooth along the axes."""
    return [row for point in points((1, 2)) for row in rows_of(point)]


def rows_of(point: Point):
    peers = {"torch.nn": 1.0}
    if point.ragged:
        peers = {"torch.nn packed": 2.6, "torch.nn padded": 1.1}
    elif replace(point, threads=2) == Point(point.cell):
        peers |= {"reference loop": 2.4, "jax": None}
    share = 0.9 * min(1, (point.B * point.R / 128) ** 0.4) * min(1, point.H / 128) ** 0.3
    gflops = share * RATE[point.threads]
    mine = point.operations() / gflops / 1e6
    for peer, factor in peers.items():
        ratio = factor and factor * LEAD[point.cell] * (128 / point.H) ** 0.3
        known = point.columns() | {
            "ours_ms": mine, "peer": peer, "peer_ms": ratio and ratio * mine, "ratio": ratio,
            "gflops": gflops, "ceiling_gflops": RATE[point.threads] * 1.1, "ceiling_fraction": share / 1.1,
            "equal": True, "error": 1e-6, "code": "0.1.0+made-up",
            "foreign_cores": 0.4 if point.T == 50 else 0.0,
            "note": "" if ratio else "not installed", "peer_threads": ratio and point.threads,
            "calls": ratio and 15,
        }  # fmt: skip
        yield {name: known[name] for name in COLUMNS}


def keys(rows):
    return [tuple(row[name] for name in KEY) for row in rows]


def is_training(row):
    return row["pass"] == TRAINING
