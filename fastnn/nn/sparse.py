"""Tables of vectors looked up by number."""

from __future__ import annotations

from typing import Any

from fastnn._core.autograd import no_grad
from fastnn._core.tensor import DType, Tensor
from fastnn.nn import init
from fastnn.nn.functional import embedding, embedding_bag
from fastnn.nn.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.ops.creation import empty


class Table(Module):
    """A table of num_embeddings rows: what Embedding and EmbeddingBag share."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Tensor | None,
        freeze: bool,
        dtype: DType | None,
    ) -> None:
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"padding_idx must be within num_embeddings={num_embeddings}, got {padding_idx}"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=dtype), not freeze)
            self.reset_parameters()
        else:
            if weight.shape != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"the weight has shape {weight.shape}, expected "
                    f"{(num_embeddings, embedding_dim)}"
                )
            self.weight = Parameter(weight, not freeze)

    def reset_parameters(self) -> None:
        """Draw the table from the standard normal distribution, the padding row being 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def _of_rows(cls, embeddings: Tensor, freeze: bool, **options: Any) -> Any:
        if embeddings.ndim != 2:
            raise ValueError(f"embeddings must have 2 dimensions, got shape {embeddings.shape}")
        table = cls(*embeddings.shape, _weight=embeddings, **options)
        table.weight.requires_grad = not freeze
        return table

    def _norm_repr(self) -> str:
        shown = "" if self.max_norm is None else f", max_norm={self.max_norm}"
        shown += "" if self.norm_type == 2 else f", norm_type={self.norm_type}"
        return shown + (", scale_grad_by_freq=True" if self.scale_grad_by_freq else "")


class Embedding(Table):
    """Row i of the table for each number i: input (...) of integers, output (..., embedding_dim).

    padding_idx: a row that starts at 0 and is not learned. max_norm: rows used whose norm
    (norm_type: its p) is larger are scaled down to it, in place. scale_grad_by_freq: the gradient
    of a row is divided by how often it was used. sparse: the gradient of the table holds only the
    rows used; SGD, Adagrad and SparseAdam then step only those.

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
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            _freeze,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        return embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer of the rows of `embeddings`, shape (num_embeddings, embedding_dim)."""
        return cls._of_rows(
            embeddings,
            freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        sparse = ", sparse=True" if self.sparse else ""
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}{self._norm_repr()}{sparse}"


class EmbeddingBag(Table):
    """The sum, mean or max of the rows that each bag of numbers names, (bags, embedding_dim).

    input: (bags, n), or all bags end to end with `offsets`, the place where each begins (and,
    with include_last_offset, where the last one ends). mode: "mean", "sum" or "max".
    padding_idx: a row that counts as absent. max_norm, norm_type, scale_grad_by_freq and sparse: as
    for Embedding, the last two not for "max".

    >>> import fastnn
    >>> table = fastnn.nn.EmbeddingBag(10, 3, mode="sum")
    >>> table(fastnn.tensor([1, 2, 4, 9]), fastnn.tensor([0, 3])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            False,
            dtype,
        )
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            mode=self.mode,
            sparse=self.sparse,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer of the rows of `embeddings`, shape (num_embeddings, embedding_dim)."""
        return cls._of_rows(
            embeddings,
            freeze,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        table = f"{self.num_embeddings}, {self.embedding_dim}{self._norm_repr()}"
        return f"{table}, mode={self.mode!r}{padding}"
