"""Graphs that are traced, compiled or exported."""
