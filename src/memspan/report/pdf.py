"""The document as a PDF, set by Typst: the same source gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import typst

from memspan.errors import LedgerError

NAME = "report.pdf"


def write_pdf(source: str, folder: Path) -> Path:
    """Set a Typst source whose figures lie in ``folder`` and write ``report.pdf`` beside them.

    Fonts are Typst's own and matplotlib's, never the system's, so that a PDF does not depend on the machine.

    Raises:
        LedgerError: Typst refuses the source.
    """
    fonts = str(Path(mpl.get_data_path(), "fonts", "ttf"))
    try:
        made = typst.compile(  # type: ignore[misc]
            source.encode(), root=str(folder), font_paths=[fonts], ignore_system_fonts=True, timestamp=0
        )
    except typst.TypstError as error:
        raise LedgerError(f"the PDF cannot be set: {error}") from None
    (folder / NAME).write_bytes(made)
    return folder / NAME
