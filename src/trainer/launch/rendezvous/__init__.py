"""Rendezvous of a job's hosts: one of them runs the coordinator, all of them its clients."""
