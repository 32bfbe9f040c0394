"""An index on disk: a folder of plain ``.npy`` arrays and one manifest.

It knows named arrays and a few facts about them, not what they mean. ``docs/format.md`` in the
repository is the specification.
"""
