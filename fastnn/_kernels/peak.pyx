"""The machine's own limits: FMA peak and bandwidth of each cache, for the benchmark.

Each thread of the team is bound to one CPU of the process while it measures, so
that two threads never share one."""

import time

from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT32,
    FLOAT64,
    PEAK_ADD,
    PEAK_COPY,
    PEAK_READ,
    fastnn_kernels,
    kernels,
    parallel_team,
    team_task,
)

cdef extern from *:
    """
    #if defined(__linux__)
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sched.h>
    typedef cpu_set_t cpu_mask;
    static void mask_get(cpu_mask *mask) { sched_getaffinity(0, sizeof *mask, mask); }
    static void mask_set(const cpu_mask *mask) { sched_setaffinity(0, sizeof *mask, mask); }
    /* only the which-th CPU (cyclically) of mask */
    static void mask_one(const cpu_mask *mask, int which, cpu_mask *one)
    {
        int count = CPU_COUNT(mask), seen = 0;
        CPU_ZERO(one);
        for (int cpu = 0; cpu < CPU_SETSIZE && count > 0; cpu++)
            if (CPU_ISSET(cpu, mask) && seen++ == which % count) CPU_SET(cpu, one);
    }
    #else
    typedef int cpu_mask;
    static void mask_get(cpu_mask *mask) { *mask = 0; }
    static void mask_set(const cpu_mask *mask) { (void)mask; }
    static void mask_one(const cpu_mask *mask, int which, cpu_mask *one) { *one = *mask + which; }
    #endif
    """
    ctypedef struct cpu_mask:
        pass
    void mask_get(cpu_mask* mask) noexcept nogil
    void mask_set(const cpu_mask* mask) noexcept nogil
    void mask_one(const cpu_mask* mask, int which, cpu_mask* one) noexcept nogil

cdef enum:
    STREAM_UNIT = 128            # numbers; a multiple of eight vectors of any level

STREAMS = {"read": PEAK_READ, "copy": PEAK_COPY, "add": PEAK_ADD}

cdef struct Probe:
    const fastnn_kernels* table
    cpu_mask allowed
    long rounds
    int kind                     # of stream
    int arrays                   # that the stream touches
    char* memory
    long n                       # numbers of one array, all threads together
    int team
    double[64] sink              # eight apart, a cache line each


cdef void fma_task(void* context, int thread, int team) noexcept nogil:
    cdef Probe* probe = <Probe*>context
    cdef cpu_mask one
    mask_one(&probe.allowed, thread, &one)
    mask_set(&one)
    if thread == 0:
        probe.team = team
    probe.table.peak_fma(probe.rounds, &probe.sink[thread % 8 * 8])
    mask_set(&probe.allowed)


cdef long part_of(const Probe* probe, int team) noexcept nogil:
    """The numbers of one array that each thread of the team streams."""
    return probe.n // team // STREAM_UNIT * STREAM_UNIT


cdef void stream_task(void* context, int thread, int team) noexcept nogil:
    """A thread's arrays lie side by side, so that small ones stay in its own caches."""
    cdef Probe* probe = <Probe*>context
    cdef cpu_mask one
    cdef long part = part_of(probe, team)
    cdef char* a = probe.memory + 4 * part * probe.arrays * thread
    cdef char* c = a + 4 * part * (probe.arrays - 1)
    cdef void* out = c if probe.kind != PEAK_READ else <char*>&probe.sink[thread % 8 * 8]
    mask_one(&probe.allowed, thread, &one)
    mask_set(&one)
    if thread == 0:
        probe.team = team
    for _ in range(probe.rounds):
        probe.table.peak_stream[probe.kind](a, a + 4 * part, out, part)
    mask_set(&probe.allowed)


cdef double best_rate(team_task task, Probe* probe, int threads, int repeats, double seconds):
    """Rounds of all threads a second, the best of `repeats` measurements this long."""
    cdef double best = 0, began, spent
    mask_get(&probe.allowed)
    probe.rounds = 1
    for _ in range(repeats):
        while True:
            began = time.perf_counter()
            with nogil:
                parallel_team(task, probe, threads)
            spent = time.perf_counter() - began
            if spent >= seconds:
                break
            probe.rounds *= 2
        best = max(best, probe.rounds / spent)
    return best


def fma_peak(int threads, bint double_precision=False, int repeats=5, double seconds=0.05):
    """Floating-point operations a second of `threads` threads in registers, best of `repeats`."""
    cdef Probe probe
    cdef double rounds
    probe.table = kernels(FLOAT64 if double_precision else FLOAT32)
    rounds = best_rate(fma_task, &probe, threads, repeats, seconds)
    return 24.0 * probe.table.vl * rounds * probe.team


def stream_bandwidth(str kind, int threads, long nbytes, int repeats=5, double seconds=0.02):
    """Bytes read and written a second, best of `repeats`, by threads that stream again and again
    through nbytes of memory, each through its own part.

    kind: "read" (a sum), "copy" (an array to another) or "add" (two arrays to a third).
    nbytes: of all arrays of all threads together."""
    cdef Probe probe
    cdef double rounds
    if kind not in STREAMS:
        raise ValueError(f"kind must be one of {', '.join(STREAMS)}, not {kind!r}")
    probe.table = kernels(FLOAT32)
    probe.kind = STREAMS[kind]
    probe.arrays = probe.kind + 1
    probe.n = nbytes // 4 // probe.arrays
    if threads < 1 or part_of(&probe, threads) == 0:
        raise ValueError(f"{nbytes} bytes are too few for {threads} threads to stream")
    probe.memory = <char*>malloc(nbytes)
    if probe.memory == NULL:
        raise MemoryError(f"cannot allocate {nbytes} bytes to measure bandwidth")
    memset(probe.memory, 1, nbytes)  # zeros could be one page of the system, mapped many times
    rounds = best_rate(stream_task, &probe, threads, repeats, seconds)
    free(probe.memory)
    return 4.0 * probe.arrays * part_of(&probe, probe.team) * probe.team * rounds
