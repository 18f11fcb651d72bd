"""The container engine of this machine: its client, containers, and the jobs that run in them."""
