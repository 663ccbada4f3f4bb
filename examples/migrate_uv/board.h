/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* board.h: what the server does, without how it receives and sends. The same in all stages.
 *
 *   PING               PONG
 *   SUB <topic>        OK: this client gets a line MSG <topic> <text> for each PUB to the topic
 *   PUB <topic> <text> OK <n>: the number of clients that got it
 *
 * The server itself publishes 1, 2, 3 ... to the topic "beat". */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINE = 128,  /* the longest line, with its end */
    QUEUE = 256, /* lines that wait for a client; one that has more is too slow, and is closed */
    TOPIC = 32
};

/* A client. */
struct member {
    struct member *next;
    char topic[TOPIC];
    size_t len; /* the bytes in `in` */
    char in[LINE];
};

/* Each stage defines it. Queues a line for the client, or closes the client. Does not wait. */
void deliver(struct member *m, const char *line);

/* The program's arguments: how long a client may send nothing, and between two beats. What is omitted stays. False: an
 * argument is no number of milliseconds above 0, which it has reported. */
bool board_times(int argc, char **argv, uint64_t *idle_ms, uint64_t *beat_ms);

void board_join(struct member *m);
void board_leave(struct member *m); /* fine if it has left */
struct member *board_first(void);

/* Executes the next complete line of the input. False: there is none. */
bool board_line(struct member *m, char reply[LINE]);

/* Is the input full without a complete line? */
bool board_is_stuck(const struct member *m);

void board_beat(unsigned number);

#endif
