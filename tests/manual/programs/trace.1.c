/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Writes the trace into the test's directory. */
#include "example.h"

int main(void)
{
    nart_rt *rt = example_rt();

    /* STATEMENTS */
    nart_rt_free(rt);
    return r != 0 || !out;
}
