"""ONNX Runtime as a peer: inference of recurrent layers, as one model a case.

Needs the packages onnx (to write the model) and onnxruntime (to run it).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

__version__ = onnxruntime.__version__
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
threads = 1


def __getattr__(name: str):
    raise AttributeError("this peer is timed for recurrent layers only")


def set_num_threads(n: int) -> None:
    global threads
    threads = n


def manual_seed(seed: int) -> None:
    np.random.seed(seed)


def weights(shape: tuple[int, ...], name: str) -> onnx.TensorProto:
    values = np.random.uniform(-0.1, 0.1, shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def layer(kind: str, x: str, k: int, inputs: int, hidden: int, directions: int):
    """(nodes, weights, output): one layer; its output (T, N, directions * hidden)."""
    rows = GATES[kind] * hidden
    names = [f"w{k}", f"r{k}", f"b{k}"]
    shapes = [(directions, rows, inputs), (directions, rows, hidden), (directions, 2 * rows)]
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    node = helper.make_node(
        kind,
        [x, *names],
        [f"y{k}"],
        hidden_size=hidden,
        direction="bidirectional" if directions == 2 else "forward",
        **options,
    )
    turn = helper.make_node("Transpose", [f"y{k}"], [f"t{k}"], perm=[0, 2, 1, 3])
    flat = helper.make_node("Reshape", [f"t{k}", "shape"], [f"o{k}"])
    return [node, turn, flat], list(map(weights, shapes, names)), f"o{k}"


def recurrent(
    kind: str,
    t: int,
    n: int,
    inputs: int,
    hidden: int,
    train: bool,
    layers: int = 1,
    bidirectional: bool = False,
) -> Callable[[], object]:
    """The call to time."""
    if train:
        raise NotImplementedError("onnxruntime does not train")
    directions = 2 if bidirectional else 1
    shape = numpy_helper.from_array(np.array([0, 0, directions * hidden]), "shape")
    nodes, initializers, x = [], [shape], "x"
    for k in range(layers):
        width = directions * hidden if k else inputs
        more, constants, x = layer(kind, x, k, width, hidden, directions)
        nodes += more
        initializers += constants
    graph = helper.make_graph(
        nodes,
        "recurrent",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [t, n, inputs])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [t, n, directions * hidden])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = {"x": np.random.standard_normal((t, n, inputs)).astype(np.float32)}
    return lambda: session.run(None, given)
