/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "tls.h"

#include <string.h>
#include <sys/socket.h>

nart_tls_config *client_config, *server_config;
nart_tls client, server;
nart_tcp client_tcp, server_tcp;

enum { CONFIGS = 32 };

static nart_tls_config *configs[CONFIGS];
static int n_configs;
static char why[300];

/* ---- configurations ---- */

static nart_res try_config(const nart_tls_opts *given, nart_tls_config **out)
{
    nart_tls_opts opts = *given;

    opts.size = sizeof opts;
    opts.error = why;
    opts.error_len = sizeof why;
    memset(why, 'x', sizeof why);
    return nart_tls_config_new(&opts, out);
}

nart_tls_config *tls_config(const nart_tls_opts *given)
{
    CHECK(n_configs < CONFIGS);
    if (try_config(given, &configs[n_configs]) != 0)
        test_fail(__FILE__, __LINE__, "no configuration: %s", why);
    CHECK_STR(why, "");
    return configs[n_configs++];
}

const char *tls_refused(const nart_tls_opts *given)
{
    nart_tls_config *config = client_config;

    CHECK_RES(try_config(given, &config), -EINVAL);
    CHECK(config == NULL);
    return why;
}

void tls_open(void)
{
    if (test_under_valgrind())
        SKIP("valgrind takes what the ciphers' vector instructions write for uninitialised");
    both_open();
    CHECK_RES(test_tls_certs(&certs), 0);
    client_config = CONFIG(.ca = certs.ca.cert);
    server_config =
        CONFIG(.flags = NART_TLS_SERVER, .cert = certs.server.cert, .key = certs.server.key);
}

void tls_close_both(void)
{
    CHECK_RES(nart_tls_close(&client), 0);
    CHECK_RES(nart_tls_close(&server), 0);
    CHECK_RES(nart_tcp_close(&client_tcp), 0);
    CHECK_RES(nart_tcp_close(&server_tcp), 0);
}

void tls_close(void)
{
    tls_close_both();
    while (n_configs > 0)
        nart_tls_config_free(configs[--n_configs]);
    both_close();
}

/* ---- steps ---- */

static unsigned char pattern(size_t at)
{
    return (unsigned char)((at * 2654435761u) >> 13);
}

void tls_pattern(void *buf, size_t at, size_t n)
{
    unsigned char *p = buf;

    for (size_t i = 0; i < n; i++)
        p[i] = pattern(at + i);
}

static size_t part(const struct step_frame *f)
{
    size_t n = 1 + random_number() % (random_number() % 4 ? 600 : sizeof f->part),
           left = f->s.len - f->total;
    return n < left ? n : left;
}

static nart_res evaluate(nart_cx *cx, struct step_frame *f)
{
    struct step *s = &f->s;

    switch (s->what) {
    case CONNECT:
        return nart_tls_connect(cx, s->t, s->config, s->name, s->tcp);
    case ACCEPT:
        return nart_tls_accept(cx, s->t, s->config, s->tcp);
    case RECV:
        return nart_tls_recv(cx, s->t, s->buf, s->len);
    case RECV_STREAM:
        return nart_tls_recv(cx, s->t, f->part, f->n);
    case SEND:
        return nart_tls_send(cx, s->t, s->buf, s->len);
    case SEND_ALL:
        return nart_tls_send_all(cx, s->t, s->buf, s->len, s->done ? s->done : &f->done);
    case SEND_STREAM:
        return s->buf ? nart_tls_send(cx, s->t, f->part, f->n)
                      : nart_tls_send_all(cx, s->t, f->part, f->n, &f->done);
    case FLUSH:
        return nart_tls_flush(cx, s->t);
    case SHUTDOWN:
        return nart_tls_shutdown(cx, s->t);
    }
    return -EINVAL;
}

static nart_res step_poll(nart_cx *cx, void *frame)
{
    struct step_frame *f = frame;
    bool streams = f->s.what == RECV_STREAM || f->s.what == SEND_STREAM;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    do {
        f->n = part(f);
        if (f->s.what == SEND_STREAM)
            tls_pattern(f->part, f->total, f->n);
        if (f->s.limit)
            NART_AWAIT_FOR(r, f->s.limit, evaluate(cx, f));
        else
            NART_AWAIT(r, evaluate(cx, f));
        if (streams && r > 0) {
            for (size_t i = 0; f->s.what == RECV_STREAM && i < (size_t)r; i++)
                CHECK_EQ(f->part[i], pattern(f->total + i));
            f->total += (size_t)r;
        }
    } while (streams && r > 0 && f->total < f->s.len);
    if (f->s.what == SEND_STREAM && f->s.buf && r > 0)
        NART_AWAIT(r, nart_tls_flush(cx, f->s.t));
    if (f->s.what == RECV_STREAM && f->s.buf && r > 0)
        NART_AWAIT(r, nart_tls_send_all(cx, f->s.t, f->s.buf, 1, &f->done));
    if (streams && r >= 0)
        r = (nart_res)f->total;
    if (f->s.answer)
        *f->s.answer = r;
    NART_END(r);
}

const nart_task_type step_type = NART_TASK_TYPE(struct step_frame, step_poll, NULL);

nart_res step(struct step s)
{
    nart_res r = NART_PENDING;

    s.answer = &r;
    step_start(s);
    step_run();
    return r;
}

void step_start(struct step s)
{
    static struct step_frame f;

    f.s = s;
    CHECK_RES(nart_rt_spawn_boxed(loop, &step_type, &f, NULL), 0);
}

void step_run(void)
{
    CHECK_RES(nart_rt_run(loop), 0);
}

/* ---- connections ---- */

void tls_pair(void)
{
    int ends[2];

    tcp_pair(ends);
    CHECK_RES(nart_tcp_adopt(loop, ends[0], &client_tcp), 0);
    CHECK_RES(nart_tcp_adopt(loop, ends[1], &server_tcp), 0);
}

void tls_handshake(const nart_tls_config *c_config, const char *name,
                   const nart_tls_config *s_config, nart_res *c, nart_res *s)
{
    tls_pair();
    START(CONNECT, &client, c_config, name, &client_tcp, .answer = c);
    START(ACCEPT, &server, s_config, .tcp = &server_tcp, .answer = s);
    step_run();
}

void tls_connect(const nart_tls_config *c_config, const nart_tls_config *s_config)
{
    nart_res c = 1, s = 1;

    tls_handshake(c_config, "localhost", s_config, &c, &s);
    CHECK_RES(c, 0);
    CHECK_RES(s, 0);
}

void tls_connected(void)
{
    tls_connect(client_config, server_config);
}

void tls_pass(nart_tls *from, nart_tls *to, const char *text)
{
    char got[64] = "";
    size_t n = strlen(text);
    nart_res sent = 0, received = 0;

    START(SEND_ALL, from, .buf = (void *)(uintptr_t)text, .len = n, .answer = &sent);
    START(RECV, to, .buf = got, .len = sizeof got - 1, .answer = &received);
    step_run();
    CHECK_EQ(sent, n);
    CHECK_EQ(received, n);
    CHECK_STR(got, text);
}
