"""The page and the HTTP API: an album, or the digits of the lab, in the browser."""
