"""Speed beside the peers', on the same cores and in the same run; each benchmark is a function that returns rows."""
