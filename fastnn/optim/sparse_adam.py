"""Adam for sparse gradients."""

from __future__ import annotations

from fastnn.ops.optim import sparse_adam_step
from fastnn.optim.optimizer import Optimizer, Params, check_betas, check_not_negative


class SparseAdam(Optimizer):
    """Adam in which a step touches only the rows that a sparse gradient holds.

    The running means of the other rows stay as they are. All gradients must be sparse: those
    of an Embedding or EmbeddingBag with sparse=True.

    >>> import fastnn
    >>> table = fastnn.nn.Embedding(1000, 4, sparse=True)
    >>> optimizer = fastnn.optim.SparseAdam(table.parameters(), lr=0.1)
    >>> table(fastnn.tensor([3, 7])).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_not_negative(lr=lr, eps=eps)
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def _update(self) -> None:
        sparse_adam_step(self.param_groups, self.state)
