"""Search engines: each one hashes, filters and verifies under one contract."""
