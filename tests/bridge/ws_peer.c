/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ws_peer.h"

void ws_accept_key(const char *head, char accept[29])
{
    char text[64] = "";
    const char *key = strstr(head, "sec-websocket-key: ");

    CHECK(key != NULL);
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    test_ws_accept(text, accept);
}
