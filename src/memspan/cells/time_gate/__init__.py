"""The time gate of the Phased LSTM, around any cell: a clock lets each unit change in short windows only."""
