"""The report: figures, tables, claims and the document, drawn from the ledger. Nothing here trains."""
