/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Writing to a stream, with and without a buffer, and ending it. */
#include "stream_test.h"

TEST_EACH(an_echo_of_lines, TCP, UNIX)
{
    OPEN(link, l, kind, 16);
    char line[16];

    link_send(&l, "hello\r\nworld\n");
    link_end(&l);
    for (;;) {
        const char *text = line_now(&l, 0);
        if (strcmp(text, "NART_EEOF") == 0)
            break;
        size_t n = strlen(text);
        memcpy(line, text, n);
        line[n] = '\n';
        CHECK_RES(OP_NOW(&l, do_write, .from = line, .len = n + 1), (nart_res)n + 1);
    }
    link_expect(&l, "hello\nworld\n");
    CHECK_RES(OP_NOW(&l, do_shutdown, .len = 0), 0);
    CHECK_EQ(recv(l.peer, line, 1, 0), 0);
}
