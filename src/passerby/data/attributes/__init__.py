"""The attributes of pedestrians: schemas, tables, labels and queries."""
