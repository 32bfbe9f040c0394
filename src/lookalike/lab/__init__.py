"""The course session on locality-sensitive hashing that lookalike grew from."""
