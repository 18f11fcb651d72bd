import socket

import pytest

from trainer.launch.network import free_ports, interface_of, split_address


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("algo-1", "algo-1", None),
        ("algo-1:2222", "algo-1", 2222),
        ("10.0.0.1:7", "10.0.0.1", 7),
        ("[fd00::1]:2222", "fd00::1", 2222),
        ("fd00::1", "fd00::1", None),
        ("algo-1:http", "algo-1:http", None),
        ("", "", None),
    ],
)
def test_an_address_is_a_host_and_perhaps_a_port(address, host, port):
    assert split_address(address) == (host, port)


def test_free_ports_differ_and_are_none_that_outgoing_connections_get():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:  # noqa: PTH123
        first = int(file.read().split()[0])
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < first
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_is_taken_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="fewer than 1 free"):
            free_ports(1, among=[port])
    assert free_ports(1, among=[port]) == [port]


def test_the_interface_is_the_one_that_has_the_address():
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("192.0.2.77") is None
