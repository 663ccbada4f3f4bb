/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* many_bytes.h: a value that is too large to be copied into the frame of a fiber. */
#include <nart/fiber.h>

#ifdef MENDED
#define BYTES NART_FIBER_VALUE
#else
#define BYTES (NART_FIBER_VALUE + 1)
#endif

struct value {
    char bytes[BYTES];
};

nart_res fiber(nart_cx *cx, void *arg);
