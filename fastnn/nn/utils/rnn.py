"""Sequences of different lengths in one batch: padded, or packed without padding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from fastnn._core.tensor import Tensor
from fastnn.ops.creation import arange, full, tensor
from fastnn.ops.gather import index_select, masked_select
from fastnn.ops.join import cat
from fastnn.ops.pointwise import logical_and, where

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedFields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedFields):
    """Sequences of falling length without padding: what recurrent layers take and return.

    data (rows, ...): of all sequences the first step, then the second one of those that have
    one, and so on; batch_sizes (T,), int64: how many rows each step has. sorted_indices (N,): the
    place in the user's batch of each sequence here; unsorted_indices the place here of each
    sequence of the user's; None where both orders are the same.
    """

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            raise ValueError("PackedSequence needs batch_sizes; pack_sequence() computes them")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def with_data(self, data: Tensor) -> PackedSequence:
        """Other features of the same sequences."""
        return PackedSequence(data, *self[1:])

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data in another dtype; arguments as those of Tensor.to()."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self.with_data(data)

    def float(self) -> PackedSequence:
        return self.with_data(self.data.float())

    def double(self) -> PackedSequence:
        return self.with_data(self.data.double())

    def cpu(self) -> PackedSequence:
        return self


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Where each index stands in a permutation of them."""
    if permutation is None:
        return None
    order = permutation.tolist()
    places = [0] * len(order)
    for place, index in enumerate(order):
        places[index] = place
    return tensor(places)


def checked_lengths(lengths: Tensor | Sequence[int], n: int, longest: int) -> list[int]:
    lengths = lengths.tolist() if isinstance(lengths, Tensor) else [int(v) for v in lengths]
    if len(lengths) != n:
        raise ValueError(f"there are {n} sequences, but {len(lengths)} lengths")
    if any(not 1 <= length <= longest for length in lengths):
        raise ValueError(
            f"lengths must be from 1 to {longest}, the steps of the input, got {lengths}"
        )
    return lengths


def falling_order(lengths: list[int], enforce_sorted: bool) -> list[int] | None:
    """The sequences from the longest to the shortest; None where they stand so."""
    if all(a >= b for a, b in pairwise(lengths)):
        return None if enforce_sorted else list(range(len(lengths)))
    if enforce_sorted:
        raise RuntimeError(
            f"lengths must fall with enforce_sorted=True, got {lengths}; pass "
            "enforce_sorted=False to have the sequences sorted"
        )
    return sorted(range(len(lengths)), key=lambda n: -lengths[n])


def step_sizes(lengths: list[int]) -> list[int]:
    """How many of the sequences, of falling length, have a first step, a second one, ..."""
    sizes, n = [], len(lengths)
    for t in range(lengths[0]):
        while lengths[n - 1] <= t:
            n -= 1
        sizes.append(n)
    return sizes


def packed_rows(
    rows: Tensor, lengths: list[int], first: list[int], step: int, enforce_sorted: bool
) -> PackedSequence:
    """Packs rows (:, ...); step t of sequence n is row first[n] + t * step."""
    order = falling_order(lengths, enforce_sorted)
    if order is not None:
        lengths, first = [lengths[n] for n in order], [first[n] for n in order]
    times = arange(lengths[0]).unsqueeze(1)
    places = times * step + tensor(first)
    data = index_select(rows, 0, masked_select(places, times < tensor(lengths)))
    order = None if order is None else tensor(order)
    return PackedSequence(data, tensor(step_sizes(lengths)), order)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack sequences that were padded to one length: (T, N, ...), or (N, T, ...) if batch_first.

    lengths: of each of them, falling, or in any order with enforce_sorted=False. ValueError,
    or RuntimeError where they do not fall, names what is wrong.

    >>> import fastnn
    >>> from fastnn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
    >>> packed = pack_padded_sequence(fastnn.tensor([[1, 2], [3, 0]]), [2, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 3, 2]), tensor([2, 1]))
    """
    if input.ndim < 2:
        raise ValueError(f"padded sequences have 2 dimensions or more, got shape {input.shape}")
    n, longest = input.shape[:2] if batch_first else (input.shape[1], input.shape[0])
    lengths = checked_lengths(lengths, n, longest)
    if n == 0:
        raise ValueError(f"there is no sequence to pack in input of shape {input.shape}")
    rows = input.reshape(n * longest, *input.shape[2:])
    first = [k * longest for k in range(n)] if batch_first else list(range(n))
    return packed_rows(rows, lengths, first, 1 if batch_first else n, enforce_sorted)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (T_n, ...) of falling length, or of any with enforce_sorted=False."""
    if not sequences:
        raise ValueError("there is no sequence to pack")
    lengths = [len(sequence) for sequence in sequences]
    lengths = checked_lengths(lengths, len(lengths), max(lengths))
    first = [0, *accumulate(lengths[:-1])]
    return packed_rows(cat(list(sequences)), lengths, first, 1, enforce_sorted)


def lengths_of(batch_sizes: list[int]) -> list[int]:
    """Of each sequence, from the longest to the shortest."""
    lengths: list[int] = []
    for t in range(len(batch_sizes), 0, -1):
        lengths += [t] * (batch_sizes[t - 1] - len(lengths))
    return lengths


def gathered(data: Tensor, rows: Tensor, there: Tensor, padding_value: float) -> Tensor:
    """The rows of data whose numbers `rows` holds, and padding where there are none."""
    padding = full((1, *data.shape[1:]), padding_value, dtype=data.dtype)
    rows = where(there, rows, tensor(len(data)))
    padded = index_select(cat([data, padding]), 0, rows.flatten())
    return padded.reshape(*rows.shape, *data.shape[1:])


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(padded, lengths): the sequences in the user's order, (T, N, ...) or (N, T, ...).

    T is the longest of lengths (N,), or total_length.
    """
    data, sizes = sequence.data, sequence.batch_sizes.tolist()
    lengths, steps = lengths_of(sizes), len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(f"total_length must be at least {steps}, got {total_length}")
        steps = total_length
    places = list(range(len(lengths)))
    if sequence.unsorted_indices is not None:
        places = sequence.unsorted_indices.tolist()
        lengths = [lengths[place] for place in places]
    starts = [0, *accumulate(sizes[:-1])] + [0] * (steps - len(sizes))
    times, starts, lengths = arange(steps), tensor(starts), tensor(lengths)
    if batch_first:
        there = times < lengths.unsqueeze(1)
        rows = starts + tensor(places).unsqueeze(1)
    else:
        there = times.unsqueeze(1) < lengths
        rows = starts.unsqueeze(1) + tensor(places)
    return gathered(data, rows, there, padding_value), lengths


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (T_n, ...) in one tensor (T, N, ...), or (N, T, ...) if batch_first.

    T is the longest T_n; padding_side says where the padding stands, "right" or "left".
    """
    if not sequences:
        raise ValueError("there is no sequence to pad")
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side must be 'left' or 'right', got {padding_side!r}")
    lengths = [len(sequence) for sequence in sequences]
    steps = max(lengths)
    skipped = [steps - length if padding_side == "left" else 0 for length in lengths]
    starts = [0, *accumulate(lengths[:-1])]
    times = arange(steps) - tensor(skipped).unsqueeze(1)
    rows = times + tensor(starts).unsqueeze(1)
    there = logical_and(times >= 0, times < tensor(lengths).unsqueeze(1))
    if not batch_first:
        rows, there = rows.t(), there.t()
    return gathered(cat(list(sequences)), rows, there, padding_value)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """What pad_sequence() padded: a list of (T_n, ...)."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [padded_sequences[n, :length] for n, length in enumerate(lengths.tolist())]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """What pack_sequence() packed: a list of (T_n, ...)."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
