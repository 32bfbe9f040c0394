"""The page: search, how it was found, duplicates, album."""
