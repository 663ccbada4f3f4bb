/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* room.h: the room of the two chat programs. All that is said in it is a broadcast, whose ring keeps the last
 * lines: a client that lags behind by more is dropped, and so nobody waits for it. */
#ifndef ROOM_H
#define ROOM_H

#include <nart/nart.h>

#define ROOM_TEXT 512              /* the longest line that a client sends, with its newline */
#define ROOM_LINE (ROOM_TEXT + 64) /* and the longest that it receives */
#define ROOM_BATCH ((size_t)16 * ROOM_LINE) /* lines that are sent at once */

struct line {
    uint32_t from, len;
    char text[ROOM_LINE];
};

struct guest {
    uint32_t id;
    char nick[16];
    nart_broadcast_rx lines;
};

/* Opens and closes the room. Guests receive what was said before the close, and then NART_ECLOSED. */
nart_res room_open(nart_rt *rt, const char *unused);
void room_close(void);

/* A guest joins, and leaves, with the answer of its task. */
nart_res room_join(struct guest *g);
void room_leave(struct guest *g, nart_res r);

/* Obeys a line of the guest, a string: /nick NAME, /quit, or something that it says. True for /quit. */
bool room_obey(struct guest *g, char *text);

/* Writes a line that was received, and those behind it, to `out`, except what the guest said itself. Returns their
 * length. */
size_t room_collect(struct guest *g, struct line *line, char out[ROOM_BATCH]);

#endif
