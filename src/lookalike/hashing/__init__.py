"""Hash families, each with its law, and the curves that follow from them."""
