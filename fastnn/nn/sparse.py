"""Tables of vectors looked up by number."""

from __future__ import annotations

from fastnn._core.autograd import no_grad
from fastnn._core.tensor import DType, Tensor
from fastnn.nn import init
from fastnn.nn.functional import embedding
from fastnn.nn.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.ops.creation import empty


class Embedding(Module):
    """Row i of the table for each number i: input (...) of integers, output (..., embedding_dim).

    padding_idx: a row that starts at 0 and is not learned. sparse: the gradient of the table
    holds only the rows used; SGD, Adagrad and SparseAdam then step only those.

    >>> import fastnn
    >>> table = fastnn.nn.Embedding(10, 3)
    >>> table(fastnn.tensor([[1, 2], [4, 9]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if max_norm is not None or scale_grad_by_freq:
            raise NotImplementedError(
                "Embedding: max_norm and scale_grad_by_freq are not supported"
            )
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"padding_idx must be within num_embeddings={num_embeddings}, got {padding_idx}"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.sparse = sparse
        if _weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=dtype), not _freeze)
            self.reset_parameters()
        else:
            if _weight.shape != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"the weight has shape {_weight.shape}, expected "
                    f"{(num_embeddings, embedding_dim)}"
                )
            self.weight = Parameter(_weight, not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table from the standard normal distribution, the padding row being 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def forward(self, input: Tensor) -> Tensor:
        return embedding(input, self.weight, self.padding_idx, sparse=self.sparse)

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None
    ) -> Embedding:
        """A layer of the rows of `embeddings`, shape (num_embeddings, embedding_dim)."""
        if embeddings.ndim != 2:
            raise ValueError(f"embeddings must have 2 dimensions, got shape {embeddings.shape}")
        rows, columns = embeddings.shape
        return cls(rows, columns, padding_idx, _weight=embeddings, _freeze=freeze)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
