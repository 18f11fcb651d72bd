"""The platforms: from environment, command line and files to a Job.

A platform is a module with a name, a table of what it reads, and three functions:

    NAME: str
    NAMES: dict[str, str]            variable, file or argument -> the field of Job that it sets
    detect(seen) -> str | None       why a process runs on this platform, or None
    read(seen) -> Reading            what the platform says
    settle(reading, values, sources) -> lines for the log, once the user's own words are known

To add one, write such a module and name it in `PLATFORMS` (`resolve.py`).
"""
