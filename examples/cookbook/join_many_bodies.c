/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* join_many_bodies.c: join_many.c with bodies, which have no stack: each takes less memory, and its polls less time.
 *
 * What to look at
 *  - struct ask: the frame holds what must survive an await, and nothing else. Its size selects the class of the slot.
 *  - ask_run(): an await returns from the function, which is called again later, so local variables are lost.
 *  - many_run(): nart_task_set_frame() is the frame of a task that has ended; the parent reads the result there.
 * Usage: join_many_bodies ADDRESS:PORT COUNT [TIMEOUT], as join_many. */
#include <nart/nart.h>

#include <stdio.h>
#include <stdlib.h>

static int64_t timeout;

struct ask {
    nart_co co;
    const nart_addr *addr;
    uint32_t number, len;
    size_t done;
    nart_tcp sock;
    nart_stream s;
    char text[16], buf[32];
    int64_t reply;
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

static nart_res ask_run(nart_cx *cx, void *frame)
{
    struct ask *a = frame;
    char *line = NULL;
    nart_res r;

    NART_BEGIN(cx, &a->co);
    NART_AWAIT_FOR(r, timeout, nart_tcp_connect(cx, &a->sock, a->addr));
    if (r == 0)
        r = nart_stream_init_tcp(&a->s, &a->sock, a->buf, sizeof a->buf);
    if (r == 0) {
        a->len = (uint32_t)snprintf(a->text, sizeof a->text, "%u\n", (unsigned)a->number);
        NART_AWAIT(r, nart_stream_write_all(cx, &a->s, a->text, a->len, &a->done));
    }
    if (r >= 0) {
        NART_AWAIT_FOR(r, timeout, nart_stream_read_until(cx, &a->s, "\n", 1, 0, &line));
    }
    if (r >= 0)
        r = a->reply = number(line, (size_t)r - 1);
    nart_tcp_close(&a->sock);
    NART_END(r);
}

/* Called once before the frame is freed: closes the socket of a task that has ended while it waited. */
static void ask_drop(void *frame)
{
    struct ask *a = frame;

    nart_tcp_close(&a->sock);
}

NART_TASK_TYPED(ask, struct ask, ask_run, ask_drop);

struct many {
    nart_co co;
    const nart_addr *addr;
    uint32_t count, answered;
    nart_task_set set;
    nart_task_set_node *nodes; /* as many as tasks */
    int64_t sum;
};

static nart_res spawn_all(nart_cx *cx, struct many *m)
{
    nart_res r = 0;

    nart_task_set_init(&m->set, m->nodes, m->count);
    for (uint32_t i = 0; i < m->count && r >= 0; i++)
        r = nart_task_set_spawn(cx, &m->set, &ask_type,
                                &(struct ask){ .addr = m->addr, .number = i });
    return r;
}

static nart_res many_run(nart_cx *cx, void *frame)
{
    struct many *m = frame;
    nart_res answer, r;

    NART_BEGIN(cx, &m->co);
    r = spawn_all(cx, m);
    while (r >= 0) {
        NART_AWAIT(r, nart_task_set_next(cx, &m->set, &answer));
        if (r >= 0 && answer >= 0) {
            const struct ask *a = nart_task_set_frame(&m->set, (uint32_t)r);

            m->answered++;
            m->sum += a->reply;
        } else if (r >= 0) {
            printf("one failed: %s\n", nart_err_name(answer));
        }
    }
    if (r == -ECHILD)
        printf("%u of %u have answered, the sum is %lld\n", (unsigned)m->answered,
               (unsigned)m->count, (long long)m->sum);
    nart_task_set_close(&m->set);
    NART_END(r == -ECHILD ? 0 : r);
}

static void many_drop(void *frame)
{
    struct many *m = frame;

    nart_task_set_close(&m->set);
}

NART_TASK_TYPED(many, struct many, many_run, many_drop);

int main(int argc, char **argv)
{
    struct many m = { .count = 0 };
    nart_task_set_node *nodes = NULL;
    nart_addr addr;
    nart_rt *rt = NULL;
    int count, ms = 30000;
    char more;

    if (argc < 3 || sscanf(argv[2], "%9d%c", &count, &more) != 1 || count < 1 ||
        (argc > 3 && sscanf(argv[3], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs(
            "usage: join_many_bodies ADDRESS:PORT COUNT [TIMEOUT in milliseconds], COUNT above 0\n",
            stderr);
        return 2;
    }
    nart_res answer = 0, r = nart_addr_parse(&addr, argv[1]);
    m.count = (uint32_t)count;
    timeout = ms * NART_MS;
    if (r == 0 && !(nodes = calloc(m.count, sizeof *nodes)))
        r = -ENOMEM;
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_rt_reserve(rt, sizeof(struct ask), m.count); /* one mapping instead of several */
    m.addr = &addr;
    m.nodes = nodes;
    if (r == 0)
        r = many_block_on(rt, &m, &answer);
    if (r == 0)
        r = answer;
    if (r < 0)
        fprintf(stderr, "join_many: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    free(nodes);
    return r < 0;
}
