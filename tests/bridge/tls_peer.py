#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The other side of a TLS connection, by OpenSSL: for tests/bridge/test_tls_peers.c.

    tls_peer.py serve DIR [OPTION ...]          prints its port, then a line for each connection
    tls_peer.py connect DIR PORT [OPTION ...]   prints a line

DIR has the certificates. Options:
    1.2         that version only                  cert     the client's certificate: asks for one, has one
    alpn=A,B    protocols                          again    two connections, of one session
    cut         ends the TCP connection without the end of the TLS stream
A server echoes until the client ends its stream, and then sends "bye". A client sends pieces, reads them
back, and ends its stream; then it reads what the server still sends. The line has what the side knows.
"""
import pathlib
import socket
import ssl
import sys

PIECES = [1, 16384, 16385, 100, 300000, 7]


def context(role, folder, options):
    server = role == "serve"
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(folder / "ca.pem")
    if server:
        made.load_cert_chain(folder / "server.pem", folder / "server.key")
    if "cert" in options:
        if server:
            made.verify_mode = ssl.CERT_REQUIRED
        else:
            made.load_cert_chain(folder / "client.pem", folder / "client.key")
    made.maximum_version = ssl.TLSVersion.TLSv1_2 if "1.2" in options else ssl.TLSVersion.TLSv1_3
    for option in options:
        if option.startswith("alpn="):
            made.set_alpn_protocols(option.removeprefix("alpn=").split(","))
    return made


def known(conn, name):
    return (f"{conn.version()} alpn {conn.selected_alpn_protocol()} name {name}"
            f" cert {bool(conn.getpeercert())} resumed {conn.session_reused}")


def end(conn, options):
    if "cut" in options:
        conn.close()
    else:
        conn.unwrap().close()


def serve(made, options):
    names = []
    made.sni_callback = lambda conn, name, made: names.append(name)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    for _ in range(2 if "again" in options else 1):
        try:
            conn = made.wrap_socket(listener.accept()[0], server_side=True,
                                    suppress_ragged_eofs=False)
        except ssl.SSLError as e:
            print("failed", e.reason, flush=True)
            continue
        try:
            while piece := conn.recv(65536):
                conn.sendall(piece)
            conn.sendall(b"bye")
            line = known(conn, names[-1] if names else None)
            end(conn, options)
        except ssl.SSLError as e:
            line = f"failed {e.reason}"
        print(line, flush=True)


def connect(made, port, options):
    session = None
    for _ in range(2 if "again" in options else 1):
        raw = socket.create_connection(("127.0.0.1", port))
        try:
            conn = made.wrap_socket(raw, server_hostname="localhost", session=session,
                                    suppress_ragged_eofs=False)
            for n in PIECES:
                piece = bytes(i * 7 & 255 for i in range(n))
                conn.sendall(piece)
                got = b""
                while len(got) < n:
                    part = conn.recv(n - len(got))
                    if not part:
                        raise EOFError
                    got += part
                assert got == piece
            line, session = known(conn, None), conn.session
            end(conn, options)
        except ssl.SSLError as e:
            line = f"failed {e.reason}"
        print(line, flush=True)


def main():
    role, folder, *options = sys.argv[1:]
    made = context(role, pathlib.Path(folder), options)
    if role == "serve":
        serve(made, options)
    else:
        connect(made, int(options[0]), options[1:])


main()
