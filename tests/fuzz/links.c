/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* links.c: see links.h. Bytes are numbered in each direction, and each has the value of its number modulo PRIME; a message
 * has its number at the beginning. */
#include "links.h"

#include "runtime.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool links_freeing;
unsigned char links_pattern[PRIME + (1 << 17)];
int links_file; /* that holds it */

/* ---- ends ---- */

static struct hand *hand_new(struct link *l)
{
    struct hand *h = calloc(1, sizeof *h);

    CHECK(h);
    h->next = l->all;
    l->all = h;
    return h;
}

static void hand_close(const struct link *l, struct hand *h)
{
    h->closed = true;
    CHECK_RES(l->kind == TCP ? nart_tcp_close(&h->u.conn) : nart_unix_close(&h->u), 0);
    CHECK_RES(nart_unix_dgram_close(&h->d), 0);
    CHECK_RES(nart_udp_close(&h->udp), 0);
    CHECK_RES(nart_fd_close(&h->in), 0);
    CHECK_RES(nart_fd_close(&h->out), 0);
}

static void end_gone(struct link *l, uint32_t end)
{
    l->last[end] = l->ends[end];
    l->ends[end] = NULL;
    l->broken = true;
}

void link_end_close(struct link *l, uint32_t end)
{
    if (!l->ends[end])
        return;
    hand_close(l, l->ends[end]);
    end_gone(l, end);
}

static nart_res end_fd(const struct link *l, uint32_t end)
{
    struct hand *h = l->ends[end];

    return is_conn(l)             ? nart_tcp_fd(&h->u.conn)
           : l->kind == DATAGRAMS ? nart_unix_dgram_fd(&h->d)
           : l->kind == UDP       ? nart_udp_fd(&h->udp)
                                  : nart_fd_fd(&h->out);
}

static void tcp_pair(nart_rt *rt, struct hand *a, struct hand *b)
{
    nart_tcp_listener l;
    nart_addr at;
    int fd;

    CHECK_RES(nart_addr_parse(&at, "127.0.0.1:0"), 0);
    CHECK_RES(nart_tcp_listen(rt, &at, NULL, &l), 0);
    CHECK_RES(nart_tcp_listener_addr(&l, &at), 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&at.storage, at.len), 0);
    CHECK_RES(nart_tcp_adopt(rt, fd, &a->u.conn), 0);
    fd = accept4((int)nart_tcp_listener_fd(&l), NULL, NULL, SOCK_CLOEXEC);
    CHECK_RES(nart_tcp_adopt(rt, fd, &b->u.conn), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
}

void links_begin(void)
{
    for (size_t i = 0; i < sizeof links_pattern; i++)
        links_pattern[i] = (unsigned char)(i % PRIME);
    links_file = memfd_create("pattern", MFD_CLOEXEC);
    CHECK_EQ(write(links_file, links_pattern, sizeof links_pattern), sizeof links_pattern);
}

void links_end(void)
{
    close(links_file);
}

void link_open(nart_rt *rt, struct link *l, uint32_t kind, uint64_t *random)
{
    static const char *const any[] = { "unix:", "127.0.0.1:0" };
    nart_udp_opts o = NART_UDP_OPTS_INIT;
    nart_addr at[2];

    *l = (struct link){ .rt = rt, .kind = kind };
    struct hand *a = l->ends[0] = hand_new(l), *b = l->ends[1] = hand_new(l);
    if (kind == TCP)
        tcp_pair(rt, a, b);
    else if (kind == STREAM || kind == PACKETS)
        CHECK_RES(nart_unix_pair(rt, kind == PACKETS ? NART_UNIX_SEQPACKET : 0, &a->u, &b->u), 0);
    if (kind == PIPES) {
        CHECK_RES(nart_pipe_open(rt, &a->in, &b->out), 0);
        CHECK_RES(nart_pipe_open(rt, &b->in, &a->out), 0);
    }
    for (uint32_t i = 0; i < 2 && of_datagrams(l); i++) {
        struct hand *h = l->ends[i];
        CHECK_RES(nart_addr_parse(&at[i], any[kind == UDP]), 0);
        o.flags = random_below(random, 2) ? NART_UDP_GRO : 0;
        l->gro[i] = kind == UDP && o.flags;
        CHECK_RES(kind == UDP ? nart_udp_open(rt, &at[i], &o, &h->udp)
                              : nart_unix_dgram_open(rt, &at[i], NULL, &h->d),
                  0);
        CHECK_RES(kind == UDP ? nart_udp_local_addr(&h->udp, &at[i])
                              : nart_unix_dgram_local_addr(&h->d, &at[i]),
                  0);
    }
    for (uint32_t i = 0; i < 2 && of_datagrams(l); i++)
        CHECK_RES(kind == UDP ? nart_udp_connect(&l->ends[i]->udp, &at[1 - i])
                              : nart_unix_dgram_connect(&l->ends[i]->d, &at[1 - i]),
                  0);
    for (uint32_t i = 0; i < 2 && kind != PIPES; i++)
        if (random_below(random, 2)) {
            CHECK_RES(nart_sock_set_sndbuf(end_fd(l, i), 4096), 0);
            if (kind != UDP && kind != TCP) /* whose window would then close for long */
                CHECK_RES(nart_sock_set_rcvbuf(end_fd(l, i), 4096), 0);
        }
}

/* Another handle for the same end. */
static void end_move(struct link *l, uint32_t end)
{
    struct hand *h = hand_new(l), *old = l->ends[end];

    if (l->kind == TCP)
        nart_tcp_move(&h->u.conn, &old->u.conn);
    else if (is_conn(l))
        nart_unix_move(&h->u, &old->u);
    else if (l->kind == DATAGRAMS)
        nart_unix_dgram_move(&h->d, &old->d);
    else if (l->kind == UDP)
        nart_udp_move(&h->udp, &old->udp);
    old->closed = true;
    l->ends[end] = h;
}

static void fd_again(nart_rt *rt, nart_fd *to, nart_fd *from)
{
    nart_res fd = nart_fd_detach(from);

    if (fd >= 0)
        CHECK_RES(nart_fd_open(rt, (int)fd, 0, to), 0);
}

/* The same by another registration. */
static void end_adopt(struct link *l, uint32_t end)
{
    struct hand *h = hand_new(l), *old = l->ends[end];
    int fd;

    if (l->kind == PIPES) {
        fd_again(l->rt, &h->in, &old->in);
        fd_again(l->rt, &h->out, &old->out);
    } else if (l->kind == TCP) {
        CHECK_RES(nart_tcp_detach(&old->u.conn, &fd, NULL, 0, NULL), 0);
        CHECK_RES(nart_tcp_adopt(l->rt, fd, &h->u.conn), 0);
    } else if (l->kind == DATAGRAMS) {
        CHECK_RES(nart_unix_dgram_detach(&old->d, &fd), 0);
        CHECK_RES(nart_unix_dgram_adopt(l->rt, fd, &h->d), 0);
    } else {
        CHECK_RES(nart_udp_detach(&old->udp, &fd), 0);
        CHECK_RES(nart_udp_adopt(l->rt, fd, &h->udp), 0);
    }
    old->closed = true;
    l->ends[end] = h;
}

void link_deed(struct link *l, uint32_t end, uint32_t what, uint64_t *random)
{
    struct hand *h = l->ends[end];

    if (!h)
        return;
    if (what == 1) {
        link_end_close(l, end);
    } else if (what == 2 && l->kind == TCP) {
        h->closed = true;
        CHECK_RES(nart_tcp_reset(&h->u.conn), 0);
        end_gone(l, end);
    } else if ((what == 3 || what == 4) && is_conn(l)) {
        uint32_t dirs =
            what == 3 ? NART_WRITE : NART_READ | (random_below(random, 2) ? NART_WRITE : 0);
        nart_res r =
            l->kind == TCP ? nart_tcp_shutdown(&h->u.conn, dirs) : nart_unix_shutdown(&h->u, dirs);
        EXPECT(r == 0 || (r == -ENOTCONN && (l->broken || l->ways[end].ended)), "%s",
               nart_err_name(r));
        l->ways[end].ended |= r == 0 && dirs & NART_WRITE;
        l->broken |= dirs & NART_READ;
        l->stopped[end] |= dirs & NART_READ && r == 0;
    } else if (what < 8 && l->kind != PIPES) {
        end_move(l, end);
    } else if (what < 11 && l->kind != STREAM && l->kind != PACKETS && !l->broken) {
        end_adopt(l, end);
    } else if (is_conn(l)) {
        nart_res r = nart_tcp_error(&h->u.conn);
        EXPECT(r == 0 || (l->broken && (!l->error[end] || r == l->error[end])), "%s",
               nart_err_name(r));
    }
}

bool link_rescue(struct link *l)
{
    for (uint32_t i = 0; i < 2; i++)
        if (of_datagrams(l) && l->ends[i] && !l->ends[1 - i]) {
            link_end_close(l, i);
            return true;
        }
    return false;
}

void link_check(const struct link *l)
{
    for (int i = 0; i < 2 && !l->broken; i++) {
        const struct way *w = &l->ways[i];
        EXPECT(w->sent == w->received || (l->kind == UDP && w->received < w->sent),
               "kind %u: %" PRIu64 " were sent, %" PRIu64 " received", l->kind, w->sent,
               w->received);
    }
}

void link_close(struct link *l)
{
    for (struct hand *h = l->all; h; h = h->next)
        hand_close(l, h);
    for (uint32_t i = 0; i < 2; i++)
        if (l->ends[i])
            end_gone(l, i);
}

void link_free(struct link *l)
{
    while (l->all) {
        struct hand *h = l->all;
        l->all = h->next;
        free(h);
    }
}

void link_print(const struct link *l)
{
    printf("kind %u, %s\n", l->kind, l->broken ? "broken" : "whole");
    for (int i = 0; i < 2; i++)
        printf("  end %d: %s, error %s, sent %" PRIu64 "%s, received there %" PRIu64 "%s\n", i,
               l->ends[i] ? "open" : "closed", nart_err_name(l->error[i]), l->ways[i].sent,
               l->ways[i].ended ? " and ended" : "", l->ways[i].received,
               l->ways[i].done ? " and done" : "");
}
