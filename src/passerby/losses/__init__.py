"""The training losses: one file each, with its config beside it (:mod:`passerby.losses.registry`)."""
