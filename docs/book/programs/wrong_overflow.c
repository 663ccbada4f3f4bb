/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_overflow.c: wrong: a fiber needs more than its stack. */
#include <nart/nart.h>

#include <stdio.h>
#include <sys/resource.h>

// --8<-- [start:wrong]
static int depth(const char *text)
{
    char copy[1024];

    snprintf(copy, sizeof copy, "%s", text);
    return copy[0] == '\0' ? 0 : 1 + depth(copy + 1);
}

static nart_res parses(nart_cx *cx, void *arg)
{
    (void)cx;
    return depth(arg); // 100 calls, each with a frame of 1 KiB, on a stack of 64
}
// --8<-- [end:wrong]

int main(void)
{
    char text[101];
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    snprintf(text, sizeof text, "%0100d", 0);
    if (r == 0)
        r = nart_fiber_block_on(rt, parses, text, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
