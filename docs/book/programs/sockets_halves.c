/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockets_halves.c: one side ends its direction and still receives what the other sends. */
#include "main.h"

#include <stdio.h>
#include <string.h>

// --8<-- [start:program]
/* Receives until the peer has ended its direction. Answers the number of bytes in `buf`. */
static nart_res receive_all(nart_cx *cx, nart_tcp *sock, char *buf, size_t size)
{
    size_t len = 0;
    nart_res n;

    do {
        if (len == size)
            return -EMSGSIZE;
        n = nart_await(cx, nart_tcp_recv(cx, sock, buf + len, size - len));
        if (n > 0)
            len += (size_t)n;
    } while (n > 0);
    return n < 0 ? n : (nart_res)len;
}

/* Counts the words of one client, when it has sent all of them. */
static nart_res counter(nart_cx *cx, void *arg)
{
    nart_tcp sock = { 0 };
    char text[256];
    size_t done = 0;
    nart_res n = nart_await(cx, nart_tcp_accept(cx, arg, &sock, NULL));

    if (n == 0)
        n = nart_await_for(cx, 5 * NART_SEC, receive_all(cx, &sock, text, sizeof text - 1));
    if (n >= 0) {
        int words = 0;

        text[n] = '\0';
        for (const char *word = strtok(text, " "); word; word = strtok(NULL, " "))
            words++;
        n = snprintf(text, sizeof text, "%d words", words);
        n = nart_await(cx, nart_tcp_send_all(cx, &sock, text, (size_t)n, &done));
    }
    nart_tcp_close(&sock); /* all was read, so the client gets the answer and then the end */
    nart_tcp_listener_close(arg);
    return n < 0 ? n : 0;
}

static nart_res talk(nart_cx *cx, nart_tcp *sock)
{
    static const char text[] = "one two three";
    char answer[64];
    size_t done = 0;
    nart_res n = nart_await(cx, nart_tcp_send_all(cx, sock, text, sizeof text - 1, &done));

    if (n >= 0)
        n = nart_tcp_shutdown(sock, NART_WRITE); /* "that is all": the counter receives 0 */
    if (n >= 0)
        n = receive_all(cx, sock, answer, sizeof answer);
    if (n >= 0)
        printf("%.*s\n", (int)n, answer);
    return n < 0 ? n : 0;
}
// --8<-- [end:program]

int main(void)
{
    return run_tcp(counter, talk);
}
