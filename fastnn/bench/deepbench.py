"""Baidu's DeepBench: the shapes that deep learning asks of its kernels, as a table of their own.

The sizes are those that DeepBench publishes for training, for inference on servers and for
inference on devices (github.com/baidu-research/DeepBench, code/kernels); the code is not. A line
ends with the batch sizes of the three; "-" is none. Training of a convolution or a recurrent layer
is timed forward and backward.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .case import Case
from .conv import conv_case
from .gemm import matmul
from .rnn import recurrent

SETS = ("training", "server", "device")

# m, k, is A transposed, is B transposed; n of each set
GEMM = """
1760 1760 NN  16,32,64,128,7000  -  -
2048 2048 NN  16,32,64,128,7000  -  -
2560 2560 NN  16,32,64,128,7000  -  -
4096 4096 NN  16,32,64,128,7000  -  -
1760 1760 TN  16,32,64,128,7000  -  -
2048 2048 TN  16,32,64,128,7000  -  -
2560 2560 TN  16,32,64,128,7000  -  -
4096 4096 TN  16,32,64,128,7000  -  -
1760 1760 NT  7133  -  -
2048 2048 NT  7133  -  -
2560 2560 NT  7133  -  -
4096 4096 NT  7133  -  -
5124 1760 NN  9124  -  -
35 1760 NN  8457  -  -
5124 2048 NN  9124  700,1500  700
35 2048 NN  8457  700,1500  700
5124 2560 NN  9124  700,1500  -
35 2560 NN  8457  700,1500  -
5124 4096 NN  9124  -  -
35 4096 NN  8457  -  -
5124 1760 TN  9124  -  -
35 1760 TN  8457  -  -
5124 2048 TN  9124  -  -
35 2048 TN  8457  -  -
5124 2560 TN  9124  -  -
35 2560 TN  8457  -  -
5124 4096 TN  9124  -  -
35 4096 TN  8457  -  -
7680 2560 NN  16,32,64,128,24000,48000  1,2,4,1500,3000,6000  -
7680 2560 TN  16,32,64,128,24000,48000  -  -
3072 1024 NN  16,32,64,128,24000,48000  1,2,4,1500,3000,6000  1,1500
3072 1024 TN  16,32,64,128,24000,48000  -  -
3072 1024 NT  7435  -  -
7680 2560 NT  5481  -  -
512 500000 NN  8,16  1,2,4  -
1024 500000 NN  8,16  1,2,4  -
512 500000 TN  8,16  -  -
1024 500000 TN  8,16  -  -
1024 512 NN  16,32,700  1,2,4,700  -
1024 512 TN  700  -  -
6144 2048 NN  16,32,24000,48000  1,2,4,1500,3000,6000  -
4608 1536 NN  16,32,24000,48000  1,2,4,1500,3000,6000  -
8448 2816 NN  16,32,24000,48000  1,2,4,1500,3000,6000  -
6144 2048 TN  16,32,24000,48000  -  -
4608 1536 TN  16,32,24000,48000  -  -
8448 2816 TN  16,32,24000,48000  -  -
512 2816 NN  24000,48000  1500,3000,6000  -
512 2048 NN  24000,48000  1500,3000,6000  -
512 2560 NN  24000,48000  1500,3000,6000  -
512 1536 NN  24000,48000  1500,3000,6000  -
1024 2816 NN  24000,48000  1500,3000,6000  -
1024 2048 NN  24000,48000  1500,3000,6000  -
1024 2560 NN  24000,48000  1500,3000,6000  -
1024 1536 NN  24000,48000  1500,3000,6000  -
512 512 NN  16,32  1,2,4  -
512 2816 TN  24000,48000  -  -
512 2048 TN  24000,48000  -  -
512 2560 TN  24000,48000  -  -
512 1536 TN  24000,48000  -  -
1024 2816 TN  24000,48000  -  -
1024 2048 TN  24000,48000  -  -
1024 2560 TN  24000,48000  -  -
1024 1536 TN  24000,48000  -  -
512 512 NT  16,32  -  -
1024 512 NT  16,32  -  -
64 1216 NN  -  -  1
128 1280 NN  -  -  1500
3072 128 NN  -  -  1,1500
128 1024 NN  -  -  1
176 1408 NN  -  -  1500
4224 176 NN  -  -  1500
128 1408 NN  -  -  1
4224 128 NN  -  -  1
"""

# width, height, channels, filters; width and height of the filter, padding, stride; N of each set
CONV = """
700 161 1 32  20 5 0 2  4,8,16,32  1,2,4  -
341 79 32 32  10 5 0 2  4,8,16,32  1,2,4  -
480 48 1 16  3 3 1 1  16  1  -
240 24 16 32  3 3 1 1  16  1  -
120 12 32 64  3 3 1 1  16  1  -
60 6 64 128  3 3 1 1  16  1  -
108 108 3 64  3 3 1 2  8  1  -
54 54 64 64  3 3 1 1  8  1  -
27 27 128 128  3 3 1 1  8  1  -
14 14 128 256  3 3 1 1  8  1  -
7 7 256 512  3 3 1 1  8  1  -
224 224 3 64  3 3 1 1  8,16  1,2  -
112 112 64 128  3 3 1 1  8,16  1,2  -
56 56 128 256  3 3 1 1  8,16  1,2  -
28 28 256 512  3 3 1 1  8,16  1,2  -
14 14 512 512  3 3 1 1  8,16  1,2  -
7 7 512 512  3 3 1 1  8,16  1,2  1
224 224 3 64  7 7 3 2  16  1,2  -
28 28 192 32  5 5 2 1  16  1,2  -
28 28 192 64  1 1 0 1  16  1,2  -
14 14 512 48  5 5 2 1  16  1,2  -
14 14 512 192  1 1 0 1  16  1,2  -
7 7 832 256  1 1 0 1  16  1,2  -
7 7 832 128  5 5 2 1  16  1,2  -
56 56 64 64  3 3 1 1  8,16  1,2  -
56 56 64 256  1 1 0 2  8,16  1,2  -
28 28 128 128  3 3 1 1  8,16  1,2  -
28 28 128 512  1 1 0 2  8,16  1,2  -
14 14 256 256  1 1 0 1  8,16  1,2  -
14 14 256 256  3 3 1 1  8,16  1,2  -
14 14 256 1024  1 1 0 2  8,16  1,2  -
7 7 512 512  1 1 0 1  8,16  1,2  -
7 7 2048 512  1 1 3 2  8,16  1,2  -
700 161 1 64  5 5 1 2  16  1,2  -
350 80 64 64  3 3 1 1  16  1,2  -
350 80 64 128  5 5 1 2  16  1,2  -
175 40 128 128  3 3 1 1  16  1,2  -
175 40 128 256  5 5 1 2  16  1,2  -
84 20 256 256  3 3 1 1  16  1,2  -
84 20 256 512  5 5 1 2  16  1,2  -
42 10 512 512  3 3 1 1  16  1,2  -
112 112 64 64  1 1 0 1  8,16  1,2  1
56 56 64 256  1 1 0 1  8,16  1,2  1
56 56 256 64  1 1 0 1  8,16  1,2  1
56 56 256 128  1 1 0 2  8,16  1,2  1
28 28 128 512  1 1 0 1  8,16  1,2  1
28 28 512 128  1 1 0 1  8,16  1,2  1
28 28 512 256  1 1 0 2  8,16  1,2  1
14 14 256 1024  1 1 0 1  8,16  1,2  1
28 28 512 1024  1 1 0 2  8,16  1,2  1
14 14 1024 256  1 1 0 1  8,16  1,2  1
14 14 1024 512  1 1 0 2  8,16  1,2  1
7 7 512 2048  1 1 0 1  8,16  1,2  1
14 14 1024 2048  1 1 0 2  8,16  1,2  1
7 7 2048 512  1 1 0 1  8,16  1,2  1
"""

# cell, hidden units, steps; N of each set
RNN = """
RNN 1760 50  16,32,64,128  -  -
RNN 2048 50  16,32,64,128  -  -
RNN 2560 50  16,32,64,128  -  -
LSTM 512 25  16,32,64,128  1,2,4  -
LSTM 1024 25  16,32,64,128  1,2,4  -
LSTM 2048 25  16,32,64,128  1,2,4  -
LSTM 4096 25  16,32,64,128  -  -
LSTM 1536 50  8,16,32  1,2,4  -
LSTM 256 150  16,32,64  1,2,4  1
GRU 2816 1500  32  1,2,4  -
GRU 2816 750  32  1,2,4  -
GRU 2816 375  32  1,2,4  -
GRU 2816 187  32  1,2,4  -
GRU 2048 1500  32  1,2,4  -
GRU 2048 750  32  1,2,4  -
GRU 2048 375  32  1,2,4  -
GRU 2048 187  32  1,2,4  -
GRU 1536 1500  32  1,2,4  -
GRU 1536 750  32  1,2,4  -
GRU 1536 375  32  1,2,4  -
GRU 1536 187  32  1,2,4  -
GRU 2560 1500  32  1,2,4  -
GRU 2560 750  32  1,2,4  -
GRU 2560 375  32  1,2,4  -
GRU 2560 187  32  1,2,4  -
GRU 512 1  32  1,2,4  -
GRU 1024 1500  32,64  1,2,4  -
RNN 32 672  -  -  1
RNN 64 96  -  -  1
"""


def lines(table: str) -> Iterator[tuple[list[str], str, int]]:
    """(the words of the line, set, batch size) of all entries of a table."""
    for line in table.split("\n")[1:-1]:
        *words, training, server, device = line.split()
        for name, sizes in zip(SETS, (training, server, device), strict=True):
            for size in sizes.split(",") if sizes != "-" else ():
                yield words, name, int(size)


def gemm_cases() -> Iterator[Case]:
    for (m, k, turned), _, n in lines(GEMM):
        yield matmul(int(m), n, int(k), "deepbench", (turned[0] == "T", turned[1] == "T"))


def conv_cases() -> Iterator[Case]:
    for words, name, n in lines(CONV):
        w, h, c, o, kw, kh, padding, stride = map(int, words)
        train = name == "training"
        text = f"conv {n}x{c}x{h}x{w} -> {o} {kh}x{kw}"
        text += f" pad {padding}" if padding else ""
        text += f" /{stride}" if stride > 1 else ""
        text += " train" if train else ""
        yield conv_case(
            "deepbench", text, n, c, (h, w), o, (kh, kw), (stride, stride), (padding, padding),
            train=train, input_gradient=c > 3,
        )  # fmt: skip


def rnn_cases() -> Iterator[Case]:
    """The layers have as many inputs as hidden units."""
    for (kind, hidden, t), name, n in lines(RNN):
        size, train = int(hidden), name == "training"
        yield recurrent(kind, int(t), n, size, size, train=train, group="deepbench")


def once(cases: Iterable[Case]) -> list[Case]:
    """A shape that stands in two sets is one case."""
    return list({case.key: case for case in cases}.values())


CASES = [*once(gemm_cases()), *once(conv_cases()), *once(rnn_cases())]
