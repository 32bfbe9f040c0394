"""A folder of pictures, kept in step with its indexes."""
