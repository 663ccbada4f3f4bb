/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

int main(void)
{
    nart_res r = NART_ECLOSED;

    /* STATEMENTS */
    return 0;
}
