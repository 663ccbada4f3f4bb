/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* join_many.c: many tasks at once, and their answers in the order in which they end.
 *
 * What to look at
 *  - ask_all(): each task of a set uses a node, and nart_task_set_next() answers the number of the node whose task has
 *    ended. It takes O(1), however many tasks there are. -ECHILD: no task is left.
 *  - ask(): nart_stream_read_until() takes no reply that was cut off: it answers NART_ETRUNCATED.
 *    nart_stream_read_line() would take a last line without a newline.
 *  - an answer below 0 concerns its task only: the others continue. nart_task_set_cancel() would cancel them.
 *  - nart_task_set_close() is called on every path: it cancels the tasks that still run.
 * A fiber takes about 4.3 KiB. In join_many_bodies.c a task takes half a KiB, and its frame holds the result.
 * Usage: join_many ADDRESS:PORT COUNT [TIMEOUT]. Sends a number on each of COUNT connections, and adds up the replies.
 * A connection, and then its reply, may take TIMEOUT milliseconds, 30000 by default. */
#include <nart/nart.h>

#include <stdio.h>
#include <stdlib.h>

static int64_t timeout;

struct question {
    const nart_addr *addr;
    uint32_t number;
};

/* The number that is the line, without its newline; else -EPROTO. */
static nart_res number(char *line, size_t len)
{
    char *end;
    long long n;

    line[len] = '\0';
    n = strtoll(line, &end, 10);
    return len > 0 && end == line + len && n >= 0 && n <= INT32_MAX ? n : -EPROTO;
}

/* Answers the reply, a number. */
static nart_res ask(nart_cx *cx, void *arg)
{
    const struct question *q = arg;
    char text[32], buf[32], *line = NULL;
    size_t len = (size_t)snprintf(text, sizeof text, "%u\n", (unsigned)q->number), done = 0;
    nart_tcp sock = { 0 };
    nart_stream s = { 0 };
    nart_res r = nart_await_for(cx, timeout, nart_tcp_connect(cx, &sock, q->addr));

    if (r == 0)
        r = nart_stream_init_tcp(&s, &sock, buf, sizeof buf);
    if (r == 0)
        r = nart_await(cx, nart_stream_write_all(cx, &s, text, len, &done));
    if (r >= 0)
        r = nart_await_for(cx, timeout, nart_stream_read_until(cx, &s, "\n", 1, 0, &line));
    if (r >= 0)
        r = number(line, (size_t)r - 1);
    nart_tcp_close(&sock);
    return r;
}

struct many {
    nart_addr addr;
    uint32_t count;
    nart_task_set_node *nodes; /* as many as tasks */
};

static nart_res ask_all(nart_cx *cx, void *arg)
{
    struct many *m = arg;
    nart_task_set set = { 0 };
    uint32_t answered = 0;
    int64_t sum = 0;
    nart_res answer, r = 0;

    nart_task_set_init(&set, m->nodes, m->count);
    for (uint32_t i = 0; i < m->count && r >= 0; i++) {
        struct question q = { &m->addr, i }; /* moves into the task */

        r = nart_task_set_fiber_spawn_value(cx, &set, ask, &q, NULL);
    }
    while (r >= 0) {
        r = nart_await(cx, nart_task_set_next(cx, &set, &answer));
        if (r >= 0 && answer >= 0) {
            answered++;
            sum += answer;
        } else if (r >= 0) {
            printf("one failed: %s\n", nart_err_name(answer));
        }
    }
    if (r == -ECHILD)
        printf("%u of %u have answered, the sum is %lld\n", (unsigned)answered, (unsigned)m->count,
               (long long)sum);
    nart_task_set_close(&set);
    return r == -ECHILD ? 0 : r;
}

int main(int argc, char **argv)
{
    struct many m = { .count = 0 };
    nart_rt *rt = NULL;
    int count, ms = 30000;
    char more;

    if (argc < 3 || sscanf(argv[2], "%9d%c", &count, &more) != 1 || count < 1 ||
        (argc > 3 && sscanf(argv[3], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: join_many ADDRESS:PORT COUNT [TIMEOUT in milliseconds], COUNT above 0\n",
              stderr);
        return 2;
    }
    nart_res answer = 0, r = nart_addr_parse(&m.addr, argv[1]);
    m.count = (uint32_t)count;
    timeout = ms * NART_MS;
    if (r == 0 && !(m.nodes = calloc(m.count, sizeof *m.nodes)))
        r = -ENOMEM;
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_fiber_block_on(rt, ask_all, &m, NULL, &answer);
    if (r == 0)
        r = answer;
    if (r < 0)
        fprintf(stderr, "join_many: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    free(m.nodes);
    return r < 0;
}
