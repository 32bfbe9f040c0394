"""Pictures: read with care, and encoded as vectors."""
