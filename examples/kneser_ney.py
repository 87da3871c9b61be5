"""Interpolated Kneser-Ney smoothing of n-grams: what a language model must beat.

A character is predicted from the n - 1 before it. From each count of an n-gram a fixed discount
is taken, and what is saved goes to the prediction from a context one character shorter, whose
counts are the numbers of different characters it was seen after; so down to no context at
all, which shares with the uniform distribution (Kneser and Ney, 1995; Chen and Goodman, 1999).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


class KneserNey:
    """An n-gram model of a sequence of symbols 0 to vocabulary - 1."""

    def __init__(self, symbols: Sequence[int], order: int, vocabulary: int) -> None:
        self.order, self.vocabulary = order, vocabulary
        symbols = tuple(symbols)
        counts = Counter(symbols[i : i + order] for i in range(len(symbols) - order + 1))
        self.levels = []  # from the whole context to none: (counts, totals, followers, discount)
        for _ in range(order):
            self.levels.append(self.level(counts))
            counts = Counter(gram[1:] for gram in counts)

    @staticmethod
    def level(counts: Counter) -> tuple[Counter, Counter, Counter, float]:
        totals: Counter = Counter()
        followers: Counter = Counter()
        for gram, count in counts.items():
            totals[gram[:-1]] += count
            followers[gram[:-1]] += 1
        frequencies = Counter(counts.values())
        once, twice = frequencies[1], frequencies[2]
        discount = once / (once + 2 * twice) if once else 0.5
        return counts, totals, followers, discount

    def probability(self, context: Sequence[int], symbol: int) -> float:
        """Of a symbol after the last order - 1 symbols of its context."""
        context = tuple(context)[max(0, len(context) - self.order + 1) :]
        share, probability = 1.0, 0.0
        for counts, totals, followers, discount in self.levels[self.order - 1 - len(context) :]:
            total = totals[context]
            if total:
                count = counts[(*context, symbol)]
                probability += share * max(count - discount, 0.0) / total
                share *= discount * followers[context] / total
            context = context[1:]
        return probability + share / self.vocabulary

    def bits(self, symbols: Sequence[int], context: Sequence[int] = ()) -> float:
        """Mean bits per symbol of a text that follows a context."""
        text = (*context, *symbols)
        total = 0.0
        for i in range(len(context), len(text)):
            total -= math.log2(self.probability(text[max(0, i - self.order + 1) : i], text[i]))
        return total / len(symbols)
