"""Long short-term memory whose gates see the context."""
