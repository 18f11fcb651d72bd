"""Network addresses, free ports, and the interface that has an address."""

from __future__ import annotations

import array
import contextlib
import fcntl
import random
import socket
import struct
from collections.abc import Sequence

# Below Linux's default ip_local_port_range: the kernel takes ports of outgoing connections from
# that range, and one of them might be taken before the process that is to have it listens.
LISTENING_PORTS = range(16384, 32768)
# netdevice(7): all addresses of all interfaces, secondary ones too.
_SIOCGIFCONF = 0x8912
# `struct ifreq` on 64-bit Linux: a name of 16 bytes, and 24 for the address.
_ENTRY = 40
_ROOM = 256


def split_address(address: str) -> tuple[str, int | None]:
    """Split `host:port`, `host` or `[v6]:port` into host and port."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and ":" not in host.removeprefix("[").removesuffix("]"):
        return host, int(port)
    if colon and port.isdecimal() and host.startswith("["):
        return host[1:-1], int(port)
    return address, None


def join_address(host: str, port: int) -> str:
    """Return the inverse of `split_address`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_ports(count: int, *, among: Sequence[int] = LISTENING_PORTS) -> list[int]:
    """Return different ports of this machine on which nobody listens.

    Args:
        count: How many.
        among: The ports to choose from.

    Raises:
        OSError: Fewer are free.
    """
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        for port in random.sample(among, len(among)):
            # Hold all until the last is found, so that none is found twice.
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"fewer than {count} free ports")


def interface_of(ip: str) -> str | None:
    """Return the network interface that has an IPv4 address; None if none has."""
    buffer = array.array("B", bytes(_ENTRY * _ROOM))
    address, length = buffer.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("iP", length, address)
        try:
            filled, _ = struct.unpack("iP", fcntl.ioctl(probe, _SIOCGIFCONF, request))
        except OSError:
            return None
    wanted = socket.inet_aton(ip)
    for start in range(0, filled, _ENTRY):
        entry = buffer[start : start + _ENTRY].tobytes()
        # The address follows a family and a port of 2 bytes each.
        if entry[20:24] == wanted:
            return entry[:16].partition(b"\0")[0].decode()
    return None
