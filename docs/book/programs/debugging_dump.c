/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* debugging_dump.c: a program that hangs, and what it says about that. */
#include <nart/nart.h>

#include <stdio.h>

static nart_stream left, right;

// --8<-- [start:program]
/* The mistake: the question stays in the buffer for writing, because nobody flushes it. */
static nart_res ask(nart_cx *cx, nart_stream *s)
{
    char *line;
    size_t done = 0;
    nart_res n = nart_await(cx, nart_stream_write_all(cx, s, "how are you?\n", 13, &done));

    if (n < 0)
        return n;
    return nart_await(cx, nart_stream_read_line(cx, s, 0, &line));
}

static nart_res client(nart_cx *cx, void *arg)
{
    (void)arg;
    return nart_await_for(cx, 3600 * NART_SEC, ask(cx, &left));
}

static nart_res server(nart_cx *cx, void *arg)
{
    char *line;

    (void)arg;
    return nart_await(cx, nart_stream_read_line(cx, &right, 0, &line));
}
// --8<-- [end:program]

// --8<-- [start:dump]
/* Runs for 50 ms, and shows what is left. */
static nart_res run(nart_rt *rt)
{
    nart_res r = nart_rt_quiesce(rt, 50 * NART_MS, NULL);

    if (r == -ETIMEDOUT)
        nart_rt_dump(rt, stderr);
    return r;
}
// --8<-- [end:dump]

int main(void)
{
    static char mem[256], in[2][64], out[64];
    nart_stream_pair pair;
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_stream_pair_init(&pair, mem, sizeof mem);
    if (r == 0)
        r = nart_stream_init_pair(&left, &pair, 0, in[0], sizeof in[0]);
    if (r == 0)
        r = nart_stream_init_pair(&right, &pair, 1, in[1], sizeof in[1]);
    if (r == 0)
        r = nart_stream_buffer_writes(&left, out, sizeof out);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, client, NULL, NULL, NULL);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, server, NULL, NULL, NULL);
    if (r == 0)
        r = run(rt);
    nart_rt_free(rt);
    return r != -ETIMEDOUT;
}
