"""A network, a matrix or a list of edges -> a graph."""
