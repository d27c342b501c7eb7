"""Many runs: which are missing, and an engine that trains them."""
