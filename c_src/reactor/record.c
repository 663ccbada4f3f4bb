/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* record.c: the record of a descriptor: which directions are ready, and the waits for them. The loop's reactor
 * has a table of records (epoll.c). Another driver has records of its own and sets what is ready: the second
 * half of this file is the interface for it (driver.h). */
#include "reactor.h"

#include "../sys.h"

#include <nart/driver.h>

static void io_withdraw(nart__wait *w)
{
    (void)w; /* readiness is unchanged: nothing was consumed */
}

static const struct nart__wait_ops read_ops = { "readable", io_withdraw },
                                   write_ops = { "writable", io_withdraw };

void nart__io_init(nart__io *io, uint64_t id, int fd, uint32_t ready)
{
    *io = (nart__io){
        .id = id, .fd = fd, .ready = ready, .dir = { { .ops = &read_ops }, { .ops = &write_ops } }
    };
}

static bool taken(const nart__io *io, uint32_t dirs, const nart_cx *cx)
{
    return (dirs & NART_READ && nart__wait_taken(cx, &io->dir[0])) ||
           (dirs & NART_WRITE && nart__wait_taken(cx, &io->dir[1]));
}

nart_res nart__io_park(nart__io *io, uint32_t dirs, nart_cx *cx)
{
    nart_res r = NART_PENDING;
    bool begun;

    /* Both or none: -EBUSY of one direction leaves no wait in the other. */
    if (taken(io, dirs, cx))
        return -EBUSY;
    if (dirs & NART_READ)
        r = nart__park_in(cx, &io->dir[0], &begun);
    if (dirs & NART_WRITE && r == NART_PENDING) {
        cx->go -= (dirs & NART_READ) != 0; /* one operation waits in both */
        r = nart__park_in(cx, &io->dir[1], &begun);
    }
    return r;
}

bool nart__io_part(nart__io *io)
{
    bool waited = nart__wait_in_use(&io->dir[0]) || nart__wait_in_use(&io->dir[1]);

    nart__interrupt(&io->dir[0]);
    nart__interrupt(&io->dir[1]);
    return waited;
}

/* ---- records of other drivers ---- */

_Static_assert(sizeof(nart__io) <= sizeof(nart_driver_io), "a record fits");

static nart__io *record(nart_driver_io *io)
{
    return (nart__io *)(void *)io;
}

const nart_sys *nart_driver_sys(void)
{
    return &nart__sys_real;
}

void nart_driver_io_init(nart_driver_io *io)
{
    nart__io_init(record(io), 0, -1, NART_READ | NART_WRITE);
}

uint32_t nart_driver_io_ready(const nart_driver_io *io)
{
    return ((const nart__io *)(const void *)io)->ready;
}

void nart_driver_io_set(nart_driver_io *io, uint32_t bits)
{
    record(io)->ready |= bits;
}

void nart_driver_io_clear(nart_driver_io *io, uint32_t bits)
{
    nart__io_clear_in(record(io), bits);
}

bool nart_driver_io_taken(const nart_driver_io *io, uint32_t dirs, const nart_cx *cx)
{
    return taken((const nart__io *)(const void *)io, dirs, cx);
}

nart_res nart_driver_io_want(nart_driver_io *io, uint32_t dirs, nart_cx *cx)
{
    return nart__io_await(record(io), dirs, cx);
}

void nart_driver_io_unwait(nart_driver_io *io, uint32_t dirs, const nart_cx *cx)
{
    nart__io_unwait_in(record(io), dirs, cx);
}

void nart_driver_io_stay(nart_driver_io *io, uint32_t dirs, const nart_cx *cx)
{
    nart__io_stay_in(record(io), dirs, cx);
}

bool nart_driver_io_part(nart_driver_io *io)
{
    return nart__io_part(record(io));
}
