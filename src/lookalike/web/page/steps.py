"""What the steps of a search do, in words for readers who have never seen an index."""

from __future__ import annotations

import re

from lookalike.results import Step

__all__ = ["step_name", "step_words"]

_NAMES = {"hash": "look up", "filter": "sort out", "verify": "compare"}
_STEPS = {
    "hash": "Find out where to look.",
    "filter": "Throw out, by a quick look, what cannot be among the nearest.",
    "verify": "Compare yours with what is left.",
}
_WORDS = (  # what engines say they do, and the same for who has never seen one
    (r"compare every row, keep the k nearest", "Compare yours with each, and keep the nearest."),
    (
        r"discard rows whose bound is too far \(time: with verify\)",
        "Throw out, by a quick look, what cannot be among the nearest. Its time is in the next "
        "step.",
    ),
    (
        r"(?:compare the rest|exact distances), keep the k nearest",
        "Compute the true distance of what is left, and keep the nearest.",
    ),
    (
        r"look up (\d+) substrings, radii up to (\d+)",
        "Cut the code into {:,} pieces, look up each, and take what differs in up to {:,} bits.",
    ),
    (
        r"that proves too few: compare every row",
        "Too few are sure to be among the nearest. Compare yours with each after all.",
    ),
    (
        r"(\d+) codes of (\d+) bits",
        "Make codes from yours, {:,} of {:,} bits: one a table, to know in which bucket to look.",
    ),
    (
        r"union of (\d+) buckets \(hashing included\)",
        "Take what lies in one of these {:,} buckets. Its time has the codes in it.",
    ),
    (
        r"project, choose (\d+) of (\d+) cells",
        "Take the {:,} groups nearest to yours, of the {:,} there are.",
    ),
    (
        r"estimate distances from sketches",
        "Estimate each distance from a short summary, and keep the likeliest.",
    ),
    (r"codes in (\d+) tables", "Make codes from yours, one for each of {:,} tables."),
    (
        r"longest common prefixes first",
        "Take those whose codes begin like yours, the longest beginnings first. Its time is in the "
        "next step.",
    ),
    (
        r"similar sketches, exact distances, until sure",
        "Of those with a short summary like yours, compute the true distance, until it is likely "
        "enough that all of the nearest are found.",
    ),
    (
        r"compare the (\d+) rows that came later",
        "Compare yours with the {:,} that came after the index was planned.",
    ),
    (
        r"compare the (\d+) rows of the filter, keep the k nearest",
        "Compare yours with the {:,} that are allowed, and keep the nearest.",
    ),
)


def step_name(step: Step) -> str:
    """The name of a step, for the same readers."""
    return _NAMES.get(step.name, step.name)


def step_words(step: Step) -> str:
    """What a step does, for readers who have never seen an index.

    Parameters
    ----------
    step : Step
        Of an engine. Its counts are kept.
    """
    for pattern, words in _WORDS:
        if said := re.fullmatch(pattern, step.does):
            return words.format(*map(int, said.groups()))
    return _STEPS.get(step.name, step.does)
