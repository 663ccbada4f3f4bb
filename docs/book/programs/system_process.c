/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* system_process.c: child processes: their output, a deadline, a stop, and a program that does not exist. */
#include <nart/nart.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>

// --8<-- [start:run]
/* Runs a command of the shell for at most `ns` nanoseconds, and prints how it ended and what it wrote. */
static nart_res run(nart_cx *cx, const char *command, int64_t ns)
{
    const char *const argv[] = { "sh", "-c", command, NULL };
    nart_process_opts opts = NART_PROCESS_OPTS_INIT;
    nart_process_output o = { 0 };
    char text[256];
    nart_res r;

    opts.argv = argv;
    o.out = text;
    o.out_size = sizeof text;
    r = nart_await_for(cx, ns, nart_process_run(cx, &opts, &o));
    if (r == -ETIMEDOUT || r == -ECANCELED)
        printf("%s: the child and its children were killed\n", nart_err_name(r));
    else if (r < 0)
        printf("no status: %s\n", nart_err_name(r));
    else
        printf("%s %d, wrote: %.*s", o.status.signal ? "signal" : "status",
               o.status.signal ? o.status.signal : o.status.code,
               (int)(o.out_len < sizeof text ? o.out_len : sizeof text), text);
    nart_process_output_finish(&o);
    return r;
}
// --8<-- [end:run]

// --8<-- [start:spawn]
/* Starts a filter, writes to it, reads from it, and stops it. */
static nart_res filter(nart_cx *cx)
{
    const char *const argv[] = { "cat", NULL };
    nart_process_opts opts = NART_PROCESS_OPTS_INIT;
    nart_process_status status = { 0 };
    nart_process child = { 0 };
    nart_fd in = { 0 }, out = { 0 };
    char text[64];
    size_t done = 0;
    nart_res n;

    opts.argv = argv;
    opts.flags = NART_PROCESS_KILL; /* closing the handle kills a child that still runs */
    opts.in = (nart_stdio){ .kind = NART_STDIO_PIPE, .pipe = &in };
    opts.out = (nart_stdio){ .kind = NART_STDIO_PIPE, .pipe = &out };
    n = nart_process_spawn_here(cx, &opts, &child);
    if (n == 0)
        n = nart_await(cx, nart_fd_write_all(cx, &in, "through a child\n", 16, &done));
    if (n >= 0)
        n = nart_await(cx, nart_fd_read(cx, &out, text, sizeof text));
    if (n >= 0)
        printf("%.*s", (int)n, text);
    if (n >= 0) /* SIGTERM, and after 2 seconds SIGKILL */
        n = nart_await(cx, nart_process_stop(cx, &child, 2 * NART_SEC, &status));
    if (n >= 0)
        printf("ended by signal %d\n", status.signal);
    nart_fd_close(&in);
    nart_fd_close(&out);
    nart_process_close(&child);
    return n;
}
// --8<-- [end:spawn]

// --8<-- [start:missing]
static void missing(nart_cx *cx)
{
    const char *const argv[] = { "no-such-program", NULL };
    nart_process_opts opts = NART_PROCESS_OPTS_INIT;
    nart_process child = { 0 };
    nart_res r;

    opts.argv = argv;
    r = nart_process_spawn_here(cx, &opts, &child);
    printf("%s: %s\n", nart_err_name(r), child.failed);
}
// --8<-- [end:missing]

static nart_res program(nart_cx *cx, void *arg)
{
    nart_res r;

    (void)arg;
    r = run(cx, "echo hello; exit 3", 5 * NART_SEC);
    if (r == 0)
        r = run(cx, "echo half; kill -KILL $$; echo rest", 5 * NART_SEC);
    if (r == 0)
        r = run(cx, "sleep 60", 20 * NART_MS);
    if (r == -ETIMEDOUT)
        r = filter(cx);
    missing(cx);
    return r;
}

// --8<-- [start:main]
int main(void)
{
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    signal(SIGPIPE, SIG_IGN); /* writing to a child that has ended answers -EPIPE */
    if (r == 0)
        r = nart_fiber_block_on(rt, program, NULL, NULL, &answer);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
// --8<-- [end:main]
