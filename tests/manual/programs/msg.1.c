/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The datagram comes from this program. */
#include "example.h"

#include <netinet/in.h>
#include <string.h>

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = example_rt();
    struct hop h = { .ttl = 0 };
    nart_addr at;
    nart_res n = -1;
    int on = 1, ttl = 7, from = socket(AF_INET, SOCK_DGRAM, 0);
    const nart_task_type type = NART_TASK_TYPE(struct hop, hop_run, NULL);

    if (nart_addr_parse(&at, "127.0.0.1:0") != 0 || nart_udp_open(rt, &at, NULL, &h.sock) != 0 ||
        nart_udp_local_addr(&h.sock, &at) != 0 ||
        setsockopt((int)nart_udp_fd(&h.sock), IPPROTO_IP, IP_RECVTTL, &on, sizeof on) != 0 ||
        setsockopt(from, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl) != 0 ||
        sendto(from, "x", 1, 0, (struct sockaddr *)&at.storage, at.len) != 1)
        return 1;
    if (nart_block_on(rt, &type, &h, &n) != 0 || n != 1)
        return 1;
    nart_rt_free(rt);
    return 0;
}
