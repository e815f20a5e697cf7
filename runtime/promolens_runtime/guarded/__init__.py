"""Pictures of strangers, decoded in a process that may do nothing else."""
