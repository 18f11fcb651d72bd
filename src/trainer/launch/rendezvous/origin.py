"""Origin of a connection: the address of its other end, and on this machine its user."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass

# sock_diag(7): one socket, looked up by its addresses.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_ANY = 0xFFFFFFFF
# In the kernel's response: the header, four bytes, the socket's ports and addresses, then more of
# what identifies it, and three numbers.
_SOCKET = slice(_HEADER.size + 4, _HEADER.size + 4 + 36)
_OWNER = _HEADER.size + 4 + 48 + 12


# The address and user by which hosts are distinguished.
Place = tuple[str, int | None]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The other end of a connection.

    Attributes:
        address: Its IPv4 address.
        user: The id of the user whose process holds it; None on another machine or in another
            container.
        reached_at: This end's address.
    """

    address: str
    user: int | None
    reached_at: str

    @classmethod
    def of(cls, connection: socket.socket) -> Origin:
        """Return where a connection comes from.

        Raises:
            OSError: It is broken.
        """
        (address, port), (own, own_port) = connection.getpeername(), connection.getsockname()
        try:
            user = _owner((address, port), (own, own_port))
        except (OSError, struct.error):
            # The kernel cannot look up sockets: treat all users of this machine as one.
            user = os.geteuid() if ipaddress.ip_address(address).is_loopback else None
        return cls(address=address, user=user, reached_at=own)

    @property
    def place(self) -> Place:
        """The address and user, which connections of one host share."""
        return self.address, self.user

    @property
    def is_own(self) -> bool:
        """True if a process of this machine and user holds the other end."""
        return self.user == os.geteuid()


def _owner(source: tuple[str, int], target: tuple[str, int]) -> int | None:
    """Return the user whose process holds the other end of a connection, None if none here does.

    Raises:
        OSError: The kernel does not answer such questions.
    """
    user = holder(source, target)
    if user is None and holder(target, source) is None:
        # It does not know this end either: it has no part for TCP's sockets.
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return user


def holder(source: tuple[str, int], target: tuple[str, int]) -> int | None:
    """Return the user whose process holds the socket of this machine with these two addresses.

    Args:
        source: Its own.
        target: That of its other end.

    Returns:
        None if there is none, or the kernel cannot tell.

    Raises:
        OSError: The kernel does not answer at all.
    """
    ports = struct.pack(">HH", source[1], target[1])
    ends = ports + b"".join(socket.inet_aton(ip).ljust(16, b"\0") for ip, _ in (source, target))
    kind = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY)
    query = kind + ends + struct.pack("=III", 0, _ANY, _ANY)
    with contextlib.closing(
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG)
    ) as netlink:
        netlink.settimeout(1.0)
        size = _HEADER.size + len(query)
        netlink.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + query)
        reply = netlink.recv(4096)
    if _HEADER.unpack_from(reply)[1] == _NLMSG_ERROR:
        number = -struct.unpack_from("=i", reply, _HEADER.size)[0]
        if number == errno.ENOENT:
            return None
        raise OSError(number, os.strerror(number))
    user, inode = struct.unpack_from("=II", reply, _OWNER)
    # Where there is no such socket the kernel answers with one that listens at the port it came
    # from; and what its process has closed counts as root's.
    return user if inode and reply[_SOCKET] == ends else None
