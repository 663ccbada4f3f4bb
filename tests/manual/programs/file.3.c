/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

#include <nart/file.h>
#include <nart/stream.h>

struct frame {
    nart_co co;
    nart_file_op op;
    nart_file file;
    nart_file_stream fs;
    nart_stream s;
    size_t done;
    char buf[64];
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_file_open(cx, &f->op, &f->file, "lines", O_RDWR | O_CREAT, 0600));
    if (r == 0) {
        /* STATEMENTS */
    }
    if (r == 0)
        NART_AWAIT(r, nart_stream_write_all(cx, &f->s, "line\n", 5, &f->done));
    if (nart_stream_close(&f->s) < 0)
        r = -EIO;
    nart_file_op_close(&f->op);
    NART_END(r < 0 ? r : 0);
}

int main(void)
{
    char dir[] = "/tmp/nart-example-XXXXXX";
    static const struct frame init;

    if (mkdtemp(dir) == NULL || chdir(dir) != 0)
        return 2;
    int failed = example_run(example_rt(), run, sizeof init, &init);
    return unlink("lines") != 0 || rmdir(dir) != 0 ||
           nart_workers_shutdown(NULL, NART_NEVER) != 0 || failed;
}
