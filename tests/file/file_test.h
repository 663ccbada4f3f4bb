/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* file_test.h: operations on files in tasks, in a directory of their own, on a pool of one thread. */
#ifndef FILE_TEST_H
#define FILE_TEST_H

#include "../core/core.h"
#include "threads.h"

#include <nart/fiber.h>
#include <nart/file.h>
#include <nart/sync.h>

#include <dirent.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where a system call is held. */
static sem_t begun, go;

static inline void sem_await(sem_t *s)
{
    while (sem_wait(s) != 0)
        CHECK_EQ(errno, EINTR);
}

/* ---- the fixture: a directory, a runtime and a pool ---- */

enum form { BODY, FIBER };

static nart_rt *rt;
static nart_workers *pool;
static char dir[] = "/tmp/nart-file-XXXXXX";
static nart_file_op fop;
static nart_file file;

static inline void files_open(void)
{
    const nart_workers_opts o = { .size = sizeof o, .threads = 1, .alloc = &test_alloc };

    CHECK_EQ(sem_init(&begun, 0, 0), 0);
    CHECK_EQ(sem_init(&go, 0, 0), 0);
    CHECK(mkdtemp(dir) != NULL);
    CHECK_EQ(chdir(dir), 0);
    umask(022);
    rt = new_rt();
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_RES(nart_workers_new(&o, &pool), 0);
    fop.pool = pool;
}

/* The number of entries that the directory has. */
static inline int entries(void)
{
    DIR *d = opendir(".");
    int n = 0;

    CHECK(d != NULL);
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static inline void files_close(void)
{
    nart_file_finish(&file);
    nart_file_finish(&file);
    nart_file_op_close(&fop);
    nart_file_op_close(NULL);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    nart_workers_free(pool);
    DIR *d = opendir(".");
    for (const struct dirent *e; (e = readdir(d));)
        (void)remove(e->d_name);
    closedir(d);
    CHECK_EQ(chdir("/"), 0);
    CHECK_EQ(rmdir(dir), 0);
}

/* ---- one operation in a task ---- */

struct call_of {
    nart_res (*do_it)(nart_cx *cx);
    int64_t limit;
    nart_notify *instead;
    nart_res res;
    int which;
    nart_task id;
    nart_waiter other;
};

static struct call_of call;

struct call_frame {
    nart_co co;
};

static inline nart_res call_body(nart_cx *cx, void *frame)
{
    struct call_frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (call.instead)
        NART_AWAIT_ANY(call.which, r, nart_notify_await(cx, call.instead, &call.other),
                       call.do_it(cx));
    else
        NART_AWAIT_FOR(r, call.limit ? call.limit : NART_NEVER, call.do_it(cx));
    call.res = r;
    NART_END(r);
}

static const nart_task_type call_type = NART_TASK_TYPE(struct call_frame, call_body, NULL);

static inline nart_res call_fiber(nart_cx *cx, void *arg)
{
    struct call_of *c = arg;
    nart_res r;

    if (c->instead)
        r = nart_await_any(cx, c->which, nart_notify_await(cx, c->instead, &c->other),
                           c->do_it(cx));
    else
        r = nart_await_for(cx, c->limit ? c->limit : NART_NEVER, c->do_it(cx));
    c->res = r;
    return r;
}

static inline void call_start(enum form form, nart_res (*do_it)(nart_cx *cx))
{
    nart_join join = { 0 };

    call.do_it = do_it;
    call.res = NART_PENDING;
    if (form == BODY)
        CHECK_RES(nart_rt_spawn(rt, &call_type, NULL, &join), 0);
    else
        CHECK_RES(nart_rt_fiber_spawn(rt, call_fiber, &call, NULL, &join), 0);
    call.id = nart_join_task(&join);
    nart_join_release(&join);
    settle(rt);
}

static inline nart_res call_finish(void)
{
    while (call.res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_SEC));
    return call.res;
}

static inline nart_res done(nart_res (*do_it)(nart_cx *cx))
{
    call_start(BODY, do_it);
    return call_finish();
}

#endif
