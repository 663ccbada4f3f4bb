/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reactor.h: readiness of descriptors, whatever the kernel's way of telling it.
 *
 * What it keeps true
 *  1. Readiness first: a direction is tried when it may be ready, and waited for only after the
 *     kernel said EAGAIN. A new descriptor counts as ready.
 *  2. Separate waiters for reading and writing: each direction has a wait of its own.
 *  3. An id is (serial, index) and never repeats; an event for a descriptor that was given back finds
 *     another serial and is dropped. */
#ifndef NART_REACTOR_H
#define NART_REACTOR_H

#include "../core/wait.h"

typedef struct nart__io {
    nart__wait dir[2]; /* reader, writer */
    uint64_t id;       /* 0: free */
    int fd;
    uint32_t ready;  /* NART_READ ... */
    uint32_t always; /* the kernel does not watch it (a regular file): these stay ready */
    uint32_t next_free;
} nart__io;

typedef struct nart__reactor {
    int fd;          /* the kernel's queue, for hosts to wait on */
    uint32_t max_io; /* records in io */
    uint32_t fresh, free, used;
    nart__io *io;
    void *events;
    uint32_t max_events;
    uint64_t *serial; /* of the last id; outlives the reactor, as a handle can */
} nart__reactor;

/* 0, -ENOMEM, -EMFILE, -ENFILE. wake_fd: an eventfd whose only effect is that a wait returns. */
int nart__reactor_init(nart__reactor *r, uint32_t max_io, uint32_t max_events, int wake_fd,
                       uint64_t *serial);
void nart__reactor_finish(nart__reactor *r, bool forked);

/* Waits for at most timeout_ns (NART_NEVER: for ever) and makes tasks ready.
 * The number of events, or -errno; a signal counts as nothing. */
int nart__reactor_wait(nart__reactor *r, int64_t timeout_ns);

/* See nart_driver. */
nart_res nart__reactor_add(nart__reactor *r, int fd, uint64_t *id);
nart_res nart__reactor_want(nart__reactor *r, uint64_t id, uint32_t dirs, nart_cx *cx);
void nart__reactor_clear(nart__reactor *r, uint64_t id, uint32_t dirs);
nart_res nart__reactor_del(nart__reactor *r, uint64_t id, bool forked, int *fd);
nart_res nart__reactor_fd(const nart__reactor *r, uint64_t id);
nart_res nart__reactor_wake(nart__reactor *r, uint64_t id);

#endif
