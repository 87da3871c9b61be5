/* Cross entropy of n class scores x and a goal q, and its gradient in the same pass.
 *
 *   loss   sum_j q_j (m + log s - x_j) = mass log s - sum_j q_j (x_j - m)
 *   dx_j   scale (mass p_j - q_j),  p = softmax(x), m = max_j x_j, s = sum_j exp(x_j - m)
 *   q_j    w_j ((1 - e) t_j + e / n), mass = sum_j q_j
 *
 * with class weights w, label smoothing e and t_j a probability, or 1 for the target class and 0
 * for the others. Samples lie side by side in memory, or are rows of n: of few classes, rows are
 * turned, so that a vector holds the same class of VL samples. These are taken a few vectors at
 * a time, and kept in scratch until their gradient is written. Called by
 * _kernels/cross_entropy.pyx. */

enum { CROSS_ENTROPY_FEW = 64 }; /* classes of rows that are turned */

/* --- samples side by side --- */

/* what the target classes of some samples say: 1 where there is one, q and x of the class */
typedef struct {
    real valid[SOFTMAX_WIDE], share[SOFTMAX_WIDE], score[SOFTMAX_WIDE];
} cross_entropy_classes;

INLINE void cross_entropy_look_up(const cross_entropy_args *t, const int rows, long c, long cols,
                                  cross_entropy_classes *found)
{
    const real *x = t->x, *weight = t->weight;
    for (long i = 0; i < SOFTMAX_WIDE; i++)
        found->valid[i] = found->share[i] = found->score[i] = 0;
    for (long i = 0; i < cols; i++) {
        const int64_t k = t->target[c + i];
        if (k == t->ignore_index) continue;
        found->valid[i] = 1;
        found->share[i] = (real)(1 - t->smoothing) * (weight ? weight[k] : 1);
        found->score[i] = rows ? x[(c + i) * t->n + k] : x[k * t->step + c + i];
    }
}

INLINE vec cross_entropy_weight(const cross_entropy_args *t, long j)
{
    return v_set1(t->weight ? ((const real *)t->weight)[j] : 1);
}

/* q of class j, from its probabilities */
INLINE vec cross_entropy_goal(const cross_entropy_args *t, long j, vec probability)
{
    const vec keep = v_set1((real)(1 - t->smoothing)), even = v_set1((real)(t->smoothing / t->n));
    return v_fma(keep, probability, even) * cross_entropy_weight(t, j);
}

/* nv vectors of samples from c on, of which `cols` exist; rows: to be turned; soft: the goal is
 * given by probabilities */
INLINE void cross_entropy_samples(const cross_entropy_args *t, const int rows, const int soft,
                                  long c, const int nv, long cols)
{
    const long n = t->n, step = t->step, wide = SOFTMAX_WIDE;
    real *e = t->scratch, *dx = t->dx;
    const real *x = rows ? e : (const real *)t->x + c, *goal = t->probability;
    const long apart = rows ? wide : step;
    const vec even = v_set1((real)(t->smoothing / n)), scale = v_set1((real)t->scale);
    const int smooth = !soft && t->smoothing != 0;
    cross_entropy_classes found;
    vec max[4], sum[4], dot[4], mass[4];

    if (rows) {
        copy_transposed((const real *)t->x + c * n, n, e, wide, n, cols);
        if (soft) copy_transposed(goal + c * n, n, e + n * wide, wide, n, cols);
        if (soft) goal = e + n * wide;
    } else if (soft) {
        goal += c;
    }
    softmax_column_max(x, n, apart, max, nv, cols);

    UNROLL for (int k = 0; k < nv; k++) sum[k] = dot[k] = mass[k] = v_zero();
    for (long start = 0; start < n; start += SOFTMAX_TALL) {
        vec s[4], d[4], m[4];
        UNROLL for (int k = 0; k < nv; k++) s[k] = d[k] = m[k] = v_zero();
        for (long j = start; j < at_most(start + SOFTMAX_TALL, n); j++) {
            const vec w = cross_entropy_weight(t, j);
            UNROLL for (int k = 0; k < nv; k++) {
                const long left = cols - k * VL;
                const vec below = v_load_n(x + j * apart + k * VL, left) - max[k];
                if (soft) {
                    vec q = cross_entropy_goal(t, j, v_load_n(goal + j * apart + k * VL, left));
                    d[k] = v_fma(q, below, d[k]);
                    m[k] = m[k] + q;
                } else if (smooth) {
                    d[k] = v_fma(w, below, d[k]);
                }
                const vec v = softmax_exp(below);
                v_store(e + j * wide + k * VL, v);
                s[k] = s[k] + v;
            }
        }
        UNROLL for (int k = 0; k < nv; k++) {
            sum[k] = sum[k] + s[k];
            dot[k] = dot[k] + d[k];
            mass[k] = mass[k] + m[k];
        }
    }

    if (!soft) {
        cross_entropy_look_up(t, rows, c, cols, &found);
        UNROLL for (int k = 0; k < nv; k++) {
            const vec share = v_load(found.share + k * VL);
            const vec below = v_load(found.score + k * VL) - max[k];
            dot[k] = v_fma(share, below, even * dot[k]);
            mass[k] = v_fma(even, v_set1((real)t->weight_sum), share);
        }
    }
    UNROLL for (int k = 0; k < nv; k++) {
        vec loss = v_fma(mass[k], v_log(sum[k]), v_zero() - dot[k]);
        if (!soft) loss = v_select(v_lt(v_zero(), v_load(found.valid + k * VL)), loss, v_zero());
        v_store_n((real *)t->loss + c + k * VL, loss, cols - k * VL);
        sum[k] = scale * mass[k] / sum[k];
    }
    if (!dx) return;

    for (long j = 0; j < n; j++) {
        const vec evenly = scale * even * cross_entropy_weight(t, j);
        UNROLL for (int k = 0; k < nv; k++) {
            const long left = cols - k * VL;
            vec g = v_load(e + j * wide + k * VL) * sum[k];
            if (soft) {
                vec q = cross_entropy_goal(t, j, v_load_n(goal + j * apart + k * VL, left));
                g = v_fnma(scale, q, g);
            } else {
                if (smooth) g = g - evenly;
                g = v_select(v_lt(v_zero(), v_load(found.valid + k * VL)), g, v_zero());
            }
            if (rows) v_store(e + j * wide + k * VL, g);
            else v_store_n(dx + j * step + c + k * VL, g, left);
        }
    }
    if (!soft)
        for (long i = 0; i < cols; i++) {
            if (found.valid[i] == 0) continue;
            const long k = t->target[c + i];
            *(rows ? e + k * wide + i : dx + k * step + c + i) -= (real)t->scale * found.share[i];
        }
    if (rows) copy_transposed(e, wide, dx + c * n, n, cols, n);
}

INLINE void cross_entropy_all(const cross_entropy_args *t, const int rows, const int soft)
{
    long c = 0;
    for (; c + 4 * VL <= t->count; c += 4 * VL)
        cross_entropy_samples(t, rows, soft, c, 4, 4 * VL);
    for (; c < t->count; c += VL)
        cross_entropy_samples(t, rows, soft, c, 1, at_most(VL, t->count - c));
}

/* --- rows of many classes --- */

/* dot and mass of a row: sum_j q_j (x_j - m) and sum_j q_j; of class targets without the class */
INLINE void cross_entropy_row_sums(const cross_entropy_args *t, const real *x, const real *goal,
                                   real max, real *dot, real *mass)
{
    const long n = t->n;
    const real *weight = t->weight;
    const real even = (real)(t->smoothing / n), keep = (real)(1 - t->smoothing);
    real d = 0, m = 0;
    for (long start = 0; start < n; start += SOFTMAX_BLOCK) {
        vec ds[2] = {v_zero(), v_zero()}, ms[2] = {v_zero(), v_zero()};
        const long end = at_most(start + SOFTMAX_BLOCK, n);
        for (long j = start; j < end; j += 2 * VL)
            UNROLL for (int k = 0; k < 2; k++) {
                const long at = j + k * VL, left = end - at;
                if (left <= 0) break;
                const mask inside = v_lt(v_load(reduce_lane), v_set1((real)at_most(left, VL)));
                vec q = v_set1(even);
                if (goal) q = v_fma(v_set1(keep), v_load_n(goal + at, left), q);
                if (weight) q = q * v_load_n(weight + at, left);
                q = v_select(inside, q, v_zero());
                const vec below = v_load_n(x + at, left) - v_set1(max);
                ds[k] = ds[k] + v_select(inside, q * below, v_zero());
                ms[k] = ms[k] + q;
            }
        d += v_sum(ds[0] + ds[1]);
        m += v_sum(ms[0] + ms[1]);
    }
    *dot = d, *mass = m;
}

/* dx_j = factor e_j - scale q_j, but for the target class */
INLINE void cross_entropy_row_gradient(const cross_entropy_args *t, const real *goal, real factor,
                                       real *dx)
{
    const long n = t->n;
    const real *weight = t->weight;
    const vec f = v_set1(factor), scale = v_set1((real)t->scale);
    const vec even = v_set1((real)(t->smoothing / n)), keep = v_set1((real)(1 - t->smoothing));
    for (long j = 0; j < n; j += VL) {
        const long left = n - j;
        vec q = goal ? v_fma(keep, v_load_n(goal + j, left), even) : even;
        if (weight) q = q * v_load_n(weight + j, left);
        v_store_n(dx + j, v_fnma(scale, q, v_load_n(dx + j, left) * f), left);
    }
}

static void cross_entropy_row(const cross_entropy_args *t, long i)
{
    const long n = t->n;
    const real *x = (const real *)t->x + i * n, *weight = t->weight;
    const real *goal = t->probability ? (const real *)t->probability + i * n : 0;
    real *dx = t->dx ? (real *)t->dx + i * n : 0, *loss = (real *)t->loss + i;
    const int64_t class = goal ? 0 : t->target[i];
    if (!goal && class == t->ignore_index) {
        *loss = 0;
        for (long j = 0; dx && j < n; j++) dx[j] = 0;
        return;
    }
    const real max = softmax_max(x, n);
    const real sum = dx ? softmax_sum(1, x, n, max, dx) : softmax_sum(0, x, n, max, 0);
    real dot = 0, mass = 0, share = 0;
    if (goal || t->smoothing != 0) cross_entropy_row_sums(t, x, goal, max, &dot, &mass);
    if (!goal) {
        share = (real)(1 - t->smoothing) * (weight ? weight[class] : 1);
        dot += share * (x[class] - max);
        mass += share;
    }
    *loss = mass * REAL_FN(log)(sum) - dot;
    if (!dx) return;
    cross_entropy_row_gradient(t, goal, (real)t->scale * mass / sum, dx);
    if (!goal) dx[class] -= (real)t->scale * share;
}

static void cross_entropy(const cross_entropy_args *t)
{
    if (t->step != 1) {
        if (t->probability) cross_entropy_all(t, 0, 1);
        else cross_entropy_all(t, 0, 0);
    } else if (t->n <= CROSS_ENTROPY_FEW) {
        if (t->probability) cross_entropy_all(t, 1, 1);
        else cross_entropy_all(t, 1, 0);
    } else {
        for (long i = 0; i < t->count; i++) cross_entropy_row(t, i);
    }
}

/* The sum of the weights of n targets (of ones: their number), those to ignore left out; *bad is
 * the first that is no class, or -1. */
static double target_weight(const int64_t *target, long n, int64_t classes, int64_t ignore_index,
                            const void *weight_, long *bad)
{
    const real *weight = weight_;
    long fit = 0, kept = 0;
    double total = 0;
    for (long i = 0; i < n; i++) {
        kept += target[i] != ignore_index;
        fit += (uint64_t)target[i] < (uint64_t)classes || target[i] == ignore_index;
    }
    *bad = -1;
    for (long i = 0; fit < n && *bad < 0; i++)
        if ((uint64_t)target[i] >= (uint64_t)classes && target[i] != ignore_index) *bad = i;
    if (!weight || *bad >= 0) return (double)kept;
    for (long i = 0; i < n; i++)
        if (target[i] != ignore_index) total += weight[target[i]];
    return total;
}

#define CROSS_ENTROPY_ROWS .cross_entropy = cross_entropy, .target_weight = target_weight,
