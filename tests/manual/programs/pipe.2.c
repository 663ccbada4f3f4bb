/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The window of a pseudo-terminal becomes larger. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "example.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static uint32_t drawn[4], draws;

static void draw(uint32_t rows, uint32_t columns)
{
    drawn[draws++ & 3] = rows * 1000 + columns;
}

/* DECLARATIONS */

static const nart_task_type screen_type = NART_TASK_TYPE(struct screen, screen_run, NULL);

int main(void)
{
    nart_rt *rt = example_rt();
    struct screen s = { .rows = 0 };
    struct winsize small = { .ws_row = 25, .ws_col = 80 }, large = { .ws_row = 50, .ws_col = 132 };
    nart_join join = { 0 };
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
        ioctl(master, TIOCSWINSZ, &small) != 0)
        return 1;
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (terminal < 0 || nart_fd_open(rt, terminal, 0, &s.tty) != 0 ||
        nart_rt_spawn(rt, &screen_type, &s, &join) != 0 || nart_rt_poll(rt, 0) < 0 ||
        ioctl(master, TIOCSWINSZ, &large) != 0 || raise(SIGWINCH) != 0 || nart_rt_poll(rt, 0) < 0)
        return 1;
    nart_join_release(&join);
    nart_rt_free(rt);
    close(master);
    return draws != 2 || drawn[0] != 25080 || drawn[1] != 50132;
}
