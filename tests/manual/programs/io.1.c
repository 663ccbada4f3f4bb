/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pipe that holds four bytes. */
#include "example.h"

#include <fcntl.h>
#include <unistd.h>

struct frame {
    nart_co co;
    nart_fd pipe;
    int fd;
    char buf[16];
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;
    ssize_t n = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_fd_close(&f->pipe);
    NART_END(memcmp(f->buf, "text", 4) == 0 ? 0 : -EIO);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .co = { 0 } };
    int ends[2];

    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        write(ends[1], "text", 4) != 4)
        return 1;
    f.fd = ends[0];
    if (nart_fd_open(rt, ends[0], 0, &f.pipe) != 0)
        return 1;
    return example_run(rt, run, sizeof f, &f);
}
