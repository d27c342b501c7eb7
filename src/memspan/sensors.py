"""From what sensors recorded, each at its own times, to one sequence of events that a layer reads."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memspan.cells.time_gate.times import check_times
from memspan.errors import ArgumentError, ShapeError

Sensor = tuple[Any, Any]
"""What one sensor recorded: (times, values)."""
SEVERAL = "Several recordings are several arguments: merge_streams(*recordings)"


class Events(NamedTuple):
    """Padded events of B recordings.

    Shapes:
        events (T, B, D), times (T, B), lengths (B,); with ``batch_first`` (B, T, D) and (B, T).
    """

    events: Tensor
    times: Tensor
    lengths: Tensor


class _Readings(NamedTuple):
    """One sensor's readings: times (n,) in rising order, values (n, d)."""

    times: np.ndarray
    values: np.ndarray


def merge_streams(
    *recordings: Sequence[Sensor], batch_first: bool = False, dtype: torch.dtype = torch.float32
) -> Events:
    """Merge what several sensors recorded into one sequence of events for each recording, in order of time.

    An event is an instant at which at least one sensor was read: readings of several sensors at one time make
    one event. Where a sensor was read twice at one time, its second reading makes a further event.

    Shapes:
        D = Σ d + S for S sensors of d values each: first the values, sensor by sensor, then for each sensor 1
        where it was read; what was not read is 0. Past a recording's end events are 0 and its last time is
        repeated. ``lengths`` are the numbers of events.

    Args:
        recordings: each a list of pairs (times, values), one a sensor; every recording lists the same sensors
            in the same order. times (n,) in any order; values (n,), or (n, d) for a sensor of d values.
            Arrays, tensors or lists. NaN is a gap, as is what a masked array masks: a reading of gaps
            alone was not made. A sensor that was never read has empty times and values.
        batch_first: batch before time, as in the layer that will read the events.
        dtype: of the events; times are float64. Gradients do not go back to the values.

    Returns:
        ``Events(events, times, lengths)``, for ``layer(events, times=times, lengths=lengths)``.

    Raises:
        ArgumentError: no recording; NaN or infinity in times, masked times, or times too large for their
            dtype to tell apart; values that are infinite or NaN in part.
        ShapeError: whatever is not a pair of numbers (n,) and (n,) or (n, d), such as dates; sensors that
            differ between recordings.

    Units:
        One unit of time for all sensors, that of the layer's periods. Values stay as they are; bring sensors
        of different units to a like scale first.

    Example:
        >>> pressure = [0.0, 0.5, 1.0], [7.0, 8.0, 9.0]
        >>> valve = [0.5, 0.75], [1.0, float("nan")]
        >>> events, times, lengths = merge_streams([pressure, valve])
        >>> events[:, 0].tolist()
        [[7.0, 0.0, 1.0, 0.0], [8.0, 1.0, 1.0, 1.0], [9.0, 0.0, 1.0, 0.0]]
        >>> times[:, 0].tolist(), lengths.tolist()
        ([0.0, 0.5, 1.0], [3])
    """
    if not recordings:
        raise ArgumentError("no recording was given; expected merge_streams([(times, values), …], …)")
    read = [_recording(recording, f"recording {b}") for b, recording in enumerate(recordings)]
    sizes = [sensor.values.shape[1] for sensor in read[0]]
    for b, sensors in enumerate(read):
        _check_same(sensors, sizes, b)
    events, times, lengths = _padded([_merged(sensors, sizes) for sensors in read])
    if batch_first:
        events, times = events.swapaxes(0, 1).copy(), times.swapaxes(0, 1).copy()
    return Events(torch.from_numpy(events).to(dtype), torch.from_numpy(times), torch.tensor(lengths))


def _recording(recording: Any, place: str) -> list[_Readings]:
    """Return what every sensor of one recording read, or refuse it."""
    if not isinstance(recording, (list, tuple)) or not recording:
        raise ShapeError(f"{place} is {_told(recording)}; expected a list of pairs (times, values)")
    return [_readings(sensor, f"{place}, sensor {s}") for s, sensor in enumerate(recording)]


def _readings(sensor: Any, place: str) -> _Readings:
    """Return what one sensor read, gaps left out and in order of time, or refuse it."""
    if not isinstance(sensor, (list, tuple)) or len(sensor) != 2:
        raise ShapeError(f"{place} is {_told(sensor)}; expected a pair (times, values). {SEVERAL}")
    if np.ma.is_masked(sensor[0]):
        raise ArgumentError(f"{place}: times are masked in part; leave readings without a time out")
    times, values = _tensor(sensor[0], f"{place}: times"), _tensor(sensor[1], f"{place}: values")
    _check_shapes(times, values, place)
    try:
        check_times(times)
    except ArgumentError as error:
        raise type(error)(f"{place}: {error}") from None
    when = times.double().numpy()
    what = (values if values.dim() == 2 else values.unsqueeze(1)).double().numpy()
    made = _made(what, place)
    order = np.argsort(when[made], kind="stable")
    return _Readings(when[made][order], what[made][order])


def _check_shapes(times: Tensor, values: Tensor, place: str) -> None:
    fit = values.dim() in (1, 2) and len(values) == times.numel() and 0 not in values.shape[1:]
    if fit and times.dim() == 1:
        return
    raise ShapeError(
        f"{place} has times {tuple(times.shape)} and values {tuple(values.shape)}; expected (n,), and (n,) or"
        f" (n, d). {SEVERAL}"
    )


def _made(values: np.ndarray, place: str) -> np.ndarray:
    """Return which readings were made, (n,): those whose values are not NaN."""
    gaps = np.isnan(values)
    partly = np.flatnonzero(gaps.any(1) & ~gaps.all(1))
    if partly.size:
        raise ArgumentError(
            f"{place}: reading {partly[0]} is NaN in part; give its columns as sensors of their own"
        )
    if np.isinf(values).any():
        raise ArgumentError(f"{place}: values hold infinity; expected finite values, or NaN for a gap")
    return ~gaps.all(1)


def _tensor(value: Any, place: str) -> Tensor:
    """Return numbers as a tensor of a dtype as exact as they came, or refuse what is not numbers."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    try:
        array = _array(value)
    except ValueError:
        raise ShapeError(f"{place} are {_told(value)} of unequal parts; expected numbers") from None
    if _are_dates(array):
        kind = type(array.flat[0]).__name__ if array.dtype.kind == "O" else array.dtype
        raise ShapeError(
            f"{place} have dtype {kind}; expected numbers since one origin, for instance"
            " (times - origin) / numpy.timedelta64(1, 's'); times with a time zone need an origin with one"
        )
    if array.dtype.kind not in "biuf":
        raise ShapeError(f"{place} have dtype {array.dtype}; expected numbers")
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}
    single = array.dtype.kind == "f" and array.itemsize == 4
    return torch.from_numpy(array.astype(np.float32 if single else kinds[array.dtype.kind]))


def _array(value: Any) -> np.ndarray:
    """Return an array, NaN where a masked array, or one in a list, masks."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    if not any(isinstance(part, np.ma.MaskedArray) for part in parts):
        return np.asarray(value)
    masked: Any = np.ma.asarray(value)  # numpy.asarray would give what lies under the mask
    if not np.ma.is_masked(masked):
        return masked.data
    if masked.dtype.kind not in "biuf":
        return masked.data  # refused by what it is, masked or not
    return masked.astype(masked.dtype if masked.dtype.kind == "f" else np.float64).filled(np.nan)


def _are_dates(array: np.ndarray) -> bool:
    """Return whether an array holds dates, times or durations, of numpy or as objects with a time zone."""
    if array.dtype.kind in "mM":
        return True
    dates = (datetime.date, datetime.time, datetime.timedelta)
    return array.dtype.kind == "O" and array.size > 0 and isinstance(array.flat[0], dates)


def _told(value: Any) -> str:
    if isinstance(value, (Tensor, np.ndarray)):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return f"{len(value)} parts" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"


def _check_same(sensors: list[_Readings], sizes: list[int], b: int) -> None:
    found = [sensor.values.shape[1] for sensor in sensors]
    if found != sizes:
        raise ShapeError(
            f"recording {b} has {len(found)} sensors of {found} values; expected those of recording 0,"
            f" {len(sizes)} of {sizes}; a sensor that was never read has times (0,) and values (0, d)"
        )


def _merged(sensors: list[_Readings], sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return times (n,) and events (n, D) of one recording."""
    when = np.concatenate([sensor.times for sensor in sensors])
    again = np.concatenate([_repeats(sensor.times) for sensor in sensors])
    instants, row = np.unique(np.stack([when, again], 1), axis=0, return_inverse=True)
    events = np.zeros((len(instants), sum(sizes) + len(sizes)))
    rows = np.split(row.reshape(-1), np.cumsum([len(sensor.times) for sensor in sensors])[:-1])
    for s, (sensor, at) in enumerate(zip(sensors, rows, strict=True)):
        begin = sum(sizes[:s])
        events[at, begin : begin + sizes[s]] = sensor.values
        events[at, sum(sizes) + s] = 1.0
    return instants[:, 0], events


def _repeats(times: np.ndarray) -> np.ndarray:
    """Return how many earlier readings each has at its own time; times are in order."""
    return np.arange(len(times)) - np.searchsorted(times, times)


def _padded(merged: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return events (T, B, D), times (T, B) and lengths of all recordings."""
    lengths = [len(when) for when, _ in merged]
    events = np.zeros((max(lengths), len(merged), merged[0][1].shape[1]))
    times = np.zeros(events.shape[:2])
    for b, (when, what) in enumerate(merged):
        events[: len(when), b], times[: len(when), b] = what, when
        times[len(when) :, b] = when[-1] if len(when) else 0.0
    return events, times, lengths
