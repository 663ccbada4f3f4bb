/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TLS connections that are closed and moved, what is refused, and tasks on tokio. */
#include "tls.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- closing and moving ---- */

struct closer {
    nart_co co;
    nart_timer timer;
    nart_tls *t, *to;
};

static nart_res closer_run(nart_cx *cx, void *frame)
{
    struct closer *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_YIELD();
    if (f->to)
        nart_tls_move(f->to, f->t);
    else
        CHECK_RES(nart_tls_close(f->t), 0);
    NART_END(r);
}

static const nart_task_type closer_type = NART_TASK_TYPE(struct closer, closer_run, NULL);

TEST_WITH(closing_and_moving_wake_a_task_that_waits, tls)
{
    nart_res r = 0;
    char byte;
    nart_tls other = { 0 };

    tls_connected();
    START(RECV, &client, .buf = &byte, .len = 1, .answer = &r);
    CHECK_RES(
        nart_rt_spawn(loop, &closer_type, &(struct closer){ .t = &client, .to = &other }, NULL), 0);
    step_run();
    CHECK_RES(r, -EBADF);
    tls_pass(&other, &server, "moved");
    tls_pass(&server, &other, "moved");
    nart_tls_move(&other, &other);
    nart_tls_move(&client, &other);
    CHECK_RES(nart_tls_close(&other), 0);
    tls_pass(&client, &server, "and back");
    START(RECV, &client, .buf = &byte, .len = 1, .answer = &r);
    CHECK_RES(nart_rt_spawn(loop, &closer_type, &(struct closer){ .t = &client }, NULL), 0);
    step_run();
    CHECK_RES(r, -EBADF);
    CHECK_RES(STEP(RECV, &server, .buf = &byte, .len = 1), NART_ETLS_TRUNCATED);
    tls_pair();
    START(ACCEPT, &server, server_config, .tcp = &server_tcp,
          .answer = &r); /* open: other arguments */
    step_run();
    CHECK_RES(r, NART_ETLS_TRUNCATED);
    CHECK_RES(nart_tls_close(&server), 0);
    START(ACCEPT, &server, server_config, .tcp = &server_tcp, .answer = &r);
    CHECK_RES(nart_rt_spawn(loop, &closer_type, &(struct closer){ .t = &server }, NULL), 0);
    step_run();
    CHECK_RES(r, -EBADF);
}

TEST_WITH(a_runtime_is_freed_in_the_middle, tls)
{
    static unsigned char big[16 << 20];
    char byte;
    nart_tls third = { 0 };
    nart_tcp third_tcp = { 0 };

    tls_connected();
    int ends[2];
    tcp_pair(ends);
    CHECK_RES(nart_tcp_adopt(loop, ends[0], &third_tcp), 0);
    START(CONNECT, &third, client_config, "localhost", &third_tcp);
    START(RECV, &client, .buf = &byte, .len = 1);
    START(SEND_ALL, &client, .buf = big, .len = sizeof big);
    for (int i = 0; i < 10; i++)
        CHECK(nart_rt_poll(loop, 0) >= 0);
    CHECK_EQ(nart_rt_task_count(loop), 3);
    CHECK_RES(nart_rt_free(loop), 0);
    CHECK_RES(nart_tcp_fd(&client.tcp), NART_ESTALE);
    CHECK_STR(nart_tls_server_name(&client, NULL), "localhost"); /* still the caller's */
    CHECK_RES(nart_tls_close(&third), 0);
    CHECK_RES(nart_tls_close(&client), 0);
    nart_rt_opts opts = NART_RT_OPTS_INIT;
    CHECK_RES(nart_rt_new(&opts, &loop), 0);
    nart_res r = STEP(RECV, &server, .buf = &byte, .len = 1);
    CHECK(r == NART_ESTALE || r == NART_EDRIVER);
    r = STEP(SEND, &server, .buf = &byte, .len = 1);
    CHECK(r == NART_ESTALE || r == NART_EDRIVER);
    close(ends[1]);
}

/* ---- what is refused ---- */

TEST_WITH(operations_on_a_closed_connection, tls)
{
    char byte;
    size_t done = 0, len = 7;

    CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), -EBADF);
    CHECK_RES(STEP(SEND, &client, .buf = &byte, .len = 1), -EBADF);
    CHECK_RES(STEP(SEND_ALL, &client, .buf = &byte, .len = 1, .done = &done), -EBADF);
    CHECK_RES(STEP(FLUSH, &client), -EBADF);
    CHECK_RES(STEP(SHUTDOWN, &client), -EBADF);
    CHECK_RES(nart_tls_close(&client), 0);
    CHECK_RES(nart_tls_close(NULL), 0);
    CHECK(nart_tls_peer_cert(&client, 0, &len) == NULL && len == 0);
    CHECK_RES(nart_tls_version(&client), 0);
    CHECK(!nart_tls_resumed(&client));
}

TEST_WITH(arguments_that_are_refused, tls)
{
    char byte = 0;
    size_t done = 2;

    CHECK_RES(STEP(CONNECT, &client, client_config, "localhost", &client_tcp), -EBADF);
    tls_pair();
    CHECK_RES(STEP(CONNECT, &client, client_config, "localhost", NULL), -EINVAL);
    CHECK_RES(STEP(CONNECT, &client, NULL, "localhost", &client_tcp), -EINVAL);
    CHECK_RES(STEP(CONNECT, &client, client_config, NULL, &client_tcp), -EINVAL);
    CHECK_RES(STEP(CONNECT, &client, client_config, "a b", &client_tcp), -EINVAL);
    CHECK_RES(STEP(CONNECT, &client, client_config, "", &client_tcp), -EINVAL);
    CHECK_RES(STEP(CONNECT, &client, server_config, "localhost", &client_tcp), -EINVAL);
    CHECK_RES(STEP(CONNECT, NULL, client_config, "localhost", &client_tcp), -EINVAL);
    CHECK_RES(STEP(ACCEPT, &server, client_config, .tcp = &server_tcp), -EINVAL);
    CHECK_RES(STEP(ACCEPT, &server, NULL, .tcp = &server_tcp), -EINVAL);
    CHECK(nart_tcp_fd(&client_tcp) >= 0 && nart_tcp_fd(&server_tcp) >= 0); /* still the caller's */
    CHECK_RES(nart_tcp_close(&client_tcp), 0);
    CHECK_RES(nart_tcp_close(&server_tcp), 0);
    tls_connected();
    CHECK_RES(STEP(CONNECT, &client, client_config, "localhost", &client_tcp), -EISCONN);
    CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 0), -EINVAL);
    CHECK_RES(STEP(RECV, &client, .buf = NULL, .len = 1), -EINVAL);
    CHECK_RES(STEP(SEND, &client, .buf = &byte, .len = 0), 0);
    CHECK_RES(STEP(SEND, &client, .buf = NULL, .len = 1), -EINVAL);
    CHECK_RES(STEP(SEND_ALL, &client, .buf = &byte, .len = 1, .done = &done), -EINVAL);
    CHECK_RES(STEP(SEND_ALL, &client, .buf = &byte, .len = 0), 0);
}

TEST_WITH(configurations_that_are_refused, tls)
{
    static const nart_tls_cert half = { .cert = certs.server.cert };
    static const char *const empty[] = { "" }, *const none[] = { NULL };
    static const struct {
        nart_tls_opts opts;
        const char *text;
    } cases[] = {
        { { .flags = 16 }, "unknown bit 0x10" },
        { { .flags = NART_TLS_SERVER }, "a server needs cert and key" },
        { { .ca = "x" }, "ca contains no certificate" },
        { { .ca = certs.client.key }, "ca contains no certificate" },
        { { .ca_len = 1 }, "ca_len is not 0" },
        { { .ca_file = "/nonexistent" }, "ca_file /nonexistent cannot be read: No such file" },
        { { .ca = certs.ca.cert, .ca_file = "/x" }, "use one of them" },
        { { .cert = certs.client.cert }, "set both" },
        { { .key = certs.client.key }, "set both" },
        { { .cert = certs.client.cert, .key = certs.server.key }, "not the private key of cert" },
        { { .cert = certs.client.cert, .key = certs.client.cert }, "contains no private key" },
        { { .certs = &half, .n_certs = 1 }, "certs is for servers" },
        { { .flags = NART_TLS_SERVER,
            .cert = certs.server.cert,
            .key = certs.server.key,
            .certs = &half,
            .n_certs = 1 },
          "certs[0]: cert and key belong together" },
        { { .n_certs = 1 }, "n_certs is not 0" },
        { { .n_alpn = 1 }, "n_alpn is not 0" },
        { { .alpn = empty, .n_alpn = 1 }, "alpn has a name" },
        { { .alpn = none, .n_alpn = 1 }, "alpn has a name" },
        { { .flags = NART_TLS_CERT_OPTIONAL, .ca = certs.ca.cert }, "is for servers" },
        { { .flags = NART_TLS_SERVER | NART_TLS_PLATFORM_CA,
            .cert = certs.server.cert,
            .key = certs.server.key },
          "is for clients" },
        { { .flags = NART_TLS_SERVER | NART_TLS_CERT_OPTIONAL,
            .cert = certs.server.cert,
            .key = certs.server.key },
          "needs ca" },
    };
    nart_tls_opts opts = NART_TLS_OPTS_INIT;
    nart_tls_config *config = client_config;
    char why[8];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = tls_refused(&cases[i].opts);
        if (!strstr(text, cases[i].text))
            test_fail(__FILE__, __LINE__, "case %zu: %s", i, text);
    }
    opts.flags = 1u << 31;
    CHECK_RES(nart_tls_config_new(&opts, &config), -EINVAL); /* without a text */
    opts.error = why;
    opts.error_len = sizeof why;
    CHECK_RES(nart_tls_config_new(&opts, NULL), -EINVAL);
    CHECK_STR(why, "config ");
    opts.size = 3;
    config = client_config;
    CHECK_RES(nart_tls_config_new(&opts, &config), NART_EABI);
    CHECK(config == NULL);
    nart_tls_config_free(NULL);
}

/* ---- files ---- */

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

TEST_WITH(certificates_are_read_from_files, tls)
{
    char ca[] = "/tmp/nart-test-ca-XXXXXX", cert[] = "/tmp/nart-test-cert-XXXXXX",
         key[] = "/tmp/nart-test-key-XXXXXX";

    write_file(ca, certs.ca.cert);
    write_file(cert, certs.server.cert);
    write_file(key, certs.server.key);
    nart_tls_config *c = CONFIG(.ca_file = ca),
                    *s = CONFIG(.flags = NART_TLS_SERVER, .cert_file = cert, .key_file = key);
    nart_tls_config *measured = CONFIG(.ca = certs.ca.cert, .ca_len = strlen(certs.ca.cert));
    unlink(ca);
    unlink(cert);
    unlink(key);
    tls_connect(c, s);
    tls_close_both();
    tls_connect(measured, s);
}

TEST_WITH(a_configuration_is_freed_before_its_connections, tls)
{
    nart_tls_opts opts = NART_TLS_OPTS_INIT;
    nart_tls_config *c = NULL;
    nart_res r[2] = { 1, 1 };

    opts.ca = certs.ca.cert;
    CHECK_RES(nart_tls_config_new(&opts, &c), 0);
    tls_pair();
    CHECK_RES(STEP(CONNECT, &client, c, "localhost", &client_tcp, .limit = 1), -ETIMEDOUT);
    nart_tls_config_free(c);
    START(CONNECT, &client, .answer = &r[0]);
    START(ACCEPT, &server, server_config, .tcp = &server_tcp, .answer = &r[1]);
    step_run();
    CHECK_RES(r[0], 0);
    CHECK_RES(r[1], 0);
    tls_pass(&client, &server, "question");
}

/* ---- on tokio ---- */

struct echo {
    nart_co co;
    int fd;
    nart_tcp tcp;
    nart_tls tls;
    size_t done, n, total;
    char buf[3000];
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    r = nart_tcp_adopt_here(cx, f->fd, &f->tcp);
    if (r < 0)
        NART_RETURN(r);
    NART_AWAIT(r, nart_tls_accept(cx, &f->tls, server_config, &f->tcp));
    while (r >= 0) {
        NART_AWAIT(r, nart_tls_recv(cx, &f->tls, f->buf, sizeof f->buf));
        if (r <= 0)
            break;
        f->n = (size_t)r;
        f->total += f->n;
        NART_AWAIT(r, nart_tls_send_all(cx, &f->tls, f->buf, f->n, &f->done));
    }
    if (r == 0)
        NART_AWAIT(r, nart_tls_shutdown(cx, &f->tls));
    NART_END(r < 0 ? r : (nart_res)f->total);
}

static void echo_drop(void *frame)
{
    struct echo *f = frame;

    nart_tls_close(&f->tls);
    nart_tcp_close(&f->tcp);
}

static const nart_task_type echo_type =
    NART_TASK_TYPE_FLAGS(struct echo, echo_run, echo_drop, NART_TASK_SEND);

TEST_WITH(the_same_task_serves_on_the_loop_and_on_tokio, tls)
{
    enum { N = 1 << 20 };
    int ends[2];
    char byte;
    int64_t value = 0;
    nart_tokio_op op = { 0 };
    nart_res r[3];

    for (int i = 0; i < 2; i++) {
        tcp_pair(ends);
        struct echo e = { .fd = ends[1] };
        if (i == 0)
            CHECK_RES(nart_rt_spawn_boxed(loop, &echo_type, &e, NULL), 0);
        else
            CHECK_RES(nart_tokio_spawn_task(bridge, &echo_type, &e, &op), 0);
        CHECK_RES(nart_tcp_adopt(loop, ends[0], &client_tcp), 0);
        r[0] = 1;
        START(CONNECT, &client, client_config, "localhost", &client_tcp, .answer = &r[0]);
        while (r[0] != 0) {
            CHECK(nart_rt_poll(loop, NART_MS) >= 0);
        }
        START(SEND_STREAM, &client, .len = N, .answer = &r[1]);
        START(RECV_STREAM, &client, .len = N, .answer = &r[2]);
        r[1] = r[2] = 0;
        while (r[1] == 0 || r[2] == 0)
            CHECK(nart_rt_poll(loop, NART_MS) >= 0);
        CHECK_EQ(r[1], N);
        CHECK_EQ(r[2], N);
        CHECK_RES(STEP(SHUTDOWN, &client), 0);
        CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), 0);
        tls_close_both();
    }
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, N);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_task_on_tokio_is_cancelled, tls)
{
    int ends[2];
    char byte;
    nart_tokio_op op = { 0 };

    for (int i = 0; i < 2; i++) { /* in the handshake, and later */
        tcp_pair(ends);
        CHECK_RES(nart_tokio_spawn_task(bridge, &echo_type, &(struct echo){ .fd = ends[1] }, &op),
                  0);
        CHECK_RES(nart_tcp_adopt(loop, ends[0], &client_tcp), 0);
        if (i == 1) {
            CHECK_RES(STEP(CONNECT, &client, client_config, "localhost", &client_tcp), 0);
            CHECK_RES(STEP(SEND, &client, .buf = "x", .len = 1), 1);
            CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), 1);
        }
        nart_tokio_op_cancel(&op);
        CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
        nart_tokio_op_close(&op);
        if (i == 1)
            CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), NART_ETLS_TRUNCATED);
        tls_close_both();
    }
}
