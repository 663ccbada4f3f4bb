/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* links.h: connections whose two ends are in one program, and random operations on them (links.c). */
#ifndef NART_TEST_LINKS_H
#define NART_TEST_LINKS_H

#include <nart/pipe.h>
#include <nart/socket.h>

#include "test.h"

#include <inttypes.h>

/* Byte i of a direction has this value: i modulo PRIME. */
enum { PRIME = 251 };
extern unsigned char links_pattern[PRIME + (1 << 17)];
extern int links_file; /* that holds it */

#define EXPECT(cond, ...) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, __VA_ARGS__))

enum { TCP, STREAM, PACKETS, DATAGRAMS, UDP, PIPES, KINDS };

/* A handle, or two of a pipe. It stays where it is until the end: a task may wait in it. */
struct hand {
    struct hand *next;
    bool closed;
    nart_unix u; /* of TCP: its `conn` */
    nart_unix_dgram d;
    nart_udp udp;
    nart_fd in, out;
};

/* What travels from an end to the other one. */
struct way {
    uint64_t sent, received; /* bytes, or messages */
    bool ended;              /* nothing more is sent */
    bool done;               /* the reader has ended */
    bool cut;                /* the reader may get less */
};

struct link {
    nart_rt *rt;
    uint32_t kind;
    struct hand *ends[2], *last[2], *all;
    struct way ways[2]; /* [i]: sent by end i */
    bool broken;        /* an end was closed or reset, or a direction shut down from outside */
    bool gro[2], stopped[2];
    nart_res error[2]; /* with which the connection of this end has failed */
};

static inline bool is_conn(const struct link *l)
{
    return l->kind == TCP || l->kind == STREAM || l->kind == PACKETS;
}

static inline bool of_bytes(const struct link *l)
{
    return l->kind == TCP || l->kind == STREAM || l->kind == PIPES;
}

static inline bool of_datagrams(const struct link *l)
{
    return l->kind == DATAGRAMS || l->kind == UDP;
}

/* An operation of one task, again and again. */
struct op {
    struct link *link;
    uint32_t end, what;
    bool reads, over, cancelled, last;
    uint64_t random;
    uint32_t left;
    struct hand *hand;
    size_t len, done, n, cap;
    int32_t source, feeder; /* plus one */
    int fds[3];
    nart_fd pipe;
    nart_tcp_writer writer;
    nart_msg m;
    struct iovec pieces[8];
    uint64_t control[16];
    nart_udp_msg msgs[5];
    unsigned char *buf;
};

extern bool links_freeing; /* any answer is right */

void links_begin(void);
void links_end(void);
void link_open(nart_rt *rt, struct link *l, uint32_t kind, uint64_t *random);
void link_deed(struct link *l, uint32_t end, uint32_t what, uint64_t *random);
/* Nothing happens: closes an end of datagrams whose other end is closed, as the kernel does not report that. */
bool link_rescue(struct link *l);
void link_check(const struct link *l);
void link_end_close(struct link *l, uint32_t end);
void link_close(struct link *l);
void link_free(struct link *l);
void link_print(const struct link *l);

void op_init(struct op *o, struct link *l, uint32_t end, bool reads, uint64_t random);
uint32_t op_pick(struct op *o, uint32_t n);
bool op_more(const struct op *o);
void op_begin(struct op *o);
nart_res op_call(nart_cx *cx, struct op *o);
/* `late`: a deadline or a sleep may have ended it. `earlier`: it has answered earlier. */
void op_end(struct op *o, nart_res r, bool late, bool earlier);
void op_over(struct op *o);

#endif
