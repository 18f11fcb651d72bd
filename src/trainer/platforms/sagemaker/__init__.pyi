from . import files as files, hosts as hosts, platform as platform, switches as switches
