/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reconnect.c: a client that connects again when the connection fails, and waits longer each time.
 *
 * What to look at
 *  - client(): one loop, for the first connect and for all later ones. nart_backoff_wait() doubles the wait each time,
 *    counts the retries, and adds jitter, so that a thousand clients do not return at the same moment.
 *  - session(): nart_backoff_reset() is called when the server has sent a line, not when it has accepted. Otherwise a
 *    server that accepts and closes at once would be called again after the shortest wait each time.
 *  - session(): the connect has a deadline, and so has the wait for each line.
 * Usage: reconnect ADDRESS:PORT [RETRIES [TIMEOUT [CONNECT_TIMEOUT]]]. Prints the lines it receives, up to the line
 * `quit`. The timeouts are in milliseconds: of a line, 60000 by default, and of a connect, 5000. */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

struct client {
    nart_addr addr;
    nart_backoff backoff;
    int64_t timeout, connect_timeout;
};

/* One connection: until the line `quit` (0), or until it ends, which is always an error. */
static nart_res session(nart_cx *cx, struct client *c)
{
    char buf[1024], *line;
    nart_tcp sock = { 0 };
    nart_stream s = { 0 };
    nart_res n = nart_await_for(cx, c->connect_timeout, nart_tcp_connect(cx, &sock, &c->addr));

    if (n == 0)
        n = nart_stream_init_tcp(&s, &sock, buf, sizeof buf);
    while (n >= 0) {
        n = nart_await_for(cx, c->timeout, nart_stream_read_line(cx, &s, 0, &line));
        if (n < 0)
            break;
        nart_backoff_reset(&c->backoff);
        if (strcmp(line, "quit") == 0)
            break;
        printf("received: %s\n", line);
        fflush(stdout);
    }
    nart_tcp_close(&sock);
    return n < 0 ? n : 0;
}

static nart_res client(nart_cx *cx, void *arg)
{
    struct client *c = arg;
    int64_t delay;
    nart_res waited, r;

    for (;;) {
        r = session(cx, c);
        if (r == 0 || r == -ECANCELED)
            return r;
        printf("%s\n", nart_err_name(r));
        delay = nart_backoff_delay(&c->backoff);
        waited = nart_await(cx, nart_backoff_wait(cx, &c->backoff));
        if (waited < 0)
            return waited == NART_EEXHAUSTED ? r : waited;
        printf("retry %u after %d ms\n", (unsigned)c->backoff.waited, (int)(delay / NART_MS));
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    int n[] = { 0, 60000, 5000 }, good = argc > 1;
    nart_rt *rt = NULL;
    char more;

    for (int i = 2; i < argc && i < 5; i++)
        good = good && sscanf(argv[i], "%9d%c", &n[i - 2], &more) == 1 && n[i - 2] >= 0;
    if (!good) {
        fputs("usage: reconnect ADDRESS:PORT [RETRIES [TIMEOUT [CONNECT_TIMEOUT]]]\n", stderr);
        return 2;
    }
    struct client c = { .backoff = NART_BACKOFF_INIT,
                        .timeout = n[1] * NART_MS,
                        .connect_timeout = n[2] * NART_MS };
    nart_res answer = 0, r = nart_addr_parse(&c.addr, argv[1]);
    c.backoff.initial = 10 * NART_MS;
    c.backoff.max = 10 * NART_SEC;
    c.backoff.jitter = 20;
    if (argc > 2)
        c.backoff.retries = (uint32_t)n[0];
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_fiber_block_on(rt, client, &c, NULL, &answer);
    nart_rt_free(rt);
    if (r == 0)
        r = answer;
    if (r < 0)
        fprintf(stderr, "reconnect: %s\n", nart_strerror(r));
    return r < 0;
}
