/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the runtime keeps of an idle connection: its record in the reactor, its task with the handle, and nothing
 * else. The kernel's memory is not counted. */
#include "net_test.h"

#include <nart/fiber.h>

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { MANY = 10000, LIMIT = 400 };

static uint32_t waiting; /* connections whose task waits */
static char buf[2048];   /* shared, as nothing is received */

struct conn {
    nart_co co;
    nart_tcp s;
};

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &c->co);
    waiting++;
    NART_AWAIT(n, nart_tcp_recv(cx, &c->s, buf, sizeof buf));
    CHECK_RES(n, 0);
    nart_tcp_close(&c->s);
    NART_END(0);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, NULL);

static nart_res conn_fiber(nart_cx *cx, void *arg)
{
    nart_tcp *s = arg;

    waiting++;
    CHECK_RES(nart_await(cx, nart_tcp_recv(cx, s, buf, sizeof buf)), 0);
    nart_tcp_close(s);
    return 0;
}

struct server {
    nart_co co;
    nart_tcp_listener *l;
    uint32_t left;
    bool fibers;
    nart_tcp s;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (; f->left > 0; f->left--) {
        NART_AWAIT(r, nart_tcp_accept(cx, f->l, &f->s, NULL));
        CHECK_RES(r, 0);
        if (f->fibers) {
            CHECK_RES(nart_fiber_spawn_value(cx, conn_fiber, &f->s, NULL, NULL), 0);
            continue;
        }
        struct conn *c = nart_spawn_begin(cx, &conn_type, NULL);
        CHECK(c);
        nart_tcp_move(&c->s, &f->s);
        nart_spawn_commit(cx, c, NULL);
    }
    NART_END(0);
}

TYPE(server, server_run);

/* A process with n connections to `at`, which it closes when the pipe ends. */
static pid_t peers(const nart_addr *at, uint32_t n, const int pipe_ends[2])
{
    char c;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    close(pipe_ends[1]);
    for (uint32_t i = 0; i < n; i++)
        (void)raw_connect(at);
    _exit(recv(pipe_ends[0], &c, 1, 0) != 0);
}

/* Bytes of the pages that the process has written, counted by the kernel page by page. */
static size_t memory(void)
{
    char line[128];
    size_t kib = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");

    CHECK(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Anonymous: %zu kB", &kib) == 1)
            break;
    fclose(f);
    CHECK_LE(1, kib);
    return kib * 1024;
}

/* What a runtime with MANY idle connections uses of memory for each. */
static size_t bytes_each(bool fibers)
{
    nart_tcp_listener l;
    nart_addr at;
    int fd = raw_listen(&at, 4096), ends[2], status;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = peers(&at, MANY, ends);
    size_t before = memory();
    nart_rt *rt = new_rt();
    CHECK_RES(nart_tcp_listener_adopt(rt, fd, &l), 0);
    waiting = 0;
    spawn(rt, &server_type, &(struct server){ .l = &l, .left = MANY, .fibers = fibers }, NULL);
    while (waiting < MANY)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    size_t each = (memory() - before) / MANY;
    close(ends[1]);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    close(ends[0]);
    return each;
}

TEST(an_idle_connection_costs_at_most_400_bytes)
{
    struct rlimit files;

#ifdef TEST_SANITIZED
    SKIP("a sanitizer has memory of its own for each page");
#endif
    if (test_under_valgrind())
        SKIP("valgrind has memory of its own for each page");
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < MANY + 100)
        SKIP("at most %lu descriptors are permitted", (unsigned long)files.rlim_max);
    files.rlim_cur = files.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    CHECK_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0),
             0); /* pages are small, so what is untouched is not counted */
    size_t each = bytes_each(false);
    printf("a body: %zu bytes\na fiber: %zu, with its stack\n", each, bytes_each(true));
    CHECK_LE(each, LIMIT);
}
