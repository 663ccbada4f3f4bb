/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* right_stack.c: a fiber with a larger stack. */
#include <nart/nart.h>

#include <stdio.h>

static int depth(const char *text)
{
    char copy[1024];

    snprintf(copy, sizeof copy, "%s", text);
    return copy[0] == '\0' ? 0 : 1 + depth(copy + 1);
}

static nart_res parses(nart_cx *cx, void *arg)
{
    (void)cx;
    return depth(arg);
}

static nart_res run(nart_rt *rt, char *text, nart_res *answer)
{
    // --8<-- [start:right]
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;

    opts.stack = 1 << 20; // 1 MiB is reserved; pages are taken when they are touched
    return nart_fiber_block_on(rt, parses, text, &opts, answer);
    // --8<-- [end:right]
}

int main(void)
{
    char text[101];
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    snprintf(text, sizeof text, "%0100d", 0);
    if (r == 0)
        r = run(rt, text, &answer);
    nart_rt_free(rt);
    return r < 0 || answer != 100;
}
