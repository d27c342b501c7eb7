"""What is trained: networks built from a cell and a read-out."""
