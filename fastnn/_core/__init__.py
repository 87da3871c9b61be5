"""Tensor, the graph, the caching arena. They know no operation; ops fills their tables."""
