"""The hot loops: blocking, packing, threads. Raw pointers only; they know no Tensor."""
