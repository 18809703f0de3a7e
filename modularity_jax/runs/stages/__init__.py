"""What a run does in turn: train, cluster, lesion."""
