/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockets_fds.c: a Unix socket, over which a client passes a descriptor to a server. */
#include <nart/nart.h>

#include <stdio.h>
#include <unistd.h>

// --8<-- [start:program]
/* Receives a descriptor, and writes to it. */
static nart_res writer(nart_cx *cx, void *arg)
{
    nart_unix sock = { 0 };
    nart_unix_cred peer = { 0 };
    nart_fd out = { 0 };
    char word[16];
    int fd = -1;
    size_t nfds = 0, done = 0;
    nart_res n = nart_await(cx, nart_unix_accept(cx, arg, &sock, NULL));

    if (n == 0)
        n = nart_unix_peer_cred(&sock, &peer);
    if (n == 0)
        n = nart_await(cx, nart_unix_recv_fds(cx, &sock, word, sizeof word, &fd, 1, &nfds));
    if (n >= 0 && nfds == 1) {
        printf("\"%.*s\" and a descriptor, %s user\n", (int)n, word,
               peer.uid == getuid() ? "of the same" : "of another");
        n = nart_fd_open_here(cx, fd, 0, &out); /* the handle owns it from here on */
        if (n < 0)
            close(fd);
    }
    if (n == 0)
        n = nart_await(cx, nart_fd_write_all(cx, &out, "written by the server", 21, &done));
    nart_fd_close(&out);
    nart_unix_close(&sock);
    nart_unix_listener_close(arg);
    return n < 0 ? n : 0;
}

/* Passes the writing end of a pipe, and reads what the server writes there. */
static nart_res client(nart_cx *cx, void *arg)
{
    nart_unix sock = { 0 };
    nart_fd in = { 0 }, out = { 0 };
    char text[64];
    nart_res n = nart_pipe_open_here(cx, &in, &out);

    if (n == 0)
        n = nart_await(cx, nart_unix_connect(cx, &sock, arg, 0));
    if (n == 0) {
        int fd = (int)nart_fd_fd(&out);

        n = nart_await(cx, nart_unix_send_fds(cx, &sock, "pipe", 4, &fd, 1));
    }
    nart_fd_close(&out); /* the server has a duplicate; with this one open there is no end */
    if (n >= 0)
        n = nart_await_for(cx, 5 * NART_SEC, nart_fd_read(cx, &in, text, sizeof text));
    if (n >= 0)
        printf("%.*s\n", (int)n, text);
    nart_fd_close(&in);
    nart_unix_close(&sock);
    return n < 0 ? n : 0;
}
// --8<-- [end:program]

int main(void)
{
    nart_unix_listener listener = { 0 };
    nart_addr addr;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_addr_parse(&addr,
                            "unix:"); /* a free abstract name; "unix:/run/app.sock": a path */
    if (r == 0)
        r = nart_unix_listen(rt, &addr, NULL, &listener);
    if (r == 0)
        r = nart_unix_listener_addr(&listener, &addr);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, writer, &listener, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, client, &addr, NULL, &answer);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
