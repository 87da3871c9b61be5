"""The machine's own limits: FMA peak and copy bandwidth, for the benchmark.

Each thread of the team is bound to one CPU of the process while it measures, so
that two threads never share one."""

import time

from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastnn._kernels.runtime cimport FLOAT32, FLOAT64, fastnn_kernels, kernels, parallel_team

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

cdef struct Probe:
    const fastnn_kernels* table
    cpu_mask allowed
    long rounds
    char* src
    char* dst
    long n                       # numbers to copy, all threads together
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


cdef void copy_task(void* context, int thread, int team) noexcept nogil:
    cdef Probe* probe = <Probe*>context
    cdef cpu_mask one
    cdef long part = probe.n // team // 1024 * 1024
    mask_one(&probe.allowed, thread, &one)
    mask_set(&one)
    if thread == 0:
        probe.team = team
    probe.table.peak_copy(probe.src + 4 * part * thread, probe.dst + 4 * part * thread, part)
    mask_set(&probe.allowed)


def fma_peak(int threads, bint double_precision=False, int repeats=5, double seconds=0.05):
    """Floating-point operations a second of `threads` threads in registers, best of `repeats`."""
    cdef Probe probe
    cdef double best = 0, began, spent
    probe.table = kernels(FLOAT64 if double_precision else FLOAT32)
    mask_get(&probe.allowed)
    probe.rounds = 1 << 16
    for _ in range(repeats):
        while True:
            began = time.perf_counter()
            with nogil:
                parallel_team(fma_task, &probe, threads)
            spent = time.perf_counter() - began
            if spent >= seconds:
                break
            probe.rounds *= 2
        best = max(best, 24.0 * probe.table.vl * probe.rounds * probe.team / spent)
    return best


def copy_bandwidth(int threads, long nbytes=1 << 28, int repeats=5):
    """Bytes read plus bytes written a second, copying nbytes, best of `repeats`."""
    cdef Probe probe
    cdef double best = 0, began, spent
    nbytes = nbytes // (1 << 16) * (1 << 16)
    probe.table = kernels(FLOAT32)
    probe.n = nbytes // 4
    mask_get(&probe.allowed)
    probe.src = <char*>malloc(nbytes)
    probe.dst = <char*>malloc(nbytes)
    if probe.src == NULL or probe.dst == NULL:
        free(probe.src)
        free(probe.dst)
        raise MemoryError(f"cannot allocate 2 x {nbytes} bytes to measure bandwidth")
    memset(probe.src, 1, nbytes)
    memset(probe.dst, 2, nbytes)
    for _ in range(repeats):
        began = time.perf_counter()
        with nogil:
            parallel_team(copy_task, &probe, threads)
        spent = time.perf_counter() - began
        best = max(best, 2.0 * (probe.n // probe.team // 1024 * 1024 * probe.team * 4) / spent)
    free(probe.src)
    free(probe.dst)
    return best
