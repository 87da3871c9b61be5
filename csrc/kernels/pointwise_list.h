#define POINTWISE_LIST(X) X(add)
