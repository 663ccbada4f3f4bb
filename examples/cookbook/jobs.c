/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* jobs.c: a thousand jobs, at most sixteen at a time. The first error cancels the rest.
 *
 * What to look at
 *  - run_all(): a semaphore has as many permits as jobs may run. run_all() acquires one before it spawns a job, so
 *    there are at most sixteen jobs at a time, whatever their number is.
 *  - NART_NURSERY_CANCEL_ON_ERROR: an error of a job cancels the jobs that run. nart_nursery_fiber_spawn_value()
 *    then answers NART_ECLOSED, which ends the loop.
 *  - job(): it releases its permit on every path. The data that jobs share is on the stack of run_all(), which does not
 *    return before the nursery is joined. All run on one thread, so the data needs no lock.
 * nart_pool (nart/task_set.h, examples/pool.c) does the same in one object, and can call a function with each answer.
 * Usage: jobs ADDRESS:PORT [TIMEOUT]. Job N connects, sends "N" and expects "ok", within TIMEOUT milliseconds, 60000 by
 * default. */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

enum { JOBS = 1000, AT_A_TIME = 16 };

static int64_t timeout; /* of a job */

struct batch {
    const nart_addr *server;
    nart_semaphore permits;
    int succeeded, failed; /* how many have answered 0; the job that failed first */
};

struct job {
    struct batch *batch;
    int number;
};

static nart_res ask(nart_cx *cx, nart_tcp *sock, const struct job *job)
{
    char buf[64], *line;
    nart_stream stream = { 0 };
    size_t done = 0;
    int len = snprintf(buf, sizeof buf, "%d\n", job->number);
    nart_res r = nart_await(cx, nart_tcp_connect(cx, sock, job->batch->server));

    if (r == 0)
        r = nart_await(cx, nart_tcp_send_all(cx, sock, buf, (size_t)len, &done));
    if (r >= 0)
        r = nart_stream_init_tcp(&stream, sock, buf, sizeof buf);
    if (r >= 0)
        r = nart_await(cx, nart_stream_read_line(cx, &stream, 0, &line));
    if (r >= 0)
        r = strcmp(line, "ok") == 0 ? 0 : -EPROTO;
    return r;
}

static nart_res job(nart_cx *cx, void *arg)
{
    const struct job *job = arg;
    struct batch *batch = job->batch;
    nart_tcp sock = { 0 };
    nart_res r = nart_await_for(cx, timeout, ask(cx, &sock, job));

    nart_tcp_close(&sock);
    batch->succeeded += r == 0;
    if (r < 0 && r != -ECANCELED && batch->failed == 0)
        batch->failed = job->number;
    nart_semaphore_release(&batch->permits, 1);
    return r;
}

static nart_res run_all(nart_cx *cx, void *server)
{
    struct batch batch = { .server = server };
    nart_nursery jobs = { 0 };
    nart_waiter waiter = { 0 };
    nart_res joined, error = 0, r = nart_nursery_open(cx, &jobs, NART_NURSERY_CANCEL_ON_ERROR);

    nart_semaphore_init(&batch.permits, AT_A_TIME);
    for (int i = 1; i <= JOBS && r == 0; i++) {
        struct job next = { &batch, i }; /* moves into the fiber */

        r = nart_await(cx, nart_semaphore_acquire(cx, &batch.permits, &waiter, 1));
        if (r == 0)
            r = nart_nursery_fiber_spawn_value(cx, &jobs, job, &next, NULL);
    }
    if (r < 0)
        nart_nursery_cancel(&jobs); /* also if a job could not be spawned */
    joined = nart_await(cx, nart_nursery_join(cx, &jobs, &error));
    if (batch.failed > 0)
        printf("job %d failed: %s\n", batch.failed, nart_err_name(error));
    printf("%d jobs succeeded\n", batch.succeeded);
    return error < 0 ? error : joined < 0 ? joined : r;
}

int main(int argc, char **argv)
{
    nart_addr server;
    nart_rt *rt = NULL;
    int ms = 60000;
    char more;

    if (argc < 2 || (argc > 2 && sscanf(argv[2], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: jobs ADDRESS:PORT [TIMEOUT in milliseconds]\n", stderr);
        return 2;
    }
    timeout = ms * NART_MS;
    nart_res answer = 0, r = nart_addr_parse(&server, argv[1]);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_fiber_block_on(rt, run_all, &server, NULL, &answer);
    if (r < 0)
        fprintf(stderr, "jobs: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
