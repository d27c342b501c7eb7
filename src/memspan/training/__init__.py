"""From a pack of runs to a stream of events. Training writes nothing."""
