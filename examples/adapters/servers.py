# SPDX-License-Identifier: MIT OR Apache-2.0
"""Servers, each in a folder of its own. A function starts one, calls run() with its address, ends the server, and
returns what run() has returned."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess


NGINX = """
pid %s/nginx.pid; daemon off; worker_processes 1; user root; error_log stderr crit;
events { worker_connections 256; }
http {
    access_log off;
    server {
        listen 127.0.0.1:%d;
        root %s;
        location /slow { limit_rate 1k; }
    }
}
"""


def end_with_parent(signo=signal.SIGKILL):
    ctypes.CDLL(None).prctl(1, signo)


def redis(server, folder, run):
    path = os.path.join(folder, "redis")
    options = ("--port", "0", "--save", "", "--dir", folder, "--unixsocket", path)
    with subprocess.Popen(
        [server, *options], stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent
    ) as process:
        while "eady to accept connections" not in process.stdout.readline():
            if process.poll() is not None:
                raise SystemExit("redis-server ended")
        try:
            return run(path)
        finally:
            process.kill()


def curl(server, folder, run, size=4 << 20):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    port = listener.getsockname()[1]
    for name in "big", "slow":
        with open(os.path.join(folder, name), "wb") as file:
            file.truncate(size)
    with open(os.path.join(folder, "nginx.conf"), "w") as file:
        file.write(NGINX % (folder, port, folder))
    # the socket is passed as nginx does it itself, so that the port is nobody else's meanwhile
    with subprocess.Popen(
        [server, "-p", folder, "-c", "nginx.conf", "-e", "stderr"],
        env={**os.environ, "NGINX": "%d;" % listener.fileno()},
        pass_fds=[listener.fileno()],
        preexec_fn=lambda: end_with_parent(signal.SIGTERM),  # its worker, too
    ) as process:
        try:
            return run("http://127.0.0.1:%d" % port)
        finally:
            process.terminate()


def pq(server, folder, run):
    user = "postgres" if os.getuid() == 0 else None  # it refuses to be root
    if user:
        shutil.chown(folder, user)
    data = os.path.join(folder, "data")
    initdb = os.path.join(os.path.dirname(server), "initdb")
    options = ("-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
    subprocess.check_call([initdb, *options], user=user, stdout=subprocess.DEVNULL, cwd=folder)
    with subprocess.Popen(
        [server, "-D", data, "-k", folder, "-h", "", "-F"],
        user=user,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: end_with_parent(signal.SIGQUIT),  # at once, with its children
    ) as process:
        while "ready to accept connections" not in process.stderr.readline():
            if process.poll() is not None:
                raise SystemExit("postgres ended")
        try:
            return run(folder)
        finally:
            process.send_signal(signal.SIGQUIT)
            process.stderr.read()


def glib(server, folder, run):
    return run()


uv = uv_guest = glib
