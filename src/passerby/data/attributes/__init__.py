"""Pedestrian attributes: schemas, tables, labels and queries."""
