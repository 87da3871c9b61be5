static void pw_add(const void *a, long sa, const void *b, long sb, void *y, long n, const double *p){}
#define POINTWISE_ROWS .pointwise={pw_add},
