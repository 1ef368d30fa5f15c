"""Engines of galleries that outgrow one machine: a database proposes candidates, the shards decide.

The shards on disk stay what the gallery is. An engine holds a copy of the vectors and says which rows may be near a
query; rows that it does not hold yet are searched in the shards, rows that are no longer there are passed over, and
distances, order and ties are those of the ranking core. An engine is one module with a class of
:class:`~passerby.gallery.engines.protocol.Engine`; :mod:`~passerby.gallery.engines.attached` is what a gallery uses.
"""
