"""The synthetic digits: the data set that needs neither a file nor a network."""
