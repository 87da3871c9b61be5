"""ONNX Runtime as a peer: forward passes, each case as one model.

Needs the packages onnx (to write the model) and onnxruntime (to run it). What a case draws first is
the model's input; what it draws later, and the parameters of networks, are its constants.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from .conv import pair
from .library import Unsupported, Work
from .rnn import GATES
from .surface import Surface, Tensor

GATE_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}  # ONNX's, in PyTorch's numbers
OPSET = 21


class Value:
    """A number in the graph: its name, and its array if it is a constant or an input."""

    def __init__(self, name: str, array: np.ndarray | None = None) -> None:
        self.name = name
        self.array = array


def onnx_node(kind: str, **attributes):
    """A function that adds a node of this kind for its operands."""

    def function(self, *operands):
        return self.node(kind, *operands, **attributes)

    return function


class OnnxFunctions:
    """PyTorch's functions, each of which adds nodes to the graph."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.nodes, self.constants = [], []

    def array(self, values: np.ndarray) -> Value:
        return Value("", np.asarray(values, order="C"))

    def name_of(self, value) -> str:
        """The name of an operand; an array without one becomes a constant of the graph."""
        if value is None:
            return ""
        value = value if isinstance(value, Value) else self.array(np.asarray(value))
        if not value.name:
            name = f"c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(value.array, name))
            return name
        return value.name

    def node(self, kind: str, *operands, **attributes) -> Value:
        names = [self.name_of(value) for value in operands]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], **attributes))
        return Value(name)

    matmul, transpose = onnx_node("MatMul"), onnx_node("Transpose")
    add, sub, mul = onnx_node("Add"), onnx_node("Sub"), onnx_node("Mul")
    relu, sigmoid, tanh = onnx_node("Relu"), onnx_node("Sigmoid"), onnx_node("Tanh")
    elu, exp, mish, gelu = (onnx_node(kind) for kind in ("Elu", "Exp", "Mish", "Gelu"))

    def softmax(self, x, dim):
        return self.node("Softmax", x, axis=dim)

    def log_softmax(self, x, dim):
        return self.node("LogSoftmax", x, axis=dim)

    def linear(self, x, w, b):
        return self.node("Gemm", x, w, b, transB=1)

    def flatten(self, x, start=1):
        return self.node("Flatten", x, axis=start)

    def sum(self, x, dim):
        return self.node("ReduceSum", x, np.array([dim]), keepdims=0)

    def getitem(self, x, index):
        """x[:, k] and x[:, a:b] only."""
        _, at = index
        if isinstance(at, slice):
            return self.node("Slice", x, *(np.array([n]) for n in (at.start or 0, at.stop, 1)))
        return self.node("Gather", x, np.array(at), axis=1)

    def embedding(self, table, index):
        return self.node("Gather", table, index)

    def conv2d(self, x, w, b, stride=1, padding=0, dilation=1, groups=1):
        return self.node(
            "Conv", x, w, b, strides=pair(stride), pads=2 * pair(padding),
            dilations=(dilation, dilation), group=groups,
        )  # fmt: skip

    def max_pool2d(self, x, kernel, stride=None, padding=0):
        return self._pool("MaxPool", x, kernel, stride, padding)

    def avg_pool2d(self, x, kernel, stride=None, padding=0):
        return self._pool("AveragePool", x, kernel, stride, padding, count_include_pad=1)

    def _pool(self, kind, x, kernel, stride, padding, **attributes):
        return self.node(
            kind, x, kernel_shape=(kernel, kernel), strides=(stride or kernel,) * 2,
            pads=(padding,) * 4, **attributes,
        )  # fmt: skip

    def adaptive_avg_pool2d(self, x, size):
        return self.node("GlobalAveragePool", x)

    def batch_norm(self, x, mean, var, w, b):
        return self.node("BatchNormalization", x, w, b, mean, var)

    def layer_norm(self, x, w, b):
        return self.node("LayerNormalization", x, w, b)

    def group_norm(self, x, groups, w, b):
        return self.node("GroupNormalization", x, w, b, num_groups=groups)

    def recurrent(self, x, kind, layers, batch_first):
        """ONNX's recurrent nodes give (T, directions, N, H), and read two biases as one array."""
        x = self.node("Transpose", x, perm=(1, 0, 2)) if batch_first else x
        for directions in layers:
            arrays = [[self._ordered(kind, w.array) for w in weights] for weights in directions]
            w, r = (np.stack([a[k] for a in arrays]) for k in (0, 1))
            b = np.stack([np.concatenate(a[2:]) for a in arrays])
            hidden = r.shape[2]
            options = {"linear_before_reset": 1} if kind == "GRU" else {}
            y = self.node(
                kind, x, w, r, b, hidden_size=hidden,
                direction="bidirectional" if len(directions) == 2 else "forward", **options,
            )  # fmt: skip
            y = self.node("Transpose", y, perm=(0, 2, 1, 3))
            x = self.node("Reshape", y, np.array([0, 0, len(directions) * hidden]))
        return self.node("Transpose", x, perm=(1, 0, 2)) if batch_first else x

    def _ordered(self, kind, array):
        gates = np.split(array, GATES[kind])
        return np.concatenate([gates[k] for k in GATE_ORDER[kind]])


class OnnxPeer(Surface):
    def __init__(self, threads: int) -> None:
        super().__init__(OnnxFunctions(), onnxruntime.__version__)
        self.threads = threads

    def begin(self, key: str) -> None:
        super().begin(key)
        self.input: Tensor | None = None

    def tensor(self, array: np.ndarray) -> Tensor:
        tensor = super().tensor(array)
        if self.input is None:
            self.input, tensor.value.name = tensor, "x"
        return tensor

    def assign(self, tensor: Tensor, array: np.ndarray) -> None:
        super().assign(tensor, array)
        if tensor is self.input:
            tensor.value.name = "x"

    def session(self, forward) -> onnxruntime.InferenceSession:
        """The model that forward describes, with the numbers that there are now."""
        self.functions.begin()
        y = forward().value
        x = self.input.value
        if y.name == x.name:
            raise Unsupported("has no model that does nothing")
        graph = helper.make_graph(
            self.functions.nodes,
            "case",
            [helper.make_tensor_value_info(
                "x", helper.np_dtype_to_tensor_dtype(x.array.dtype), x.array.shape
            )],
            [helper.make_tensor_value_info(y.name, onnx.TensorProto.FLOAT, None)],
            self.functions.constants,
        )  # fmt: skip
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def inference(self, forward) -> Work:
        session = self.session(forward)

        def call():
            return session.run(None, {"x": self.input.value.array})

        def results():
            nonlocal session
            session = self.session(forward)  # constants may have changed
            return {"output": call()[0]}

        return Work(call, results)


def open_peer(threads: int) -> OnnxPeer:
    return OnnxPeer(threads)
