from . import (
    container as container,
    files as files,
    hosts as hosts,
    limits as limits,
    options as options,
    platform as platform,
    request as request,
    switches as switches,
)
