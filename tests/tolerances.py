"""The one table of tolerances: largest error over the largest true value, with the reason for each."""

TOLERANCES = {
    # float32 against the float64 reference; sums of at most a few thousand products of order one, whose
    # rounding grows with the square root of their number: 3e-6 is about fifty roundings of 6e-8.
    "float32": 3e-6,
    # the same sums taken in another order, compared within float32
    "reordered": 3e-6,
    # float64 against itself in another order
    "float64": 1e-12,
}
