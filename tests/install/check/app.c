/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/nart.h>

#include "generated.h"

struct app {
    nart_co co;
    int n;
};

static nart_res app_run(nart_cx *cx, void *frame)
{
    struct app *a = frame;
#ifdef WRONG
    int n = 0;
#define COUNT n
#else
#define COUNT a->n
#endif

    NART_BEGIN(cx, &a->co);
    while (COUNT < TIMES) {
        COUNT++;
        NART_YIELD();
    }
    NART_END(COUNT);
}

int main(void)
{
    return app_run == NULL;
}
