/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The two tasks have the halves of one end of a connection; the other end sends back what it reads. */
#include "example.h"

#include <string.h>

/* DECLARATIONS */

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, reader_drop);
static const nart_task_type writer_type = NART_TASK_TYPE(struct writer, writer_run, writer_drop);

int main(void)
{
    nart_rt *rt = example_rt();
    nart_tcp s;
    struct reader r = { .total = 0 };
    struct writer w = { .text = "there and back" };
    nart_res answer = -1;
    char text[32];
    int mine, peer;

    example_tcp(&mine, &peer);
    if (nart_tcp_adopt(rt, mine, &s) || nart_tcp_split(&s, &r.in, &w.out, NULL) ||
        nart_rt_spawn(rt, &writer_type, &w, NULL))
        return 1;
    while (nart_rt_poll(rt, 0) > 0)
        ;
    for (ssize_t n;
         (n = read(peer, text, sizeof text)) > 0;) /* until the writer's half is closed */
        if (write(peer, text, (size_t)n) != n)
            return 1;
    close(peer);
    if (nart_block_on(rt, &reader_type, &r, &answer))
        return 1;
    nart_rt_free(rt);
    return answer != 14;
}
