"""The sections of a report: one file each, found by :mod:`passerby.report.registry`."""
