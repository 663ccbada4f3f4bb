/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* udp_client.c: requests by UDP. A request or its answer may be lost: a client sends its request up to TRIES times.
 *
 * What to look at
 *  - request(): each try is an await with a deadline, which doubles from one to the next. It needs no timer.
 *  - answer(): a loop that skips datagrams that are not the answer. The deadline of the await around it holds for the
 *    whole function, however many datagrams arrive.
 *  - request(): a connected socket reports that no process listens (-ECONNREFUSED). That counts as no answer: the next
 *    try begins when the time of this one has passed.
 * Usage: udp_client ADDRESS:PORT [CLIENTS [MILLISECONDS of the first try]]. Client N sends "N". The answer is
 * "N: TEXT". */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

enum { TRIES = 5 };

struct job {
    nart_addr server;
    int64_t patience;
    int clients, begun, answered;
};

/* Waits for a datagram "ID: TEXT". */
static nart_res answer(nart_cx *cx, nart_udp *sock, const char *id, char *buf, size_t cap)
{
    const size_t len = strlen(id);
    nart_res n;

    do {
        n = nart_await(cx, nart_udp_recv(cx, sock, buf, cap - 1, NULL));
        if (n >= 0)
            buf[n] = '\0';
    } while (n == -EMSGSIZE || (n >= 0 && (strncmp(buf, id, len) != 0 || buf[len] != ':')));
    return n;
}

/* Answers the number of tries, or -ETIMEDOUT. */
static nart_res request(nart_cx *cx, const struct job *job, nart_udp *sock, const char *id,
                        char *buf, size_t cap)
{
    int64_t wait = job->patience;

    for (int i = 1; i <= TRIES; i++, wait *= 2) {
        const int64_t until = nart_now(cx) + wait;
        nart_timer pause = { 0 };
        nart_res r = nart_await(cx, nart_udp_send(cx, sock, id, strlen(id), NULL));

        if (r >= 0)
            r = nart_await_until(cx, until, answer(cx, sock, id, buf, cap));
        if (r >= 0)
            return i;
        if (r == -ECONNREFUSED)
            r = nart_await(cx, nart_sleep_until(cx, &pause, until));
        if (r < 0 && r != -ETIMEDOUT)
            return r;
    }
    return -ETIMEDOUT;
}

static nart_res client(nart_cx *cx, void *arg)
{
    struct job *job = arg;
    char id[16], buf[512];
    nart_udp sock = { 0 };
    nart_addr any;
    nart_res r =
        nart_addr_parse(&any, job->server.storage.ss_family == AF_INET6 ? "[::]:0" : "0.0.0.0:0");

    (void)snprintf(id, sizeof id, "%d", ++job->begun);
    if (r == 0)
        r = nart_udp_open_here(cx, &any, NULL, &sock);
    if (r == 0)
        r = nart_udp_connect(&sock, &job->server); /* others cannot answer */
    if (r == 0)
        r = request(cx, job, &sock, id, buf, sizeof buf);
    job->answered += r > 0;
    if (r > 0)
        printf("%s\n", buf);
    else
        printf("%s: %s\n", id, nart_err_name(r));
    fflush(stdout);
    nart_udp_close(&sock);
    return 0;
}

static nart_res all_clients(nart_cx *cx, void *arg)
{
    struct job *job = arg;
    nart_nursery clients = { 0 };
    nart_res joined, r = nart_nursery_open(cx, &clients, 0);

    for (int i = 0; i < job->clients && r == 0; i++)
        r = nart_nursery_fiber_spawn(cx, &clients, client, job, NULL);
    joined = nart_await(cx, nart_nursery_join(cx, &clients, NULL));
    printf("%d of %d were answered\n", job->answered, job->clients);
    return r < 0 ? r : joined;
}

int main(int argc, char **argv)
{
    int n[] = { 10, 100 }, good = argc > 1;
    nart_rt *rt = NULL;
    char more;

    for (int i = 2; i < argc && i < 4; i++)
        good = good && sscanf(argv[i], "%9d%c", &n[i - 2], &more) == 1 && n[i - 2] >= 0;
    if (!good) {
        fputs("usage: udp_client ADDRESS:PORT [CLIENTS [MILLISECONDS of the first try]]\n", stderr);
        return 2;
    }
    struct job job = { .clients = n[0], .patience = n[1] * NART_MS };
    nart_res ended = 0, r = nart_addr_parse(&job.server, argv[1]);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_fiber_block_on(rt, all_clients, &job, NULL, &ended);
    if (r == 0)
        r = ended;
    if (r < 0)
        fprintf(stderr, "udp_client: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0 || job.answered < job.clients;
}
