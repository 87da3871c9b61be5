"""What this machine can do at best: multiply-adds a second, and bytes a second of each cache.

Both are measured several times in a run: in a virtual machine whose neighbours compute too, one
measurement can come out low. The best counts.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

SIZES = [1 << n for n in range(15, 29, 2)] + [1 << 28]  # 32 KiB to 256 MiB
STREAMS = ("read", "copy", "add")


@dataclass
class Limits:
    """fma: operations a second of one and of all threads; bandwidth: bytes a second of the fastest
    stream through SIZES bytes; copy: of a copy through the largest, which is memory."""

    threads: int
    fma_single: float = 0.0
    fma: float = 0.0
    bandwidth: list[float] = field(default_factory=lambda: [0.0] * len(SIZES))
    copy: float = 0.0

    @classmethod
    def of(cls, threads: int, found: dict) -> Limits:
        """What as_dict() wrote."""
        return cls(
            threads, found["fma_peak_1"], found["fma_peak"], list(found["bandwidth"]), found["copy"]
        )

    def measure(self) -> None:
        """Once more; what is better than before counts."""
        from fastnn._kernels import peak

        self.fma_single = max(self.fma_single, peak.fma_peak(1))
        self.fma = max(self.fma, peak.fma_peak(self.threads), self.fma_single)
        for n, size in enumerate(SIZES):
            found = [peak.stream_bandwidth(kind, self.threads, size, 3, 0.004) for kind in STREAMS]
            self.bandwidth[n] = max(self.bandwidth[n], *found)
        self.copy = max(self.copy, found[STREAMS.index("copy")])

    def bandwidth_of(self, nbytes: float) -> float:
        """Of the cache that half of nbytes fit into: each number may be met twice."""
        return self.bandwidth[max(0, bisect_right(SIZES, nbytes / 2) - 1)]

    def times(self, row: dict) -> tuple[float, float]:
        """The least seconds that the arithmetic of a row as defined takes, and its traffic."""
        return row["flops"] / self.fma, row["bytes"] / self.bandwidth_of(row["bytes"])

    def least(self, row: dict) -> float:
        """The least seconds, if the arithmetic is done in the cleverest known way."""
        arithmetic, traffic = self.times(row)
        return max(arithmetic / row["gain"], traffic)

    def as_dict(self) -> dict:
        return {
            "fma_peak": self.fma,
            "fma_peak_1": self.fma_single,
            "copy": self.copy,
            "sizes": SIZES,
            "bandwidth": self.bandwidth,
        }
