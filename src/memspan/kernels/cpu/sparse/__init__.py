"""The kernel that computes open units only: forward and backward walks under a time gate without leak.

Batch rows lie in the lanes and units are rows, so an open unit is a few whole rows of weights and nothing is
gathered; what is closed is not touched. Start at ``lanes.py``.
"""
