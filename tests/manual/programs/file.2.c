/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct frame {
    nart_co co;
    nart_file_op op;
    const char *text;
    size_t len;
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_file_op_close(&f->op);
    NART_END(r);
}

int main(void)
{
    const struct frame init = { .text = "a = 1\n", .len = 6 };
    char dir[] = "/tmp/nart-example-XXXXXX";

    if (mkdtemp(dir) == NULL || chdir(dir) != 0)
        return 2;
    int failed = example_run(example_rt(), run, sizeof init, &init);
    return unlink("settings") != 0 || rmdir(dir) != 0 ||
           nart_workers_shutdown(NULL, NART_NEVER) != 0 || failed;
}
