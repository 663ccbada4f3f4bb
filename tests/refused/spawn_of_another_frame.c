/* refused with nothing: (incompatible pointer|incompatible-pointer) */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/nart.h>
#ifndef MENDED
#if defined __GNUC__
#pragma GCC diagnostic error "-Wincompatible-pointer-types" /* a warning before gcc 14, clang 16 */
#endif
#endif

struct conn {
    int fd;
};
struct other {
    int fd;
};

nart_res conn_run(nart_cx *cx, void *frame);
nart_res begin(nart_rt *rt, struct conn *c, struct other *o);

NART_TASK_TYPED(conn, struct conn, conn_run, NULL);

nart_res begin(nart_rt *rt, struct conn *c, struct other *o)
{
#ifdef MENDED
    (void)o;
    return conn_rt_spawn(rt, c, NULL);
#else
    (void)c;
    return conn_rt_spawn(rt, o, NULL);
#endif
}
