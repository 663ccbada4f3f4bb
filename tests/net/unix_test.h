/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unix_test.h: shared by the tests of Unix sockets and of messages: a directory for paths, and one operation in a
 * task of its own, which is a body or a fiber. */
#ifndef NART_UNIX_TEST_H
#define NART_UNIX_TEST_H

#include "net_test.h"

#include <nart/fiber.h>
#include <nart/unix.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

FIXTURE_RT();

enum { BODY, FIBER };

/* One operation: which one, and its arguments. */
struct op {
    nart_res (*call)(nart_cx *cx, struct op *op);
    void *h, *other;
    void *buf;
    size_t len;
    nart_addr *addr;
    nart_msg *msg;
    int *fds;
    size_t n;
    int64_t limit; /* 0: none */
    uint32_t flags;
    nart_res res; /* NART_PENDING until it has answered */
    nart_join join;
};

struct op_frame {
    nart_co co;
    struct op *op;
};

static nart_res op_body(nart_cx *cx, void *frame)
{
    struct op_frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(r, f->op->limit ? f->op->limit : NART_NEVER, f->op->call(cx, f->op));
    f->op->res = r;
    NART_END(r);
}

static nart_res op_fiber(nart_cx *cx, void *arg)
{
    struct op *op = arg;

    op->res = nart_await_for(cx, op->limit ? op->limit : NART_NEVER, op->call(cx, op));
    return op->res;
}

TYPE(op_frame, op_body);

/* Spawns the operation and runs what is ready. Release op->join at the end. */
static inline void op_start(struct op *op, uint32_t form)
{
    op->res = NART_PENDING;
    if (form == BODY)
        spawn(rt, &op_frame_type, &(struct op_frame){ .op = op }, &op->join);
    else
        CHECK_RES(nart_rt_fiber_spawn(rt, op_fiber, op, NULL, &op->join), 0);
    settle(rt);
}

static inline nart_res op_finish(struct op *op)
{
    finish(rt, &op->join);
    return op->res;
}

/* Runs the operation to its end. */
static inline nart_res op_now(struct op op)
{
    op_start(&op, BODY);
    return op_finish(&op);
}

/* ---- operations ---- */

static inline nart_res do_accept(nart_cx *cx, struct op *op)
{
    return nart_unix_accept(cx, op->h, op->other, op->addr);
}

static inline nart_res do_connect(nart_cx *cx, struct op *op)
{
    return nart_unix_connect(cx, op->h, op->addr, op->flags);
}

static inline nart_res do_recv(nart_cx *cx, struct op *op)
{
    return nart_unix_recv(cx, op->h, op->buf, op->len);
}

static inline nart_res do_send(nart_cx *cx, struct op *op)
{
    return nart_unix_send(cx, op->h, op->buf, op->len);
}

static inline nart_res do_send_all(nart_cx *cx, struct op *op)
{
    return nart_unix_send_all(cx, op->h, op->buf, op->len, &op->n);
}

static inline nart_res do_send_fds(nart_cx *cx, struct op *op)
{
    return nart_unix_send_fds(cx, op->h, op->buf, op->len, op->fds, op->n);
}

/* At most op->len bytes and op->flags descriptors. */
static inline nart_res do_recv_fds(nart_cx *cx, struct op *op)
{
    return nart_unix_recv_fds(cx, op->h, op->buf, op->len, op->fds, op->flags, &op->n);
}

static inline nart_res do_recvmsg(nart_cx *cx, struct op *op)
{
    return nart_unix_recvmsg(cx, op->h, op->msg);
}

static inline nart_res do_sendmsg(nart_cx *cx, struct op *op)
{
    return nart_unix_sendmsg(cx, op->h, op->msg);
}

static inline nart_res do_dgram_recv(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_recv(cx, op->h, op->buf, op->len, op->addr);
}

static inline nart_res do_dgram_send(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_send(cx, op->h, op->buf, op->len, op->addr);
}

static inline nart_res do_dgram_recvmsg(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_recvmsg(cx, op->h, op->msg);
}

static inline nart_res do_dgram_sendmsg(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_sendmsg(cx, op->h, op->msg);
}

#define NOW(fn, handle, ...) op_now((struct op){ .call = (fn), .h = (handle), __VA_ARGS__ })
#define SEND(handle, text) NOW(do_send, handle, .buf = (void *)(text), .len = strlen(text))
#define RECV(handle, array) NOW(do_recv, handle, .buf = (array), .len = sizeof(array))

/* ---- addresses ---- */

static inline nart_addr addr_of(const char *text)
{
    nart_addr a;

    CHECK_RES(nart_addr_parse(&a, text), 0);
    return a;
}

/* A directory of its own for paths, removed at the end of the case, which leaves nothing in it. */
static char dir[64];

static void dir_remove(void)
{
    if (rmdir(dir) != 0)
        test_fail(__FILE__, __LINE__, "%s is not empty", dir);
}

/* The address of a path in it; `*path`, if not NULL, is the path, valid until the next call. */
static inline nart_addr path_addr(const char *name, const char **path)
{
    static char text[128];

    if (!*dir) {
        strcpy(dir, "/tmp/nart-unix-XXXXXX");
        CHECK(mkdtemp(dir) != NULL);
        test_at_end(dir_remove);
    }
    snprintf(text, sizeof text, "unix:%s/%s", dir, name);
    if (path)
        *path = text + 5;
    return addr_of(text);
}

/* The permissions of a path, or -errno. */
static inline int mode_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -errno;
}

#endif
