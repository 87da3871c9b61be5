"""Reverse-mode differentiation over the graph of the operations that were run.

Every node carries the number of its creation. backward() visits nodes in falling
order of it, from a heap, so no depth of graph can overflow a stack, and releases
what a node saved as it goes. A gradient is added up in one place, give().
"""

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdlib cimport free, realloc

from fastnn._core.checks cimport check_writable, shape_text
from fastnn._core.sparse cimport SparseRows, add_gradients
from fastnn._core.tensor cimport (
    Tensor, alias, as_tensor, copy_into, dtype_of, hot_operators, is_dense, new_like, new_tensor,
    same_shape,
)
from fastnn._kernels.runtime cimport FLOAT32

cdef extern from *:
    """
    static __thread int grad_mode = 1;
    static inline int grad_mode_get(void) { return grad_mode; }
    static inline void grad_mode_set(int on) { grad_mode = on; }

    /* A binary heap of nodes with a gradient to pass on, latest created first. It holds a
     * reference to each. Kernels release the GIL, so every thread has one of its own. */
    typedef struct {
        PyObject **nodes;
        Py_ssize_t size, capacity;
        int kept; /* may this backward() be repeated? */
    } node_queue;
    static __thread node_queue *queue;
    static inline node_queue *queue_get(void) { return queue; }
    static inline void queue_set(node_queue *q) { queue = q; }
    """
    bint grad_mode_get() noexcept
    void grad_mode_set(bint on) noexcept

    ctypedef struct node_queue:
        PyObject** nodes
        Py_ssize_t size, capacity
        bint kept
    node_queue* queue_get() noexcept
    void queue_set(node_queue* q) noexcept

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* thing)      # of an object it would count its own argument

cdef unsigned long long nodes_created = 0


# --- grad mode ----------------------------------------------------------------

cdef bint grad_enabled() noexcept:
    return grad_mode_get()


def is_grad_enabled():
    """Are operations being recorded in the graph?"""
    return grad_mode_get()


cdef class set_grad_enabled:
    """Record operations in the graph or not: a context manager and a decorator."""
    cdef bint mode
    cdef bint previous

    def __init__(self, mode):
        self.mode = mode
        self.previous = grad_mode_get()

    def __enter__(self):
        self.previous = grad_mode_get()
        grad_mode_set(self.mode)

    def __exit__(self, *exc_info):
        grad_mode_set(self.previous)

    def __call__(self, function):
        import functools
        mode = self.mode

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with set_grad_enabled(mode):
                return function(*args, **kwargs)
        return wrapped


cdef class no_grad(set_grad_enabled):
    """Within this context, or in a function so decorated, nothing is recorded."""

    def __init__(self):
        set_grad_enabled.__init__(self, False)


cdef class enable_grad(set_grad_enabled):
    """Within this context, or in a function so decorated, operations are recorded."""

    def __init__(self):
        set_grad_enabled.__init__(self, True)


# --- nodes --------------------------------------------------------------------

# A chain of nodes is freed link by link: past a depth the rest waits its turn in
# a list, so that a long chain does not overflow the stack.
cdef int free_depth = 0
cdef list free_later = []


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Node:
    """An operation in the graph; what grad_fn shows."""

    def __dealloc__(self):
        global free_depth
        if free_depth >= 24:
            free_later.append((self.input0, self.input1, self.input2, self.inputs,
                               self.saved0, self.saved1, self.saved2, self.extra))
            return
        free_depth += 1
        release(self)
        self.dy = None
        free_depth -= 1
        if free_depth == 0:
            while free_later:
                free_later.pop()

    def __repr__(self):
        return f"<{self.name()}>"

    def name(self):
        """MulBackward, LogSoftmaxBackward, ..."""
        return "".join([word.capitalize() for word in self.label.decode().split("_")]) + "Backward"


cdef void release(Node node) noexcept:
    """Let go of everything that the node refers to."""
    node.backward = NULL
    node.input0 = node.input1 = node.input2 = None
    node.inputs = None
    node.saved0 = node.saved1 = node.saved2 = None
    node.extra = None


cdef Node new_node(backward_fn backward, const char* label):
    global nodes_created
    cdef Node node = Node.__new__(Node)
    nodes_created += 1
    node.created = nodes_created
    node.backward = backward
    node.label = label
    return node


cdef inline bint is_stale(Tensor x) noexcept:
    """Is x a view of a tensor that changed in place, with gradients, since x was taken?"""
    return x.base is not None and x.base_rebases != x.storage.rebases


cdef bint needs_graph(Tensor x) noexcept:
    return (x.tracked or is_stale(x)) and grad_mode_get()


cdef object edge(Tensor x):
    if is_stale(x):
        raise RuntimeError(f"this view of shape {shape_text(x)} was taken before its tensor was "
                           "changed in place by an operation with gradients; take the view anew")
    if x.node is not None:
        return x.node
    return x if x.tracked else None


cdef void attach(Tensor y, Node node) noexcept:
    y.node = node
    y.tracked = True


cdef void save0(Node node, Tensor x) noexcept:
    node.saved0 = x
    node.version0 = x.storage.version


cdef void save1(Node node, Tensor x) noexcept:
    node.saved1 = x
    node.version1 = x.storage.version


cdef void save2(Node node, Tensor x) noexcept:
    node.saved2 = x
    node.version2 = x.storage.version


cdef Tensor check_version(Node node, Tensor x, Py_ssize_t version):
    if x is not None and x.storage.version != version:
        raise RuntimeError(
            f"{node.label.decode()} needs a tensor of shape {shape_text(x)} for its gradient that "
            f"was changed in place since: it is at version {x.storage.version}, "
            f"version {version} is needed")
    return x


cdef Tensor saved0(Node node):
    return check_version(node, node.saved0, node.version0)


cdef Tensor saved1(Node node):
    return check_version(node, node.saved1, node.version1)


cdef Tensor saved2(Node node):
    return check_version(node, node.saved2, node.version2)


cdef object released(Node node):
    return RuntimeError(f"the graph was already released (at {node.label.decode()}): call "
                        "backward(retain_graph=True) the first time to go through it twice")


cdef int output_backward(Node output, Tensor dy) except -1:
    """Hand the gradient of one of several outputs to the operation's node."""
    cdef Node node = <Node>output.input0
    if node.backward == NULL:
        raise released(node)
    node.extra[0][output.i[0]] = dy
    if not node.queued:
        push(node)
    return 0


cdef int attach_many(list outputs, Node node) except -1:
    cdef Tensor y
    cdef Node output
    cdef int k
    node.many = True
    node.extra = ([None] * len(outputs), node.extra)
    for k in range(len(outputs)):
        y = <Tensor>outputs[k]
        output = new_node(output_backward, node.label)
        output.input0 = node
        output.i[0] = k
        attach(y, output)
    return 0


# --- in place -----------------------------------------------------------------

cdef int begin_inplace(Tensor x, bint value_tracked) except -1:
    check_writable(x)
    if grad_mode_get():
        if x.tracked and x.node is None:
            raise RuntimeError("a leaf tensor that requires grad cannot be changed in place; "
                               "use no_grad(), or change a clone()")
        if x.base is not None and (x.tracked or value_tracked or x.base.tracked):
            raise RuntimeError(f"this tensor of shape {shape_text(x)} is a view, and a change in "
                               "place with gradients would falsify those of its tensor; "
                               "assign to the tensor itself, or clone() the view")
        if x.tracked or value_tracked:
            x.storage.rebases += 1
        x.node = None                 # what x was has no part in what it becomes, unless the
        x.tracked = False             # caller attaches a node that says so
    x.storage.version += 1
    return 0


cdef Tensor kept(Tensor saved, Tensor x, Py_ssize_t* version):
    """What a node saved; a copy of it if it lies in the memory of x, which is about to change."""
    cdef Tensor y
    if saved is None or saved.storage is not x.storage or saved.storage.version != version[0]:
        return saved
    y = new_like(saved, saved.dtype_)
    copy_into(y, saved)
    version[0] = y.storage.version
    return y


cdef Tensor write_inplace(Tensor x, Tensor result):
    cdef bint recorded = result.tracked and grad_mode_get()
    cdef Node node
    if not same_shape(x, result):
        raise ValueError(f"a result of shape {shape_text(result)} does not fit in place "
                         f"into shape {shape_text(x)}")
    if result.dtype_ >= FLOAT32 > x.dtype_ or (recorded and result.dtype_ != x.dtype_):
        raise TypeError(f"a {dtype_of(result.dtype_).name} result cannot be written in place "
                        f"into a {dtype_of(x.dtype_).name} tensor")
    node = <Node>result.node if recorded else None
    if node is not None:
        node.saved0 = kept(node.saved0, x, &node.version0)
        node.saved1 = kept(node.saved1, x, &node.version1)
        node.saved2 = kept(node.saved2, x, &node.version2)
    begin_inplace(x, recorded)
    copy_into(x, result)
    if node is not None:
        attach(x, node)
    return x


# --- the engine ---------------------------------------------------------------

cdef inline unsigned long long created_at(const node_queue* q, Py_ssize_t k) noexcept:
    return (<Node>q.nodes[k]).created


cdef int push(Node node) except -1:
    """Queue a node in the backward() of this thread."""
    cdef node_queue* q = queue_get()
    cdef PyObject** larger
    cdef Py_ssize_t k = q.size, parent
    if q.size == q.capacity:
        larger = <PyObject**>realloc(q.nodes, (2 * q.capacity + 64) * sizeof(PyObject*))
        if larger == NULL:
            raise MemoryError("the queue of backward() does not fit in memory")
        q.nodes = larger
        q.capacity = 2 * q.capacity + 64
    Py_INCREF(node)
    node.queued = True
    q.size += 1
    while k > 0:
        parent = (k - 1) // 2
        if created_at(q, parent) > node.created:
            break
        q.nodes[k] = q.nodes[parent]
        k = parent
    q.nodes[k] = <PyObject*>node
    return 0


cdef Node pop(node_queue* q):
    cdef Node top = <Node>q.nodes[0]
    cdef PyObject* last
    cdef Py_ssize_t k = 0, child
    Py_DECREF(top)            # `top` holds a reference of its own
    top.queued = False
    q.size -= 1
    last = q.nodes[q.size]
    while True:
        child = 2 * k + 1
        if child >= q.size:
            break
        if child + 1 < q.size and created_at(q, child + 1) > created_at(q, child):
            child += 1
        if (<Node>last).created > created_at(q, child):
            break
        q.nodes[k] = q.nodes[child]
        k = child
    q.nodes[k] = last
    return top


cdef int add_up(Tensor leaf, object gradient) except -1:
    """leaf.grad += gradient, if there is one yet; returns whether there was."""
    cdef object before, total
    cdef bint mode = grad_mode_get()
    grad_mode_set(False)
    try:
        while leaf.grad_ is not None:
            before = leaf.grad_
            if type(before) is SparseRows or type(gradient) is SparseRows:
                total = add_gradients(before, gradient)
            else:
                total = hot_operators().add(before, gradient)
            if leaf.grad_ is before:          # else another thread has added its own meanwhile
                leaf.grad_ = total
                return True
    finally:
        grad_mode_set(mode)
    return False


cdef int accumulate(Tensor leaf, Tensor gradient, bint owned) except -1:
    """leaf.grad += gradient; the first gradient is taken over if nobody else holds it."""
    cdef Tensor copy
    if leaf.grad_ is not None and add_up(leaf, gradient):
        return 0
    if (owned and gradient.base is None and is_dense(gradient)
            and Py_REFCNT(<PyObject*>gradient.storage) == 1):
        leaf.grad_ = gradient
    else:
        copy = new_tensor(gradient.dtype_, gradient.ndim_, gradient.shape_)
        copy_into(copy, gradient)
        leaf.grad_ = copy
    return 0


cdef int give_rows(Tensor leaf, SparseRows gradient) except -1:
    if leaf.grad_ is None or not add_up(leaf, gradient):
        leaf.grad_ = gradient
    return 0


cdef int give(object where, Tensor gradient) except -1:
    cdef Node node
    if where is None:
        return 0
    if type(where) is Node:
        node = <Node>where
        if node.dy is None:
            node.dy = gradient
        else:
            node.dy = <Tensor>hot_operators().add(node.dy, gradient)
        if not node.queued:
            push(node)
        return 0
    # one reference is the caller's own variable
    return accumulate(<Tensor>where, gradient, Py_REFCNT(<PyObject*>gradient) <= 1)


cdef int forget(Node node) except -1:
    """Drop the gradients gathered so far; nothing else changes."""
    if node is not None:
        node.dy = None
        if node.many and node.extra is not None:
            node.extra = ([None] * len(node.extra[0]), node.extra[1])
    return 0


cdef bint keeps_graph() noexcept:
    return queue_get().kept


cdef int run(Node root, Tensor dy, bint retain_graph) except -1:
    cdef node_queue q
    cdef node_queue* outer = queue_get()     # of a backward that this one is called within
    cdef Node node = None
    cdef bint mode = grad_mode_get()
    q.nodes, q.size, q.capacity, q.kept = NULL, 0, 0, retain_graph
    queue_set(&q)
    grad_mode_set(False)
    try:
        give(root, dy)
        dy = None
        while q.size > 0:
            node = pop(&q)
            dy, node.dy = node.dy, None
            if node.backward == NULL:
                raise released(node)
            node.backward(node, dy)
            if retain_graph:
                forget(node)
            else:
                release(node)
    except BaseException:
        forget(node)
        raise
    finally:
        while q.size > 0:             # after an error
            forget(pop(&q))
        free(q.nodes)
        queue_set(outer)
        grad_mode_set(mode)
    return 0


def backward(tensor, gradient=None, retain_graph=False, create_graph=False):
    """Add the gradient of this tensor with respect to every leaf to the leaf's .grad.

    gradient: the gradient of the final value with respect to this tensor, of its
    shape; may be left out for a tensor of one element. The graph is released
    unless retain_graph. Gradients of gradients (create_graph) are not supported.
    """
    cdef Tensor y = as_tensor(tensor, "backward() needs: its tensor")
    cdef Tensor dy
    if create_graph:
        raise NotImplementedError("gradients of gradients (create_graph=True) are not supported")
    if not y.tracked:
        raise RuntimeError("this tensor does not require grad and has no graph")
    if gradient is None:
        if y.size_ != 1:
            raise RuntimeError(f"backward() of a tensor of shape {shape_text(y)} needs a gradient "
                               "of that shape; only one element may go without")
        dy = new_tensor(y.dtype_, y.ndim_, y.shape_)
        if y.dtype_ == FLOAT32:
            (<float*>dy.ptr)[0] = 1
        else:
            (<double*>dy.ptr)[0] = 1
    else:
        dy = alias(as_tensor(gradient, "gradient"))
        if not same_shape(y, dy):
            raise RuntimeError(f"gradient must have shape {shape_text(y)}, got {shape_text(dy)}")
        if dy.dtype_ != y.dtype_:
            raise RuntimeError(f"gradient must be {dtype_of(y.dtype_).name}, "
                               f"got {dtype_of(dy.dtype_).name}")
    where = edge(y)
    if type(where) is Node:
        run(<Node>where, dy, retain_graph)
    else:
        accumulate(y, dy, False)


def write(tensor, result):
    """tensor takes over the values of result, and its place in the graph; returns tensor."""
    return write_inplace(as_tensor(tensor, "the target"), as_tensor(result, "the result"))
