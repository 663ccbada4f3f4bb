/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client that reads a byte per call, and whose time is over when it has read four. */
#include "example.h"

#include <unistd.h>

struct client {
    nart_watch watch;
    int fd, bytes;
};

static void client_read(struct client *c)
{
    char byte;

    if (read(c->fd, &byte, 1) == 1 && ++c->bytes == 4 && nart_watch_set(&c->watch, 0, 0) != 0)
        c->bytes = -1;
}

/* DECLARATIONS */

struct frame {
    nart_timer timer;
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    return nart_sleep(cx, &f->timer,
                      2 * NART_SEC); /* the clock stands still while the pipe is watched */
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct client client = { .bytes = 0 }, *c = &client;
    struct frame f = { .timer = { 0 } };
    int ends[2];
    nart_res r;

    if (pipe(ends) != 0 || write(ends[1], "text", 4) != 4)
        return 1;
    c->fd = ends[0];
    /* STATEMENTS */
    return r != 0 || example_run(rt, run, sizeof f, &f) != 0 || c->bytes != 4;
}
