/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* epoll.c: the reactor on Linux.
 *
 * 1. A descriptor is added once, edge-triggered, for reading; for writing as well when a task first waits for
 *    that. Readiness is kept here, so no further epoll_ctl() is needed until the descriptor is removed. A
 *    program that never waits to write gets no events about it: a Unix socket would report one whenever the
 *    peer has read, a datagram socket after each send.
 * 2. An operation clears a direction after EAGAIN or a short transfer. That is sound because events are
 *    received on the same thread: an edge that occurs after the system call is reported by the next wait.
 *    After two events a short read proves nothing: the end of the stream, whose edge never occurs again, and
 *    a mark of urgent data, behind which more data may be pending. Both are kept (NART_RDHUP and
 *    NART_HANGUP, NART_PRI), and with them only EAGAIN clears. It clears these bits, too: a reader that
 *    finds no data is not at the end, and has read past the mark.
 *    An end or an error may also be temporary: a socket connects, a FIFO is opened again. Each event reports
 *    all states that hold at that moment, so a state that it does not report is over. The exception is the
 *    mark, which the kernel no longer reports once the urgent byte was read, while reads still stop there.
 * 3. A descriptor that the kernel refuses to watch (EPERM: regular files) is always ready. For these the
 *    kernel does not detect a second registration either, so the table is searched for one.
 * 4. The hub's eventfd is added edge-triggered and never read: each write causes an edge of its own.
 * 5. A descriptor is removed explicitly before it is closed: a duplicate held by another process would keep
 *    it reporting. After a fork the child shares the kernel's queue and only closes.
 *
 * 6. A watch is registered level-triggered, for its directions only, under a record that points at it. Its
 *    descriptor belongs to a library, which may close it at any time: then the kernel forgets the registration,
 *    and the number can come to name another file. So the table `watched` says under which numbers watches are
 *    registered: the kernel accepts a new registration under such a number only if the watch's own is gone. The
 *    record is freed then, and the watch never changes or removes a registration that is not its own.
 *
 * 7. Records are in chunks that never move: tasks wait in them. Without a limit there are 1,024 at the
 *    start, and their number doubles whenever all are used.
 *
 * Bounds: max_io descriptors, 2^20 - 1 without a limit; max_events events per wait; add, want, clear, del
 * and an event O(1), but O(descriptors) for adding what the kernel does not watch.
 * An id holds 44 bits of serial, which a hub that opens 200,000 descriptors a second exhausts after two
 * years and nine months: then no more descriptors are added. */
#include "reactor.h"

#include "../sys.h"

#include <sys/epoll.h>

#define SERIAL_MAX (UINT64_MAX >> NART__INDEX_BITS)
#define NONE UINT32_MAX
#define FIRST 1024u /* records at the start when there is no limit: a power of two */

_Static_assert(sizeof(void *) != 8 || sizeof(nart__io) == 128, "two cache lines");

#define NUMBERS (NART__INDEX_MASK + 1) /* descriptors that can be watched: those below this */

int nart__reactor_init(nart__reactor *r, uint32_t max_io, uint32_t max_events, int wake_fd,
                       uint64_t *serial)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = NART__IO_FREE };
    int err = -ENOMEM;

    if (max_io > NART__INDEX_MASK || max_events > INT32_MAX / sizeof ev)
        return -EINVAL;
    *r = (nart__reactor){ .fd = -1,
                          .max_io = max_io ? max_io : NART__INDEX_MASK,
                          .first = max_io ? max_io : FIRST,
                          .free = NONE,
                          .max_events = max_events };
    r->made = r->first;
    r->serial = serial;
    r->io = nart__sys_map((size_t)r->first * sizeof *r->io);
    r->events = nart__sys_map((size_t)max_events * sizeof ev);
    if (!r->io || !r->events)
        goto fail;
    err = r->fd = nart__sys_epoll_create();
    if (err < 0)
        goto fail;
    err = nart__sys_epoll_ctl(r->fd, EPOLL_CTL_ADD, wake_fd, &ev);
    if (err < 0)
        goto fail;
    return 0;

fail:
    nart__reactor_finish(r, true);
    return err;
}

void nart__reactor_finish(nart__reactor *r, bool forked)
{
    if (r->io) {
        for (uint32_t i = 0; i < r->fresh; i++) {
            const nart__io *io = nart__io_at(r, i);
            int fd;
            if (io->id == NART__IO_FREE)
                continue;
            if (io->kept.fd)
                nart__sys_close((int)io->kept.fd - 1);
            if (nart__reactor_del(r, io->id, forked, &fd) >= 0)
                nart__sys_close(fd);
        }
        nart__sys_unmap(r->io, (size_t)r->first * sizeof *r->io);
    }
    for (uint32_t k = 0; k < NART__INDEX_BITS; k++)
        if (r->more[k])
            nart__sys_unmap(r->more[k], sizeof(nart__io) << k);
    if (r->watched)
        nart__sys_unmap(r->watched, NUMBERS * sizeof *r->watched);
    if (r->fd >= 0)
        nart__sys_close(r->fd);
    if (r->events)
        nart__sys_unmap(r->events, (size_t)r->max_events * sizeof(struct epoll_event));
    *r = (nart__reactor){ .fd = -1 };
}

int nart__reactor_reserve(nart__reactor *r, uint32_t count)
{
    if (count > r->max_io)
        return NART_EFDS;
    while (r->made < count) { /* so there is no limit, and all are powers of two */
        nart__io *more = nart__sys_map(r->made * sizeof *more);
        if (!more)
            return -ENOMEM;
        r->more[31 - __builtin_clz(r->made)] = more;
        r->made *= 2;
    }
    return 0;
}

/* ---- waiting ---- */

/* States other than readable and writable. */
static NART__COLD uint32_t odd_bits(uint32_t events)
{
    uint32_t b = 0;

    if (events & EPOLLRDHUP)
        b |= NART_READ | NART_RDHUP;
    if (events & EPOLLPRI)
        b |= NART_PRI;
    if (events & EPOLLERR)
        b |= NART_READ | NART_WRITE | NART_ERROR;
    if (events & EPOLLHUP)
        b |= NART_READ | NART_WRITE | NART_HANGUP;
    return b;
}

static uint32_t bits_of(uint32_t events)
{
    uint32_t b = (events & EPOLLIN ? NART_READ : 0) | (events & EPOLLOUT ? NART_WRITE : 0);

    if (NART_UNLIKELY(events & ~(uint32_t)(EPOLLIN | EPOLLOUT)))
        b |= odd_bits(events);
    return b;
}

static void wake_dir(nart__wait *w)
{
    if (w->task)
        nart__ready(w->task);
}

int nart__reactor_wait(nart__reactor *r, int64_t timeout_ns)
{
    struct epoll_event *ev = r->events;
    int n = nart__sys_epoll_wait(r->fd, ev, (int)r->max_events, timeout_ns);

    r->calls = 0;
    for (int i = 0; i < n; i++, ev++) {
        nart__io *io = nart__io_of(r, ev->data.u64);
        if (!io)
            continue; /* the eventfd, or a descriptor removed since */
        if (NART_UNLIKELY(io->ready & NART__IO_WATCH)) {
            r->calls = n;
            continue;
        }
        io->ready = (io->ready & ~NART__IO_STATES) | bits_of(ev->events);
        if (io->ready & NART_READ)
            wake_dir(&io->dir[0]);
        if (io->ready & NART_WRITE)
            wake_dir(&io->dir[1]);
    }
    return n;
}

/* ---- descriptors ---- */

/* Is the descriptor registered already, as one that is always ready? Not by a watch: one under its number is gone. */
static NART__COLD bool is_here(const nart__reactor *r, int fd)
{
    for (uint32_t i = 0; i < r->fresh; i++) {
        const nart__io *io = nart__io_at(r, i);
        if (io->id != NART__IO_FREE && io->fd == fd && !(io->ready & NART__IO_WATCH))
            return true;
    }
    return false;
}

/* Finds a free record: its index, and the id that it gets. 0, NART_EFDS or -ENOMEM. */
static nart_res find_free(nart__reactor *r, uint32_t *index, uint64_t *id)
{
    uint32_t i = r->free;

    if (i == NONE)
        i = r->fresh;
    if (i == r->max_io || *r->serial == SERIAL_MAX)
        return NART_EFDS;
    *index = i;
    *id = (*r->serial + 1) << NART__INDEX_BITS | i;
    return i < r->made ? 0 : nart__reactor_reserve(r, i + 1);
}

/* Takes the record that find_free() has found. */
static nart__io *take(nart__reactor *r, uint32_t index)
{
    nart__io *io = nart__io_at(r, index);

    ++*r->serial;
    if (index == r->fresh)
        r->fresh++;
    else
        r->free = io->next_free;
    return io;
}

static void set_free(nart__reactor *r, nart__io *io, uint32_t index)
{
    io->next_free = r->free;
    r->free = index;
}

/* The kernel has accepted a registration under a number: one of a watch under that number is gone. */
static void supersede(nart__reactor *r, int fd)
{
    if (!r->watched || (uint32_t)fd >= NUMBERS || r->watched[fd] == 0)
        return;
    uint32_t index = r->watched[fd] - 1;
    nart__io *io = nart__io_at(r, index);
    r->watched[fd] = 0;
    r->used--;
    io->id = NART__IO_FREE;
    set_free(r, io, index);
}

#define READS (uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET)

nart_res nart__reactor_add(nart__reactor *r, int fd, uint32_t dirs, uint64_t *id)
{
    bool writes = dirs & NART_WRITE;
    uint32_t i;
    uint64_t new_id;

    nart_res err = find_free(r, &i, &new_id);
    if (err)
        return err;
    struct epoll_event ev = { .events = READS | (writes ? EPOLLOUT : 0), .data.u64 = new_id };
    err = nart__sys_epoll_ctl(r->fd, EPOLL_CTL_ADD, fd, &ev);
    if (err == -EPERM && is_here(r, fd))
        err = -EEXIST;
    if (err < 0 && err != -EPERM)
        return err;
    nart__io_init(take(r, i), new_id, fd,
                  NART_READ | NART_WRITE | (writes ? NART__IO_WRITES : 0) |
                      (err ? NART__IO_ALWAYS : 0));
    r->used += err == 0;
    supersede(r, fd);
    *id = new_id;
    return 0;
}

nart_res nart__reactor_add_writes(const nart__reactor *r, nart__io *io)
{
    struct epoll_event ev = { .events = READS | EPOLLOUT, .data.u64 = io->id };

    /* the kernel then reports what is ready already, so no edge since the EAGAIN is lost */
    if (nart__sys_epoll_ctl(r->fd, EPOLL_CTL_MOD, io->fd, &ev) < 0)
        return -EBADF; /* someone else has closed it: the only reason */
    io->ready |= NART__IO_WRITES;
    return 0;
}

/* Removes a record from the kernel's queue and invalidates its id. Returns the descriptor. */
static int give_back(nart__reactor *r, nart__io *io, bool forked)
{
    if (!(io->ready & NART__IO_ALWAYS)) {
        if (!forked)
            (void)nart__sys_epoll_ctl(r->fd, EPOLL_CTL_DEL, io->fd, NULL);
        r->used--;
    }
    io->id = NART__IO_FREE;
    return io->fd;
}

nart_res nart__reactor_del(nart__reactor *r, uint64_t id, bool forked, int *fd)
{
    nart__io *io = nart__io_of(r, id);

    if (!io)
        return NART_ESTALE;
    bool woken = nart__io_part(io);
    *fd = give_back(r, io, forked);
    set_free(r, io, (uint32_t)(id & NART__INDEX_MASK));
    return woken;
}

/* ---- waits that are left behind ---- */

static nart__io *io_of_writer(nart__wait *w)
{
    return (nart__io *)(void *)((char *)w - offsetof(nart__io, dir[1]));
}

static void left_withdraw(nart__wait *w)
{
    nart__io *io = io_of_writer(w);
    nart__reactor *r = io->left.reactor;

    r->left--;
    set_free(r, io, io->left.index);
}

static const struct nart__wait_ops left_ops = { "closed", left_withdraw };

nart_res nart__reactor_leave(nart__reactor *r, uint64_t id, bool forked, const void *handle,
                             int *fd)
{
    nart__io *io = nart__io_of(r, id);

    if (!io || !handle || io->dir[0].task || !nart__wait_expected(&io->dir[1]))
        return nart__reactor_del(r, id, forked, fd);
    *fd = give_back(r, io, forked);
    io->left.handle = handle;
    io->left.reactor = r;
    io->left.index = (uint32_t)(id & NART__INDEX_MASK);
    io->dir[1].ops = &left_ops;
    r->left++;
    nart__ready(io->dir[1].task);
    return 1;
}

nart__wait *nart__reactor_left(const nart_cx *cx, const void *handle)
{
    for (nart__wait *w = cx->self->waits; w; w = w->more)
        if (w->ops == &left_ops && w->co == cx->co &&
            !nart__wait_in_use(w) && /* else it parked in this poll */
            io_of_writer(w)->left.handle == handle)
            return w;
    return NULL;
}

bool nart__reactor_awaited(const nart__reactor *r, uint64_t id)
{
    nart__io *io = nart__io_of(r, id);
    return io && (nart__wait_expected(&io->dir[0]) || nart__wait_expected(&io->dir[1]));
}

void nart__reactor_keep(const nart__reactor *r, uint64_t id, int fd_plus_one)
{
    nart__io *io = nart__io_of(r, id);
    if (io)
        io->kept.fd = (uintptr_t)fd_plus_one;
}

nart_res nart__reactor_fd(const nart__reactor *r, uint64_t id)
{
    nart__io *io = nart__io_of(r, id);
    return io ? io->fd : NART_ESTALE;
}

nart_res nart__reactor_wake(nart__reactor *r, uint64_t id)
{
    nart__io *io = nart__io_of(r, id);
    return io ? nart__io_part(io) : NART_ESTALE;
}

/* ---- watches ---- */

nart_res nart__reactor_watches(nart__reactor *r)
{
    if (!r->watched)
        r->watched = nart__sys_map(NUMBERS * sizeof *r->watched);
    return r->watched ? 0 : -ENOMEM;
}

static struct epoll_event event_of(uint32_t dirs, uint64_t id)
{
    return (struct epoll_event){ .events = (dirs & NART_READ ? (uint32_t)EPOLLIN : 0) |
                                           (dirs & NART_WRITE ? (uint32_t)EPOLLOUT : 0),
                                 .data.u64 = id };
}

static nart_res begin_watch(nart__reactor *r, nart_watch *w, uint32_t dirs)
{
    uint32_t i;
    uint64_t id;

    if (w->fd < 0)
        return -EBADF;
    nart_res err = (uint32_t)w->fd < NUMBERS ? find_free(r, &i, &id) : NART_EFDS;
    if (err)
        return err;
    struct epoll_event ev = event_of(dirs, id);
    err = nart__sys_epoll_ctl(r->fd, EPOLL_CTL_ADD, w->fd, &ev);
    if (err)
        return err;
    nart__io *io = take(r, i);
    nart__io_init(io, id, w->fd, NART__IO_WATCH);
    io->watch = w;
    r->used++;
    supersede(r, w->fd);
    r->watched[w->fd] = i + 1;
    w->id = id;
    w->dirs = dirs;
    return 0;
}

nart_res nart__reactor_watch(nart__reactor *r, nart_watch *w, uint32_t dirs)
{
    struct epoll_event ev = event_of(dirs, w->id);

    if (dirs && nart__io_of(r, w->id) &&
        nart__sys_epoll_ctl(r->fd, EPOLL_CTL_MOD, w->fd, &ev) == 0) {
        w->dirs = dirs;
        return 0;
    }
    /* With ENOENT the number names another file by now; other errors are those of the new registration. */
    nart__reactor_unwatch(r, w->id, false);
    w->id = 0;
    w->dirs = 0;
    return dirs ? begin_watch(r, w, dirs) : 0;
}

void nart__reactor_unwatch(nart__reactor *r, uint64_t id, bool forked)
{
    nart__io *io = nart__io_of(r, id);

    if (!io)
        return;
    if (!forked)
        (void)nart__sys_epoll_ctl(r->fd, EPOLL_CTL_DEL, io->fd, NULL);
    supersede(r, io->fd);
}

void nart__reactor_call(nart__reactor *r, void (*call)(nart_watch *w, uint32_t events))
{
    const struct epoll_event *ev = r->events;
    const uint32_t states = NART_ERROR | NART_HANGUP;

    for (int left = r->calls; left > 0; left--, ev++) {
        nart__io *io = nart__io_of(r, ev->data.u64);
        if (!io || !(io->ready & NART__IO_WATCH))
            continue; /* a handle's, or removed since */
        uint32_t bits = bits_of(ev->events);
        if (bits & io->watch->dirs)
            call(io->watch, bits & (io->watch->dirs | states));
    }
    r->calls = 0;
}
