"""The commands of ``lookalike``, each a thin wrapper of library calls."""
