"""Copies of folders between disk and object stores: a plan, then many transfers side by side."""
