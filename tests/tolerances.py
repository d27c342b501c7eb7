"""The one table of tolerances: largest error over the largest true value, with the reason for each."""

TOLERANCES = {
    # float32 against the float64 reference; sums of at most a few thousand products of order one, whose
    # rounding grows with the square root of their number: 3e-6 is about fifty roundings of 6e-8.
    "float32": 3e-6,
    # the same sums taken in another order, compared within float32
    "reordered": 3e-6,
    # the same under a transform of a short sequence of up to three layers in two directions, whose members'
    # gradients add up: ten times the rounding of a single pass
    "transforms": 1e-5,
    # float32 gradients of gradients, whose terms are products of two such sums and cancel
    "second derivatives": 1e-4,
    # float64 against itself in another order
    "float64": 1e-12,
}
