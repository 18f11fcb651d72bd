"""The platforms: from environment, command line and files to a Job.

A platform is a module with a name, a table of what it reads, and two functions:

    NAME: str
    NAMES: dict[str, str]            variable or file -> the field of Job that it sets
    detect(seen) -> str | None       why a process runs on this platform, or None
    read(seen) -> Reading            what the platform says

To add one, write such a module and name it in `PLATFORMS` (`resolve.py`).
"""
