"""Texts as numbers of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from fastnn import Tensor, tensor
from fastnn.models.recurrent import padded


def words(text: str) -> list[str]:
    """The words of an English text, in small letters; "don't" is one, "!" and "?" are too.

    >>> words("Don't wait: LOVE it!")
    ["don't", 'wait', 'love', 'it', '!']
    """
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)?|[!?]", text.lower())


class Vocabulary:
    """Numbers for the words that come most often in some texts: 0 is padding, 1 any other word.

    >>> vocabulary = Vocabulary(["a b", "b c b", "a"], size=4)
    >>> vocabulary.encode(["a c b", "b"])
    (tensor([[3, 1, 2],
            [2, 0, 0]]), tensor([3, 1]))
    """

    def __init__(self, texts: Sequence[str], size: int) -> None:
        counts = Counter(word for text in texts for word in words(text))
        self.words = ["<padding>", "<other>"]
        self.words += [word for word, _ in counts.most_common(max(size - 2, 0))]
        self.number = {word: k for k, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Sequence[str], longest: int = 200) -> tuple[Tensor, Tensor]:
        """The first `longest` words of each text, (N, T) int64, and their numbers (N).

        A text without words is one other word. ValueError where there are no texts.
        """
        if not texts:
            raise ValueError("there are no texts to encode")
        found = [[self.number.get(word, 1) for word in words(text)[:longest]] for text in texts]
        return padded([tensor(numbers or [1]) for numbers in found])
