"""The claims about the character models. Every threshold here was written before the runs."""

from __future__ import annotations

from memspan.report.claims.identity import IdentityClaim
from memspan.report.claims.parts import Part, PartsClaim
from memspan.report.claims.text_findings import (
    FAULTLESS,
    GOOD,
    across,
    at_step,
    exponent,
    fewer_words,
    learning_differs,
    less_alike_on_the_larger,
    more_dropout_left,
    more_newlines,
    number,
    of_four,
    other_than_seeds,
    rises,
    same_completions,
    sampling_matters_more,
    words_grow,
)
from memspan.text.recipe import RECIPE

STEPS = RECIPE.steps


def _redundant(layer: int, k: int) -> Part:
    return Part(f"layer {layer}, {k} units", more_dropout_left(layer, k))


CLAIMS = (
    PartsClaim(
        "c24",
        "Samples become expressive and free of errors; sentences are good by step 500.",
        "Question 3.1b, Table 2",
        "Greedy samples of 30 characters after every character of the vocabulary, model B. Beside each"
        f" part the share of their words that are words of the corpus: good from {GOOD}, free of errors"
        f" from {FAULTLESS}.",
        ("text", "text_marks"),
        probe="text",
        measured="Share of dictionary words",
        parts=(
            Part("better at step 500 than at 100", words_grow),
            Part(
                "good at step 500",
                at_step(500, lambda r: number(r, "dictionary_share") >= GOOD, "dictionary_share"),
            ),
            Part(
                "free of errors at step 2000",
                at_step(STEPS, lambda r: number(r, "dictionary_share") >= FAULTLESS, "dictionary_share"),
            ),
        ),
    ),
    PartsClaim(
        "c25",
        "Samples are varied and show no word loops.",
        "Question 3.1b",
        "Model B at step 2000. A loop is a stretch of words three times in a row. Varied: of all pairs of"
        " the 57 greedy samples at most one in ten is the same.",
        ("text", "text_marks"),
        probe="text",
        measured="Share of samples with a loop, of equal pairs",
        parts=(
            Part("no loop in 30 characters", at_step(STEPS, lambda r: number(r, "loops") == 0, "loops")),
            Part(
                "no loop in 400 characters",
                at_step(STEPS, lambda r: number(r, "long_loops") == 0, "long_loops"),
            ),
            Part("varied", at_step(STEPS, lambda r: number(r, "identical") <= 0.1, "identical")),
        ),
    ),
    IdentityClaim(
        "c26",
        "The network can undo a temperature by scaling its last layer.",
        "Question 3.1c",
        "Probabilities of random read-outs against those of the same read-outs times T, divided by T.",
        ("temperature",),
        probe="temperature",
        number="undo_error",
        detail="softmax((TWh + Tb)/T) is softmax(Wh + b), up to rounding. Without the scaling the two differ"
        " by {kept_error} at most, relative to the larger.",
    ),
    PartsClaim(
        "c27",
        "Experiments contradict that the network undoes the temperature.",
        "Question 3.1c",
        "The spread of the logits over the vocabulary before the division by T, mean over the corpus,"
        " against T over models A to D: a slope of 1 on logarithmic scales is a temperature wholly"
        " undone, 0 one not undone at all. True of a seed if the slope is below ½.",
        ("text",),
        probe="text",
        measured="Slope",
        parts=(Part("not undone", of_four(lambda four: exponent(four) < 0.5, exponent)),),
    ),
    PartsClaim(
        "c28",
        "A higher training temperature gives other samples, not clearly worse, and influences how the"
        " network learns; D overuses newlines, never inside a word.",
        "Question 3.1c, Table 3",
        "Other: at one seed A to D agree on fewer greedy samples than models of one temperature do over"
        " seeds. Not worse: D has at most 0.05 fewer dictionary words than A. Learning: mean batch"
        " accuracy over all steps spreads wider over A to D than over the seeds of B.",
        ("text",),
        probe="text",
        measured="Difference; newlines of D per 100 characters less the most of the others, share inside"
        " words",
        parts=(
            Part("other samples", other_than_seeds),
            Part("not worse", of_four(lambda four: fewer_words(four) <= 0.05, fewer_words)),
            Part("learning differs", learning_differs),
            Part("D overuses newlines", of_four(lambda four: more_newlines(four) > 0, more_newlines)),
            Part(
                "never inside a word",
                of_four(
                    lambda four: not number(four["D"], "newlines_inside") > 0,
                    lambda four: number(four["D"], "newlines_inside"),
                ),
            ),
        ),
    ),
    PartsClaim(
        "c29",
        "With a long prompt the temperature matters little.",
        "Question 3.2, Table 4",
        "Greedy completions of both prompts. True of a seed if at least half of the pairs of A to D"
        " complete them alike; beside it that share.",
        ("text",),
        probe="text",
        measured="Share of equal completions",
        parts=(
            Part(
                "completions agree",
                of_four(
                    lambda four: across(same_completions, four) >= 0.5,
                    lambda four: across(same_completions, four),
                ),
            ),
        ),
    ),
    PartsClaim(
        "c30",
        "A temperature used only at sampling would matter more: few modes when it is low, varied text"
        " above 1, poor text when it is high.",
        "Question 3.2",
        "Model B sampled at temperatures from 0.25 to 2, 64 samples of 200 characters each. Modes:"
        " distinct word pairs over all pairs. Poor: 0.05 fewer dictionary words at 2 than at 1. More:"
        " dictionary share spreads wider over temperatures of sampling than over A to D, each sampled at"
        " 1.",
        ("text",),
        probe="text_sampling",
        measured="Difference",
        parts=(
            Part("fewer modes at 0.25 than at 1", rises("distinct_2", 0.25, 1.0)),
            Part("more varied at 2 than at 1", rises("distinct_2", 1.0, 2.0)),
            Part("poor at 2", rises("dictionary_share", 2.0, 1.0, 0.05)),
            Part("matters more than in training", sampling_matters_more),
        ),
    ),
    PartsClaim(
        "c31",
        "The small corpus is overfitted, and that may be why the temperature matters little.",
        "Question 3.2",
        "Overfitted: model B foretells at least 0.95 of the corpus as one stream, and its completions"
        " hold at least 50 characters of it word for word. Why: on the standard library's sources, which"
        " cannot be memorised, A to D complete prompts less alike than on the small corpus at the same"
        " seed.",
        ("text", "text_larger"),
        probe="text",
        measured="Accuracy; characters; difference of the shares of equal completions",
        parts=(
            Part(
                "foretells the corpus",
                at_step(STEPS, lambda r: number(r, "stream_accuracy") >= 0.95, "stream_accuracy"),
            ),
            Part("quotes it", at_step(STEPS, lambda r: number(r, "overlap") >= 50, "overlap")),
            Part("temperature matters more on a larger corpus", less_alike_on_the_larger),
        ),
    ),
    IdentityClaim(
        "c36",
        "LogSoftmax with the negative log-likelihood prevents underflow.",
        "Question 3.1a",
        "float32 against float64 over logits that span 10 to 1000: log_softmax must agree up to rounding;"
        " beside it log(softmax), values and gradients.",
        ("log_softmax",),
        probe="log_softmax",
        number="fused_error",
        limit=1e-6,
        detail="log_softmax is right over the whole range, its gradient too (error {fused_gradient_error})."
        " log(softmax) is as good up to a span of 80 (error {naive_error_80}); at 100 its values are off"
        " by up to {naive_error_100} and {naive_gradient_lost_100:.0%} of its gradients are not finite;"
        " from 110 on {naive_lost_110:.0%} of the cases hold a logarithm of 0.",
    ),
    PartsClaim(
        "c37",
        "Dropout makes features redundant.",
        "Question 3.1a",
        "Model B with dropout 0.5 between the layers and without. True of a seed if, with random units of"
        " a layer deleted, a larger share of the accuracy on the corpus is left with dropout than without.",
        ("text", "text_without_dropout"),
        probe="text_units",
        measured="Difference of the shares left",
        parts=tuple(_redundant(layer, k) for layer in (1, 2) for k in (8, 32)),
    ),
)
