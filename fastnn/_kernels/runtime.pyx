"""Which micro-kernels run, on how many threads.

All OpenMP of the library stands here. A parallel region takes over its caller's
floating-point mode, and work is split by tasks whose number and extent depend on
the problem's shape alone, so the bits do not depend on the number of threads.
"""

import os
import warnings

from cython.parallel cimport parallel, threadid

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <pthread.h>
    #if defined(_OPENMP)
    #include <omp.h>
    #define OPENMP_DATE _OPENMP
    #else
    #define OPENMP_DATE 0
    static int omp_get_num_threads(void) { return 1; }
    static int omp_in_parallel(void) { return 0; }
    #endif

    #if defined(__x86_64__)
    #include <xmmintrin.h>
    static inline unsigned long float_mode_get(void) { return _mm_getcsr() & ~0x3ful; }
    static inline void float_mode_set(unsigned long mode) { _mm_setcsr((unsigned)mode); }
    #elif defined(__aarch64__)
    static inline unsigned long float_mode_get(void)
    { unsigned long mode; __asm__ volatile("mrs %0, fpcr" : "=r"(mode)); return mode; }
    static inline void float_mode_set(unsigned long mode)
    { __asm__ volatile("msr fpcr, %0" :: "r"(mode)); }
    #else
    static inline unsigned long float_mode_get(void) { return 0; }
    static inline void float_mode_set(unsigned long mode) { (void)mode; }
    #endif

    #include <time.h>
    static inline double clock_ns(void)
    {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return 1e9 * t.tv_sec + t.tv_nsec;
    }

    static inline long claim(long *next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

    #ifdef _OPENMP
    #define TEAM_BARRIER() _Pragma("omp barrier")
    #else
    #define TEAM_BARRIER()
    #endif
    static inline void team_meet(void) { TEAM_BARRIER() }

    #ifdef _OPENMP
    #include <dlfcn.h>
    static const char *openmp_file(void)
    {
        Dl_info info;
        if (dladdr((void *)omp_get_num_threads, &info) && info.dli_fname) return info.dli_fname;
        return "unknown";
    }
    #else
    static const char *openmp_file(void) { return ""; }
    #endif
    """
    int pthread_atfork(void (*prepare)() noexcept, void (*parent)() noexcept,
                       void (*child)() noexcept) nogil
    int omp_get_num_threads() noexcept nogil
    int omp_in_parallel() noexcept nogil
    unsigned long float_mode_get() noexcept nogil
    void float_mode_set(unsigned long mode) noexcept nogil
    double clock_ns() noexcept nogil
    long claim(long* next_item) noexcept nogil
    void team_meet() noexcept nogil
    const char* openmp_file() noexcept
    const char* FASTNN_COMPILER
    enum: OPENMP_VERSION "OPENMP_DATE"

cdef extern from "kernels.h" nogil:
    int fastnn_levels(const char** names, int capacity)
    const fastnn_kernels* fastnn_table(const char* level, int real_bits)

cdef extern from "convert.h" nogil:
    void fastnn_convert(int src_dtype, const void* src, long src_step,
                        int dst_dtype, void* dst, long dst_step, long n)

cdef extern from "integer.h" nogil:
    const pointwise_fn* fastnn_integer

cdef enum:
    MAX_THREADS = 256

cdef const fastnn_kernels* table_f32
cdef const fastnn_kernels* table_f64
cdef int threads_wanted = 1
cdef bint forked = False      # libgomp hangs in a forked child: it stays serial
cdef int last_team_seen = 1
cdef long regions_seen = 0

# A region costs about 1 us while the workers spin and 20 us when they sleep.
# Work is shared out where one thread would need longer than this.
# Measured: 2-thread crossover of a ReLU over n floats, 2 cores of a Xeon
# (avx512): even at 6 us, 1.5 times faster at 15 us.
cdef double PARALLEL_NS = 10_000.0

# Where other processes keep the CPUs busy, a thread comes milliseconds late to a region, and all
# wait for it. How late is averaged over the regions; work is shared out where one thread would
# need twice as long. Each time it is not, the average is forgotten a little, so that the next try
# comes. Sleeping workers, which are some 50 us late, do not count; one thread that is very late
# once, as after the process was stopped, counts for a hundred small regions.
cdef double LATE_NS = 200_000.0
cdef double MOST_LATE_NS = 2e6
cdef double LATE_WEIGHT = 0.125
cdef double LATE_DECAY = 0.998
cdef double late_ns = 0
cdef bint adapts = True


cdef long itemsize(int dtype) noexcept nogil:
    if dtype <= UINT8:
        return 1
    return 4 if dtype == INT32 or dtype == FLOAT32 else 8


cdef const fastnn_kernels* kernels(int dtype) noexcept nogil:
    return table_f64 if dtype == FLOAT64 else table_f32


cdef const pointwise_fn* integer_kernels() noexcept nogil:
    return fastnn_integer


cdef void convert(int src_dtype, const void* src, long src_step,
                  int dst_dtype, void* dst, long dst_step, long n) noexcept nogil:
    fastnn_convert(src_dtype, src, src_step, dst_dtype, dst, dst_step, n)


cdef int team_size(double ns) noexcept nogil:
    global late_ns
    if ns < PARALLEL_NS or threads_wanted == 1 or forked or omp_in_parallel():
        return 1
    if late_ns > LATE_NS and ns < 2 * late_ns and adapts:
        late_ns *= LATE_DECAY
        return 1
    return threads_wanted


cdef void note_late(double entered) noexcept nogil:
    """Take the time since the region was entered into the average; by its last thread."""
    global late_ns
    cdef double late = min(clock_ns() - entered, MOST_LATE_NS)
    late_ns += LATE_WEIGHT * (late - late_ns)


cdef void note_team(int thread, int team) noexcept nogil:
    global last_team_seen, regions_seen
    if thread == 0:
        last_team_seen = team
        regions_seen += team > 1


cdef struct Share:          # the items of one thread, on a cache line of its own
    long next
    long end
    long unused[14]


cdef void run_share(item_task task, void* context, Share* shares, int team,
                    int thread) noexcept nogil:
    """A thread works through its own share, then helps the others with theirs."""
    cdef int other
    cdef long item
    cdef Share* share
    for other in range(team):
        share = &shares[(thread + other) % team]
        while True:
            item = claim(&share.next)
            if item >= share.end:
                break
            task(context, item, thread)


cdef void parallel_for(item_task task, void* context, long items, int threads) noexcept nogil:
    cdef long item
    cdef int thread
    cdef unsigned long mode
    cdef double entered
    cdef Share shares[MAX_THREADS]
    if threads > items:
        threads = <int>items
    if threads <= 1:
        note_team(0, 1)
        for item in range(items):
            task(context, item, 0)
        return
    for thread in range(threads):
        shares[thread].next = items * thread // threads
        shares[thread].end = items * (thread + 1) // threads
    mode = float_mode_get()
    entered = clock_ns()
    with parallel(num_threads=threads):
        float_mode_set(mode)
        note_team(threadid(), omp_get_num_threads())
        if threadid() == threads - 1:
            note_late(entered)
        run_share(task, context, shares, threads, threadid())


cdef void parallel_team(team_task task, void* context, int threads) noexcept nogil:
    cdef unsigned long mode
    cdef double entered
    if threads <= 1:
        note_team(0, 1)
        task(context, 0, 1)
        return
    mode = float_mode_get()
    entered = clock_ns()
    with parallel(num_threads=threads):
        float_mode_set(mode)
        note_team(threadid(), omp_get_num_threads())
        if threadid() == threads - 1:
            note_late(entered)
        task(context, threadid(), omp_get_num_threads())


cdef void team_barrier() noexcept nogil:
    team_meet()


cdef void become_serial() noexcept:
    global forked
    forked = True


def last_team():
    """The number of threads that the last kernel call ran on."""
    return last_team_seen


def regions():
    """How many times kernels have entered a parallel region so far."""
    return regions_seen


def levels():
    """The instruction-set levels of this build that this CPU can run, best first."""
    cdef const char* names[8]
    cdef int count = fastnn_levels(names, 8)
    return [names[i].decode() for i in range(count)]


def isa():
    """The instruction-set level in use."""
    return table_f32.isa.decode()


def use_isa(str level):
    """Run the kernels of another instruction-set level from now on."""
    global table_f32, table_f64
    if level not in levels():
        raise ValueError(f"instruction-set level {level!r} is not among those this build and "
                         f"this CPU offer: {', '.join(levels())}")
    name = level.encode()
    table_f32 = fastnn_table(name, 32)
    table_f64 = fastnn_table(name, 64)


def compiler():
    return FASTNN_COMPILER.decode()


def openmp():
    """The version date of the OpenMP specification compiled for, 0 in a serial build."""
    return OPENMP_VERSION


def openmp_runtime():
    """The file of the OpenMP runtime that this process uses; "" in a serial build."""
    return openmp_file().decode()


def get_num_threads():
    """The number of threads that large operations use."""
    return 1 if forked else threads_wanted


def set_num_threads(n):
    """Use n threads for large operations. Results have the same bits for every n."""
    global threads_wanted
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads expects an int, got {type(n).__name__}")
    if not 1 <= n <= MAX_THREADS:
        raise ValueError(f"the number of threads must be from 1 to {MAX_THREADS}, got {n}")
    if forked and n > 1:
        warnings.warn("this process was forked: OpenMP cannot start threads in it, "
                      "fastnn stays on 1 thread (use the 'spawn' start method)",
                      RuntimeWarning, stacklevel=2)
        return
    if n > 1 and not OPENMP_VERSION:
        warnings.warn("this build has no OpenMP: fastnn stays on 1 thread", RuntimeWarning,
                      stacklevel=2)
        return
    threads_wanted = n


def adapt(bint wanted):
    """Whether small regions stay on one thread while other processes keep the CPUs busy. Returns
    whether they did so far."""
    global adapts, late_ns
    before, adapts = adapts, wanted
    late_ns = 0
    return bool(before)


def assume_late(double ns):
    """Take it that the last thread came so late to the regions before."""
    global late_ns
    late_ns = ns


def default_threads():
    """(number, why): OMP_NUM_THREADS, else the CPUs this process may use."""
    if not OPENMP_VERSION:
        return 1, "serial build"
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked) >= 1:
        return min(int(asked), MAX_THREADS), f"OMP_NUM_THREADS={asked}"
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    why = f"{cpus} CPUs in the affinity mask"
    quota = cgroup_quota()
    if quota is not None and quota < cpus:
        cpus, why = quota, f"cgroup quota of {quota} CPUs"
    return min(cpus, MAX_THREADS), why


def cgroup_quota():
    """CPUs granted by the control group, rounded up; None where there is no limit."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as file:
                quota = file.read().strip()
            with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as file:
                period = file.read().strip()
        except OSError:
            return None
    if not (quota.isdigit() and period.isdigit() and int(period) > 0):
        return None
    return max(1, -(-int(quota) // int(period)))


def start():
    """Choose the level (FASTNN_ISA overrides it) and the number of threads."""
    global threads_wanted
    asked = os.environ.get("FASTNN_ISA")
    if asked and asked not in levels():
        raise ImportError(f"FASTNN_ISA={asked}: this build and this CPU offer "
                          f"{', '.join(levels())}")
    use_isa(asked or levels()[0])
    threads_wanted = default_threads()[0]
    pthread_atfork(NULL, NULL, become_serial)


start()
