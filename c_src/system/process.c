/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* process.c: child processes.
 *
 * What it keeps true: every child is reaped once, by nobody else, and signalled through its pidfd only; its group only
 * while it is not reaped, so that no other group has its number.
 *
 * 1. A spawn first duplicates every descriptor that the child gets to a number above all numbers that it gets them
 *    as. So no copy in the child replaces one that is still needed, and all other numbers can be closed.
 * 2. The handle watches a duplicate of the pidfd, and nart__child keeps the pidfd itself, also when the runtime has
 *    been freed.
 * 3. A child that leads a group is reaped when its handle is closed, others when their end is answered.
 * 4. A child that runs when its handle is closed is an orphan: see orphan.c. */
#include "child.h"

#include "../base/alloc.h"
#include "../base/lock.h"

#include <fcntl.h>
#include <pthread.h>

#define LEADS (NART_PROCESS_GROUP | NART_PROCESS_SESSION)

static bool supported;

static void set_up(void)
{
    nart_res r = nart__sys_child_pidfd((pid_t)nart__sys_pid());

    supported = r != -ENOSYS;
    if (r >= 0)
        nart__sys_close((int)r);
}

/* ---- spawning ---- */

/* A spawn under way. */
typedef struct spawn {
    nart__under under;
    nart_process_opts o;
    nart__child_fd fds[3 + NART_PROCESS_FDS]; /* the child's; to be closed */
    size_t n;
    int least; /* above all numbers that the child gets */
} spawn;

/* An id of -1 stands for "as it is" in the calls that set it: the child would keep the rights of this process. */
static bool has_no_id(const nart_process_opts *o)
{
    return (o->flags & NART_PROCESS_UID && o->uid == (uid_t)-1) ||
           (o->flags & NART_PROCESS_GID && o->gid == (gid_t)-1);
}

static nart_res check(const nart_process_opts *o)
{
    const nart_stdio *io[] = { &o->in, &o->out, &o->err };
    const uint32_t known = 2 * NART_PROCESS_DIE_WITH_PARENT - 1;

    if (!o->argv || !o->argv[0] || o->flags & ~known || o->nfds > NART_PROCESS_FDS ||
        (o->nfds > 0 && !o->fds) || o->nlimits > NART_PROCESS_LIMITS ||
        (o->nlimits > 0 && !o->limits) ||
        (o->flags & NART_PROCESS_GROUPS && o->ngroups > 0 && !o->groups) ||
        (o->flags & NART_PROCESS_NICE && (o->nice < -20 || o->nice > 19)) || has_no_id(o))
        return -EINVAL;
    for (int i = 0; i < 3; i++) {
        if ((unsigned)io[i]->kind > NART_STDIO_PIPE)
            return -EINVAL;
        if (io[i]->kind != NART_STDIO_PIPE)
            continue;
        for (int k = 0; k < i; k++) /* the second pipe would replace the first */
            if (io[k]->kind == NART_STDIO_PIPE && io[k]->pipe == io[i]->pipe)
                return -EINVAL;
        if (!io[i]->pipe)
            return -EINVAL;
    }
    for (uint32_t i = 0; i < o->nfds; i++)
        if (o->fds[i].as < 3 || o->fds[i].as > NART_PROCESS_FD_MAX)
            return -EINVAL;
    return 0;
}

static nart_res pass(spawn *s, int fd, int as)
{
    nart_res r = nart__sys_child_dup(fd, s->least);

    if (r < 0)
        return r;
    s->fds[s->n++] = (nart__child_fd){ (int)r, as };
    return 0;
}

static nart_res pass_and_close(spawn *s, int fd, int as)
{
    nart_res r = pass(s, fd, as);
    nart__sys_close(fd);
    return r;
}

/* This side is non-blocking, the child's blocks: they are two open files. */
static nart_res pass_pipe(spawn *s, const nart_stdio *io, int as)
{
    int fds[2];
    nart_res r = nart__sys_child_pipe(fds);

    if (r < 0)
        return r;
    int own = fds[as == 0];
    r = pass_and_close(s, fds[as != 0], as);
    if (r == 0)
        r = s->under.drv->sys->set_nonblocking(own);
    if (r == 0)
        r = nart__io_bind(&io->pipe->io, s->under.drv, s->under.host, own);
    if (r)
        nart__sys_close(own);
    return r;
}

static nart_res pass_stdio(spawn *s, const nart_stdio *io, int as)
{
    nart_res r;

    switch (io->kind) {
    case NART_STDIO_NULL:
        r = nart__sys_file_open("/dev/null", O_RDWR, 0);
        return r < 0 ? r : pass_and_close(s, (int)r, as);
    case NART_STDIO_PIPE:
        return pass_pipe(s, io, as);
    case NART_STDIO_FD:
        return pass(s, io->fd, as);
    case NART_STDIO_INHERIT:
    default:
        r = pass(s, as, as);
        return r == -EBADF ? 0 : r; /* closed here, too */
    }
}

/* What exists already comes first: a new pipe may get the number of a stream that is closed here. */
static nart_res pass_all(spawn *s)
{
    const nart_stdio *io[] = { &s->o.in, &s->o.out, &s->o.err };
    nart_res r = 0;

    s->least = 3;
    for (uint32_t i = 0; i < s->o.nfds; i++)
        if (s->o.fds[i].as >= s->least)
            s->least = s->o.fds[i].as + 1;
    for (uint32_t i = 0; i < s->o.nfds && r == 0; i++)
        r = pass(s, s->o.fds[i].fd, s->o.fds[i].as);
    for (int i = 0; i < 6 && r == 0; i++) {
        nart_stdio_kind k = io[i % 3]->kind;
        if ((k == NART_STDIO_INHERIT || k == NART_STDIO_FD) == (i < 3))
            r = pass_stdio(s, io[i % 3], i % 3);
    }
    return r;
}

/* The child runs: the handle waits for its pidfd. */
static nart_res watch(const spawn *s, nart__child *c, nart_process *out)
{
    nart_res r = nart__sys_child_pidfd(c->pid);

    if (r < 0)
        return r;
    c->pidfd = (int)r;
    r = nart__sys_child_dup(c->pidfd, 0);
    if (r < 0)
        return r;
    nart_res bound = nart__io_bind(&out->ended.io, s->under.drv, s->under.host, (int)r);
    if (bound)
        nart__sys_close((int)r);
    return bound;
}

static nart_res start(spawn *s, nart_process *out)
{
    nart__child *c = nart__alloc(&nart__alloc_std, sizeof *c, _Alignof(nart__child));

    if (!c)
        return -ENOMEM;
    *c = (nart__child){ .pidfd = -1, .flags = s->o.flags, .parent = (pid_t)nart__sys_pid() };
    out->failed = "pass the descriptors";
    nart_res r = pass_all(s);
    if (r == 0)
        r = nart__child_start(&s->o, s->fds, s->n, &out->failed);
    if (r <= 0) {
        nart__child_free(c);
        return r;
    }
    c->pid = (pid_t)r;
    out->failed = "watch the process";
    r = watch(s, c, out);
    if (r < 0) { /* it would have no handle */
        (void)nart__sys_kill(c->pid, SIGKILL);
        nart__child_leave(c, NULL);
        return r;
    }
    out->pid = c->pid;
    out->child = c;
    out->failed = NULL;
    return 0;
}

static void clear_pipes(const nart_process_opts *o)
{
    const nart_stdio *io[] = { &o->in, &o->out, &o->err };

    for (int i = 0; i < 3; i++)
        if (io[i]->kind == NART_STDIO_PIPE && io[i]->pipe)
            *io[i]->pipe = (nart_fd){ .io = { NULL, NULL, 0 } };
}

static void close_pipes(const nart_process_opts *o)
{
    const nart_stdio *io[] = { &o->in, &o->out, &o->err };

    for (int i = 0; i < 3; i++)
        if (io[i]->kind == NART_STDIO_PIPE)
            (void)nart_fd_close(io[i]->pipe);
}

static nart_res spawn_under(nart__under under, const nart_process_opts *opts, nart_process *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    spawn s = { .under = under };

    if (!out)
        return -EINVAL;
    *out = (nart_process){ .pid = 0 };
    if (opts && opts->size == sizeof s.o)
        clear_pipes(opts);
    if (under.refused)
        return under.refused;
    if (!opts)
        return -EINVAL;
    if (opts->size != sizeof s.o)
        return NART_EABI;
    s.o = *opts;
    nart_res r = check(&s.o);
    if (r)
        return r;
    if (nart__sys_children_ignored()) {
        out->failed = "wait for children: SIGCHLD is ignored";
        return -ECHILD;
    }
    (void)pthread_once(&once, set_up);
    if (!supported) {
        out->failed = "watch processes: pidfds need Linux 5.4";
        return -ENOSYS;
    }
    nart__child_reap_orphans();
    r = start(&s, out);
    for (size_t i = 0; i < s.n; i++)
        nart__sys_close(s.fds[i].fd);
    if (r)
        close_pipes(&s.o);
    return r;
}

nart_res nart_process_spawn(nart_rt *rt, const nart_process_opts *opts, nart_process *out)
{
    return spawn_under(nart__under_rt(rt), opts, out);
}

nart_res nart_process_spawn_here(nart_cx *cx, const nart_process_opts *opts, nart_process *out)
{
    return spawn_under(nart__under_cx(cx), opts, out);
}

/* ---- waiting ---- */

nart_res nart_process_wait(nart_cx *cx, nart_process *p, nart_process_status *status)
{
    for (;;) {
        nart_res r = nart_fd_ready(cx, &p->ended, NART_READ);
        if (r <= 0)
            return r;
        nart__child *c = p->child;
        if (nart__child_is_over(c, c->flags & LEADS)) {
            if (status)
                *status = c->status;
            return c->over < 0 ? c->over : 0;
        }
        nart_fd_clear(&p->ended, NART_READ);
    }
}

nart_res nart_process_stop(nart_cx *cx, nart_process *p, int64_t grace, nart_process_status *status)
{
    nart_res r = nart_process_wait(cx, p, status);

    if (r != NART_PENDING || !p->child) /* a closed handle, but the budget is spent */
        return r;
    bool group = p->child->flags & LEADS;
    nart_res (*const to)(const nart_process *, int) =
        group ? nart_process_kill_group : nart_process_kill;
    if (p->kill_at == 0) {
        (void)to(p, SIGTERM);
        p->kill_at = nart_time_add(nart__now_read(cx), grace > 0 ? grace : 0);
    }
    if (p->kill_at != NART_NEVER && cx->now >= p->kill_at) {
        (void)to(p, SIGKILL);
        p->kill_at = NART_NEVER;
    }
    nart__cx_until(cx, p->kill_at);
    return NART_PENDING;
}

nart_res nart_process_kill(const nart_process *p, int signo)
{
    if (!p->child)
        return -EBADF;
    return p->child->over ? -ESRCH : nart__sys_child_kill(p->child->pidfd, signo);
}

nart_res nart_process_kill_group(const nart_process *p, int signo)
{
    if (!p->child)
        return -EBADF;
    if (!(p->child->flags & LEADS))
        return -EINVAL;
    /* Only a child that is not reaped keeps the number of its group. */
    return nart__child_is_here(p->child->pidfd) ? nart__sys_kill(-p->child->pid, signo) : -ESRCH;
}

nart_res nart_process_close(nart_process *p)
{
    if (!p || !p->child)
        return 0;
    const nart_io *io = &p->ended.io;
    nart_rt *rt = io->drv == &nart__loop ? nart__loop_io_rt(io->host, io->id) : NULL;
    nart_res r = nart_fd_close(&p->ended);
    if (r)
        return r;
    nart__child *c = p->child;
    /* Before it is reaped: a child that has ended may have left others in its group. */
    if (c->flags & NART_PROCESS_KILL && !c->over && nart__child_is_here(c->pidfd))
        (void)(c->flags & LEADS ? nart_process_kill_group : nart_process_kill)(p, SIGKILL);
    *p = (nart_process){ .pid = 0 };
    if (nart__child_is_over(c, false))
        nart__child_free(c);
    else
        nart__child_leave(c, rt);
    nart__child_reap_orphans();
    return 0;
}

/* ---- a run to the end ---- */

/* Reads until nothing is pending. 0: the pipe has ended; NART_PENDING; or the error. */
static nart_res drain(nart_cx *cx, nart_fd *pipe, char *buf, size_t size, size_t *len)
{
    char rest[4096];

    while (pipe->io.drv) {
        nart_res r = nart_fd_ready(cx, pipe, NART_READ);
        if (r <= 0)
            return r;
        bool fits = buf && *len < size;
        nart_res fd = nart__io_fd(&pipe->io);
        nart_res n = fd < 0 ? fd
                            : pipe->io.drv->sys->read((int)fd, fits ? buf + *len : rest,
                                                      fits ? size - *len : sizeof rest);
        if (n == -EAGAIN)
            nart_fd_clear(pipe, NART_READ);
        else if (n > 0)
            *len += (size_t)n;
        else if (n < 0)
            return n;
        else
            (void)nart_fd_close(pipe);
    }
    return 0;
}

static nart_res begin(nart_cx *cx, const nart_process_opts *opts, nart_process_output *o)
{
    if (!opts)
        return -EINVAL;
    if (opts->size != sizeof *opts)
        return NART_EABI;
    nart_process_opts p = *opts;
    p.flags |= NART_PROCESS_KILL | NART_PROCESS_GROUP;
    p.in = (nart_stdio){ .kind = NART_STDIO_NULL };
    p.out = (nart_stdio){ .kind = NART_STDIO_PIPE, .pipe = &o->out_pipe };
    p.err = (nart_stdio){ .kind = NART_STDIO_PIPE, .pipe = &o->err_pipe };
    return nart_process_spawn_here(cx, &p, &o->process);
}

/* Has a drain failed? A deadline is not looked at after the child's end, as the pipe is not awaited any more. */
static bool is_failure(nart_res drained, nart_res end)
{
    bool late = drained == -ETIMEDOUT || drained == -ECANCELED;

    return drained < 0 && drained != NART_PENDING && !(end == 0 && late);
}

/* The end of the child is looked at first: what it wrote before is then in the pipes. */
static nart_res go_on(nart_cx *cx, nart_process_output *o)
{
    nart_res end = nart_process_wait(cx, &o->process, &o->status);
    if (end < 0 && end != NART_PENDING)
        return end;
    nart_res out = drain(cx, &o->out_pipe, o->out, o->out_size, &o->out_len);
    nart_res err = drain(cx, &o->err_pipe, o->err, o->err_size, &o->err_len);
    if (cx->flags & NART__CX_SPENT) /* more may be pending */
        return NART_PENDING;
    if (is_failure(out, end))
        return out;
    return is_failure(err, end) ? err : end;
}

enum { FINISHED = 1 }; /* nart_process.reserved: the run was finished before it has answered */

nart_res nart_process_run(nart_cx *cx, const nart_process_opts *opts, nart_process_output *o)
{
    nart_res r = 0;

    if (!o->process.child) {
        r = o->process.reserved == FINISHED ? -EBADF : nart__enter(cx, NULL);
        if (r == 0)
            r = begin(cx, opts, o);
    }
    if (r == 0)
        r = go_on(cx, o);
    if (r != NART_PENDING) {
        const char *failed = o->process.failed;
        nart_process_output_finish(o);
        o->process.failed = failed;
        o->process.reserved = 0;
    }
    return r;
}

void nart_process_output_finish(nart_process_output *o)
{
    if (!o)
        return;
    (void)nart_fd_close(&o->out_pipe);
    (void)nart_fd_close(&o->err_pipe);
    bool begun = o->process.child;
    (void)nart_process_close(&o->process);
    if (begun && !o->process.child) /* a task that waits must not start the program again */
        o->process.reserved = FINISHED;
}
