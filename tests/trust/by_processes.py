"""Threads, processes, copies."""
