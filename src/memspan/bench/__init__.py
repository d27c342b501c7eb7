"""Speed: what is measured, against whom, and the page made from it. Equality first, then time."""
