"""PLACEHOLDER until merged."""


def spectral_vectors(graph, *, num_clusters=4, start=None):
    raise NotImplementedError


def spectral_clusterability(graph, *, num_clusters=4, vectors=None):
    raise NotImplementedError
