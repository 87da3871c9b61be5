"""Sequences of different lengths: packed, padded, and back."""

import numpy as np
import pytest

import fastnn
from fastnn.nn.utils import rnn
from tests.nn.arrays import values


def sequences(lengths, *features):
    rng = np.random.default_rng(0)
    return [fastnn.tensor(rng.normal(size=(length, *features))) for length in lengths]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[4, 4, 2, 1], [2, 4, 1, 4], [1], [3, 3]])
@pytest.mark.parametrize("features", [(), (3,), (2, 3)])
def test_pad_pack_and_back(lengths, features, batch_first):
    given = sequences(lengths, *features)
    padded = rnn.pad_sequence(given, batch_first, padding_value=7.0)
    sizes = (len(lengths), max(lengths)) if batch_first else (max(lengths), len(lengths))
    assert padded.shape == (*sizes, *features)
    packed = rnn.pack_padded_sequence(padded, lengths, batch_first, enforce_sorted=False)
    other = rnn.pack_sequence(given, enforce_sorted=False)
    order = sorted(range(len(lengths)), key=lambda n: -lengths[n])
    rows = [values(given[n])[t] for t in range(max(lengths)) for n in order if t < lengths[n]]
    for p in (packed, other):
        np.testing.assert_array_equal(values(p.data), np.stack(rows))
        assert p.sorted_indices.tolist() == order
        assert [order[place] for place in p.unsorted_indices.tolist()] == list(range(len(lengths)))
        assert p.batch_sizes.tolist() == [
            sum(t < length for length in lengths) for t in range(max(lengths))
        ]
    back, found = rnn.pad_packed_sequence(packed, batch_first, padding_value=7.0)
    assert found.tolist() == lengths
    np.testing.assert_array_equal(values(back), values(padded))
    longer, _ = rnn.pad_packed_sequence(packed, batch_first, total_length=6)
    assert longer.shape[1 if batch_first else 0] == 6
    assert values(longer).sum() == pytest.approx(sum(values(s).sum() for s in given))
    for found in (
        rnn.unpack_sequence(packed),
        rnn.unpad_sequence(padded, back_lengths(lengths), batch_first),
    ):
        for y, reference in zip(found, given, strict=True):
            np.testing.assert_array_equal(values(y), values(reference))


def back_lengths(lengths):
    return fastnn.tensor(lengths)


def test_padding_on_the_left():
    given = sequences([2, 3], 1)
    padded = values(rnn.pad_sequence(given, batch_first=True, padding_side="left"))
    assert padded[0, 0, 0] == 0
    np.testing.assert_array_equal(padded[0, 1:], values(given[0]))
    np.testing.assert_array_equal(padded[1], values(given[1]))


def test_gradients_go_to_what_is_there():
    x = fastnn.randn(4, 3, 2, requires_grad=True)
    packed = rnn.pack_padded_sequence(x, [1, 4, 2], enforce_sorted=False)
    weight = fastnn.randn(*packed.data.shape)
    (packed.data * weight).sum().backward()
    gradient = values(x.grad)
    there = np.arange(4)[:, None] < np.array([1, 4, 2])
    assert gradient[there].all() and not gradient[~there].any()

    data = packed.data.detach().requires_grad_()
    padded, _ = rnn.pad_packed_sequence(packed.with_data(data), padding_value=3.0)
    padded.sum().backward()
    np.testing.assert_array_equal(values(data.grad), np.ones(data.shape, np.float32))


def test_sorted_sequences_need_no_order():
    packed = rnn.pack_sequence(sequences([3, 2, 2], 4))
    assert packed.sorted_indices is None and packed.unsorted_indices is None
    assert packed.float().data.dtype == fastnn.float32
    assert packed.to(fastnn.float64) is packed
    assert packed.cpu() is packed
    assert packed.float().double().data.dtype == fastnn.float64
    with pytest.raises(RuntimeError, match=r"lengths must fall.*\[2, 3\]"):
        rnn.pack_sequence(sequences([2, 3], 4))


def test_lengths_may_be_a_tensor():
    x = fastnn.randn(4, 2, 3)
    packed = rnn.pack_padded_sequence(x, fastnn.tensor([4, 1]))
    assert packed.batch_sizes.tolist() == [2, 1, 1, 1]


def test_messages():
    x = fastnn.randn(4, 2, 3)
    with pytest.raises(ValueError, match="2 sequences, but 3 lengths"):
        rnn.pack_padded_sequence(x, [4, 3, 2])
    with pytest.raises(ValueError, match=r"from 1 to 4.*\[4, 0\]"):
        rnn.pack_padded_sequence(x, [4, 0])
    with pytest.raises(ValueError, match=r"from 1 to 4.*\[5, 1\]"):
        rnn.pack_padded_sequence(x, [5, 1])
    with pytest.raises(ValueError, match=r"2 dimensions or more, got shape \(3,\)"):
        rnn.pack_padded_sequence(fastnn.zeros(3), [1])
    with pytest.raises(ValueError, match="no sequence to pack"):
        rnn.pack_padded_sequence(fastnn.zeros(3, 0), [])
    with pytest.raises(ValueError, match="no sequence to pack"):
        rnn.pack_sequence([])
    with pytest.raises(ValueError, match="no sequence to pad"):
        rnn.pad_sequence([])
    with pytest.raises(ValueError, match=r"padding_side.*'up'"):
        rnn.pad_sequence([x], padding_side="up")
    with pytest.raises(ValueError, match="at least 4, got 3"):
        rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [4, 1]), total_length=3)
    with pytest.raises(ValueError, match="needs batch_sizes"):
        rnn.PackedSequence(x)
