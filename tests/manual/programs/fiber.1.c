/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = example_rt();
    nart_tcp sock = { 0 };
    nart_res answer = -1;
    char got[3] = { 0 };
    int one, other;

    example_tcp(&one, &other);
    if (nart_tcp_adopt(rt, one, &sock) != 0 || send(other, "abc", 3, 0) != 3 ||
        shutdown(other, SHUT_WR) != 0 || nart_fiber_block_on(rt, echo, &sock, NULL, &answer) != 0)
        return 1;
    nart_rt_free(rt);
    return answer != 0 || recv(other, got, 3, MSG_WAITALL) != 3 || got[2] != 'c';
}
