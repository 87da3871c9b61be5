# The graph: nodes, what they save, and how gradients are handed on.

from fastnn._core.sparse cimport SparseRows
from fastnn._core.tensor cimport Tensor

cdef class Node

# The gradient of the output comes in; the gradients of the inputs go out by give().
ctypedef int (*backward_fn)(Node node, Tensor dy) except -1

# One differentiable operation that was run. `inputN` is where the gradient of
# that input goes: a Node, a leaf Tensor, or None where none is needed.
cdef class Node:
    cdef unsigned long long created      # backward visits nodes in falling order of this
    cdef backward_fn backward            # NULL once the node is released
    cdef const char* label
    cdef object input0, input1, input2
    cdef tuple inputs                    # of operations with more than three
    cdef Tensor saved0, saved1, saved2
    cdef Py_ssize_t version0, version1, version2
    cdef object extra                    # whatever else the operation saves
    cdef double[4] p                     # its numbers
    cdef long[4] i
    cdef Tensor dy                       # the gradient gathered so far
    cdef bint queued
    cdef bint many                       # several outputs: see attach_many

cdef bint grad_enabled() noexcept
cdef bint needs_graph(Tensor x) noexcept       # grad mode is on and x requires grad
cdef object edge(Tensor x)                     # where the gradient of x goes
cdef Node new_node(backward_fn backward, const char* label)
cdef void attach(Tensor y, Node node) noexcept  # y becomes the output of node

# An input is saved as itself, an output as an alias(), lest it keep itself alive.
# What was changed in place since is an error when it is asked for again.
cdef void save0(Node node, Tensor x) noexcept
cdef void save1(Node node, Tensor x) noexcept
cdef void save2(Node node, Tensor x) noexcept
cdef Tensor saved0(Node node)
cdef Tensor saved1(Node node)
cdef Tensor saved2(Node node)

# for use in a backward function: hand a gradient on; `where` may be None
cdef int give(object where, Tensor gradient) except -1
cdef int give_rows(Tensor leaf, SparseRows gradient) except -1   # taken over: made for this call

# for use in a backward function: will the graph be needed again (retain_graph)? If
# not, what the node saved in `extra` for itself alone may be overwritten; then
# node.backward = NULL first, lest an error on the way lead to a second visit.
cdef bint keeps_graph() noexcept

# An operation with several outputs: outputs[i] becomes output i of node. Its
# backward function is called with dy None and finds in node.extra[0] the list
# of their gradients (None where an output was not used).
cdef int attach_many(list outputs, Node node) except -1

# x.op_(): x takes over the values of `result` and its place in the graph
cdef Tensor write_inplace(Tensor x, Tensor result)
# for writes outside of write_inplace: raises where they would falsify the graph, counts the version
cdef int begin_inplace(Tensor x, bint value_tracked) except -1
