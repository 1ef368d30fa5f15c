"""The commands, one file each; :mod:`passerby.cli.registry` finds them."""
