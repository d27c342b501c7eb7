"""The claims about equations: gradients, update rules, numbers of parameters; nothing is trained."""

from __future__ import annotations

from memspan.report.claims.identity import IdentityClaim
from memspan.report.claims.share import ShareClaim

CLAIMS = (
    IdentityClaim(
        "c01",
        "The gradient of the loss with respect to W_ph needs the current step only.",
        "Question 1.1",
        "The outer product of dL/dp and the last state against autograd.",
        ("bptt",),
        probe="bptt",
        number="read_out_error",
        detail="W_ph acts after the recurrence, so no earlier step comes in.",
    ),
    IdentityClaim(
        "c02",
        "The gradient with respect to W_hh follows the recursion that the report prints.",
        "Question 1.1",
        "The printed recursion, and exact back-propagation through time, against autograd, with central"
        " differences as the referee.",
        ("bptt",),
        probe="bptt",
        number="printed_error",
        detail="The printed form keeps one term of each of two sums over hidden units. With one unit there"
        " is no other term and it is exact, to {one_unit_error}; with more it is wrong. Derived in full, the"
        " recursion agrees with autograd to {exact_error}, and autograd with central differences to"
        " {difference_error}.",
    ),
    ShareClaim(
        "c03",
        "Gradients explode or vanish because an element of W_hh is multiplied by itself at every step,"
        " depending on whether it is large or small.",
        "Question 1.1",
        "Pairs of matrices whose elements have the same sizes, all below 1: true of a pair if the gradient"
        " over 40 steps shrinks for both or grows for both.",
        ("jacobians",),
        probe="jacobians",
        true_cases="alike",
        detail="What is multiplied is the whole Jacobian diag(1 − h²) W_hh. No element exceeds"
        " {largest_element}, yet over 40 steps the one matrix of a pair shrinks a gradient to {pair_shrinks}"
        " of its size and the other makes it {pair_grows} times as large. The rank correlation of growth with"
        " the spectral radius is {radius_correlation}, with the largest element {element_correlation}. The"
        " norm never exceeds the product of the Jacobians' norms: at most {over_bound} of it.",
    ),
    IdentityClaim(
        "c09",
        "RMSProp's update tames large gradients and boosts small ones; its r_t estimates their variance.",
        "Question 1.4",
        "The printed update against torch.optim.RMSprop, step by step; r_t against the variance of the same"
        " gradients under the same weights.",
        ("rmsprop",),
        probe="rmsprop",
        number="variance_error",
        besides=("update_error",),
        detail="The update is right, to {update_error}, and so is what it does: for gradients from 1e−4 to"
        " 100 the largest step is {scale_spread} times the smallest. But r_t is the mean square, not the"
        " variance: it agrees with the uncentred second moment to {moment_error} and equals the variance only"
        " where the mean gradient is 0.",
    ),
    IdentityClaim(
        "c10",
        "Adam's update, its moments corrected by 1 − β, adds up consistent gradients and cancels opposing"
        " ones.",
        "Question 1.4",
        "The printed update against torch.optim.Adam, step by step; mean step sizes for made-up gradients.",
        ("adam",),
        probe="adam",
        number="printed_error",
        detail="The correction is 1 − β^t; with it the update agrees with torch's to {corrected_error}. As"
        " printed, the first step is right, the step at t = {peak_at} is {peak_ratio} times too large, and"
        " from then on it falls to {last_ratio} of Adam's, as if the learning rate were a third. After 500"
        " updates of a badly scaled quadratic {printed_loss} of the loss is left, with the right correction"
        " {adam_loss}. The rest is right: a constant gradient moves a weight by {constant} of the learning"
        " rate a step, an alternating one by {alternating}, one that comes every hundredth step by {rare}.",
    ),
    IdentityClaim(
        "c11",
        "An LSTM has 4(nd + n² + n) parameters, whatever T and the batch; its read-out adds on + n.",
        "Question 1.5",
        "The formulas against the network that is trained, over random sizes.",
        ("parameters",),
        probe="parameters",
        number="read_out_error",
        besides=("cell_error",),
        detail="The cell's formula is exact. The read-out has a bias for each of its o answers: on + o."
        " torch's own layers carry a second bias, 4n more. The report's network has {study:,.0f} parameters,"
        " not {study_printed:,.0f}.",
    ),
)
