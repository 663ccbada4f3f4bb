/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tty.c: terminals: the size of the window, and the mode.
 *
 *  1. The first change of a terminal's mode keeps the mode that it had, and a duplicate of the descriptor, in a table of
 *     the process. Restoring it empties the slot. So the mode can be restored after the handle was closed, and at exit.
 *  2. One lock for the table. While a thread holds it, all its signals are blocked, so nart_tty_reset() in a handler
 *     never waits for the code that the handler interrupted.
 *  3. The table is of one process: a child of fork that exits restores nothing, and cannot change modes.
 *
 * Not handled: the terminal is suspended or hung up meanwhile. Whoever stops the process has another mode then. */
#include "net.h"

#include "../sys.h"

#include <nart/pipe.h>

#include <signal.h>
#include <stdlib.h>
#include <termios.h>

static struct kept {
    bool used;
    uint32_t device;
    int fd;
    struct termios was;
} kept[NART_TTY_MOST];

static bool at_exit;                  /* nart_tty_reset() is registered */
static NART__ATOMIC(uint32_t) locked; /* the two above are in use */
static NART__ATOMIC(int64_t) owner;   /* the process of the table; 0: none yet */

static void lock(sigset_t *was)
{
    nart__sys_signals_block(was);
    /* ACQUIRE, and RELEASE below: what the last holder wrote is visible. */
    while (NART__EXCHANGE(&locked, 1, NART__ACQUIRE))
        nart__relax();
}

static void unlock(const sigset_t *was)
{
    NART__STORE(&locked, 0, NART__RELEASE);
    nart__sys_signals_restore(was);
}

/* Does this process own the table? RELAXED: the number says all. */
static bool owns(bool take)
{
    int64_t now = 0, pid = nart__sys_pid();

    if (!take)
        return NART__LOAD(&owner, NART__RELAXED) == pid;
    return NART__CAS(&owner, &now, pid, NART__RELAXED, NART__RELAXED) || now == pid;
}

static void forget(const nart_sys *sys, struct kept *k)
{
    sys->close(k->fd);
    *k = (struct kept){ .used = false };
}

static struct kept *kept_of(uint32_t device)
{
    for (size_t i = 0; i < NART_TTY_MOST; i++)
        if (kept[i].used && kept[i].device == device)
            return &kept[i];
    return NULL;
}

/* A slot that is unused, or whose terminal is hung up. */
static struct kept *free_slot(const nart_sys *sys)
{
    struct termios mode;
    uint32_t device;

    for (size_t i = 0; i < NART_TTY_MOST; i++)
        if (kept[i].used && sys->tty_get(kept[i].fd, &mode, &device) == -EIO)
            forget(sys, &kept[i]);
    for (size_t i = 0; i < NART_TTY_MOST; i++)
        if (!kept[i].used)
            return &kept[i];
    return NULL;
}

static void reset_at_exit(void)
{
    (void)nart_tty_reset();
}

static nart_res keep(const nart_sys *sys, int fd, uint32_t device, const struct termios *was)
{
    struct kept *k = free_slot(sys);

    if (!k)
        return -ENOSPC;
    if (!at_exit && atexit(reset_at_exit) != 0)
        return -ENOMEM;
    at_exit = true;
    int own = sys->dup(fd);
    if (own < 0)
        return own;
    *k = (struct kept){ true, device, own, *was };
    return 0;
}

/* The flags are those that libuv sets, and those of cfmakeraw(3). */
static struct termios changed(struct termios to, nart_tty_mode mode)
{
    to.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    to.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
    to.c_oflag |= ONLCR;
    if (mode == NART_TTY_BYTES) {
        to.c_iflag &= ~(tcflag_t)(IGNBRK | PARMRK | INLCR | IGNCR);
        to.c_lflag &= ~(tcflag_t)ECHONL;
        to.c_oflag &= ~(tcflag_t)OPOST;
        to.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    }
    to.c_cflag |= CS8;
    to.c_cc[VMIN] = 1;
    to.c_cc[VTIME] = 0;
    return to;
}

static nart_res set_mode(const nart_sys *sys, int fd, nart_tty_mode mode)
{
    struct termios now;
    uint32_t device;

    nart_res r = sys->tty_get(fd, &now, &device);
    if (r)
        return r;
    struct kept *k = kept_of(device);
    bool restores = mode == NART_TTY_COOKED, first = !k;
    if (first && restores)
        return 0;
    if (first) {
        r = keep(sys, fd, device, &now);
        if (r)
            return r;
        k = kept_of(device);
    }
    now = restores ? k->was : changed(k->was, mode);
    r = sys->tty_set(fd, &now);
    if (restores ? r == 0 : r && first)
        forget(sys, k);
    return r;
}

nart_res nart_tty_set_mode(const nart_fd *h, nart_tty_mode mode)
{
    sigset_t was;

    if (mode != NART_TTY_COOKED && mode != NART_TTY_RAW && mode != NART_TTY_BYTES)
        return -EINVAL;
    nart_res fd = nart__io_fd(&h->io);
    if (fd < 0)
        return fd;
    if (!owns(true))
        return NART_EFORK;
    lock(&was);
    nart_res r = set_mode(h->io.drv->sys, (int)fd, mode);
    unlock(&was);
    return r;
}

nart_res nart_tty_reset(void)
{
    nart_res r = 0;
    sigset_t was;

    if (!owns(false))
        return 0;
    lock(&was);
    for (size_t i = 0; i < NART_TTY_MOST; i++) {
        nart_res one = kept[i].used ? nart__sys_real.tty_set(kept[i].fd, &kept[i].was) : 0;
        r = one ? one : r;
    }
    unlock(&was);
    return r;
}

nart_res nart_tty_size(const nart_fd *h, uint32_t *rows, uint32_t *columns)
{
    uint16_t size[2];

    if (!rows || !columns)
        return -EINVAL;
    *rows = *columns = 0;
    nart_res fd = nart__io_fd(&h->io);
    nart_res r = fd < 0 ? fd : h->io.drv->sys->window_size((int)fd, size);
    if (r == 0) {
        *rows = size[0];
        *columns = size[1];
    }
    return r;
}
