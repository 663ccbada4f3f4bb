/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TLS connections to and from OpenSSL: its command, and tls_peer.py. */
#include "tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the other side ---- */

static char folder[32];

/* The fixture `peers`: as `tls`, and the certificates in a folder. */
static void peers_open(void)
{
    tls_open();
    certs_folder_open(folder);
}

static void peers_close(void)
{
    certs_folder_close(folder);
    tls_close();
}

static FILE *start(const char *command)
{
    nart_tokio_child_signals(true);
    FILE *peer = popen(command, "r");
    nart_tokio_child_signals(false);
    CHECK(peer != NULL);
    return peer;
}

/* Reads a line of the other side. */
static const char *line_of(FILE *peer)
{
    static char line[200];

    CHECK(fgets(line, sizeof line, peer) != NULL);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static void expect(FILE *peer, const char *line)
{
    CHECK_STR(line_of(peer), line);
}

static void ended(FILE *peer)
{
    CHECK_EQ(pclose(peer), 0);
}

static FILE *peer_serves(const char *options, uint16_t *port)
{
    char command[200];

    snprintf(command, sizeof command, "%s %s serve %s %s", NART_TEST_PYTHON, NART_TEST_TLS_PEER,
             folder, options);
    FILE *peer = start(command);
    *port = (uint16_t)atoi(line_of(peer));
    return peer;
}

static int listener;

static FILE *peer_connects(const char *options)
{
    char command[200];

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(command, sizeof command, "%s %s connect %s %d %s", NART_TEST_PYTHON,
             NART_TEST_TLS_PEER, folder, listen_locally(listener, 4), options);
    return start(command);
}

/* ---- this side ---- */

static nart_res connect_to(uint16_t port, const nart_tls_config *config)
{
    CHECK_RES(nart_tcp_adopt(loop, connect_locally(port), &client_tcp), 0);
    return STEP(CONNECT, &client, config, "localhost", &client_tcp);
}

static nart_res accept_from_peer(const nart_tls_config *config)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_RES(nart_tcp_adopt(loop, fd, &server_tcp), 0);
    return STEP(ACCEPT, &server, config, .tcp = &server_tcp);
}

/* Sends and receives the pattern at the same time, ends the stream, and reads "bye". */
static void talk(void)
{
    enum { N = 1 << 20 };
    nart_res r[2] = { 0 };
    char got[8] = "";
    size_t n = 0;

    START(SEND_STREAM, &client, .len = N, .answer = &r[0]);
    START(RECV_STREAM, &client, .len = N, .answer = &r[1]);
    step_run();
    CHECK_EQ(r[0], N);
    CHECK_EQ(r[1], N);
    CHECK_RES(STEP(SHUTDOWN, &client), 0);
    while (n < 3) {
        nart_res k = STEP(RECV, &client, .buf = got + n, .len = sizeof got - n);
        CHECK(k > 0);
        n += (size_t)k;
    }
    CHECK_STR(got, "bye");
}

static nart_res echo_answer;

struct echo {
    nart_co co;
    size_t done, n;
    char buf[20000];
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_tls_recv(cx, &server, f->buf, sizeof f->buf));
        if (r <= 0)
            break;
        f->n = (size_t)r;
        NART_AWAIT(r, nart_tls_send_all(cx, &server, f->buf, f->n, &f->done));
        if (r < 0)
            break;
    }
    echo_answer = r;
    NART_END(r);
}

static const nart_task_type echo_type = NART_TASK_TYPE(struct echo, echo_run, NULL);

/* Echoes until the client ends its stream. */
static nart_res echo(void)
{
    static const struct echo init;

    CHECK_RES(nart_rt_spawn_boxed(loop, &echo_type, &init, NULL), 0);
    step_run();
    return echo_answer;
}

/* ---- a client of a server of OpenSSL ---- */

static void client_talks(const char *options, nart_tls_config *config, const char *line)
{
    uint16_t port;
    char byte;

    FILE *peer = peer_serves(options, &port);
    CHECK_RES(connect_to(port, config), 0);
    talk();
    CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1),
              strstr(options, "cut") ? NART_ETLS_TRUNCATED : 0);
    tls_close_both();
    expect(peer, line);
    ended(peer);
}

TEST_WITH(a_client_of_openssl, peers)
{
    static const char *const names[] = { "h2", "http/1.1" };
    nart_tls_config *more = CONFIG(.ca = certs.ca.cert, .cert = certs.client.cert,
                                   .key = certs.client.key, .alpn = names, .n_alpn = 2);

    client_talks("", client_config, "TLSv1.3 alpn None name localhost cert False resumed False");
    client_talks("1.2", client_config, "TLSv1.2 alpn None name localhost cert False resumed False");
    client_talks("cert alpn=smtp,http/1.1", more,
                 "TLSv1.3 alpn http/1.1 name localhost cert True resumed False");
    client_talks("1.2 cert alpn=http/1.1,h2", more,
                 "TLSv1.2 alpn http/1.1 name localhost cert True resumed False");
}

TEST_WITH(a_server_of_openssl_cuts_the_stream_off, peers)
{
    client_talks("cut", client_config, "TLSv1.3 alpn None name localhost cert False resumed False");
    client_talks("1.2 cut", client_config,
                 "TLSv1.2 alpn None name localhost cert False resumed False");
}

TEST_WITH(a_session_of_openssl_is_resumed, peers)
{
    static const char *const versions[] = { "again", "again 1.2" };
    uint16_t port;
    char byte;

    for (int i = 0; i < 2; i++) {
        nart_tls_config *config = CONFIG(.ca = certs.ca.cert); /* with its own sessions */
        FILE *peer = peer_serves(versions[i], &port);
        for (int k = 0; k < 2; k++) {
            CHECK_RES(connect_to(port, config), 0);
            CHECK_EQ(nart_tls_version(&client), i == 0 ? 0x0304 : 0x0303);
            CHECK_EQ(nart_tls_resumed(&client), k == 1);
            talk();
            CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), 0);
            tls_close_both();
            CHECK(strstr(line_of(peer), k == 1 ? "resumed True" : "resumed False") != NULL);
        }
        ended(peer);
    }
}

TEST_WITH(a_server_of_openssl_refuses_or_is_refused, peers)
{
    uint16_t port;
    char byte;

    FILE *peer = peer_serves("cert", &port);
    CHECK_RES(connect_to(port, client_config), 0);
    nart_res r = STEP(RECV, &client, .buf = &byte, .len = 1);
    CHECK_RES(r, NART_ETLS);
    CHECK(strstr(nart_tls_error(&client), "CertificateRequired") != NULL);
    tls_close_both();
    expect(peer, "failed PEER_DID_NOT_RETURN_A_CERTIFICATE");
    ended(peer);
    peer = peer_serves("", &port);
    CHECK_RES(connect_to(port, CONFIG(.ca = certs.other_ca.cert)), NART_ETLS);
    expect(peer, "failed TLSV1_ALERT_UNKNOWN_CA");
    ended(peer);
}

/* ---- a server of a client of OpenSSL ---- */

static void server_talks(const char *options, nart_tls_config *config, const char *line)
{
    FILE *peer = peer_connects(options);

    CHECK_RES(accept_from_peer(config), 0);
    CHECK_STR(nart_tls_server_name(&server, NULL), "localhost");
    CHECK_RES(echo(), strstr(options, "cut") ? NART_ETLS_TRUNCATED : 0);
    if (!strstr(options, "cut"))
        CHECK_RES(STEP(SHUTDOWN, &server), 0);
    tls_close_both();
    expect(peer, line);
    ended(peer);
    close(listener);
}

TEST_WITH(a_server_of_openssls_client, peers)
{
    static const char *const names[] = { "h2", "http/1.1" };
    nart_tls_config *more = SERVER_CONFIG(.ca = certs.ca.cert, .alpn = names, .n_alpn = 2);

    server_talks("", server_config, "TLSv1.3 alpn None name None cert True resumed False");
    server_talks("1.2", server_config, "TLSv1.2 alpn None name None cert True resumed False");
    server_talks("cert alpn=http/1.1,h2", more,
                 "TLSv1.3 alpn h2 name None cert True resumed False");
    server_talks("1.2 cert alpn=http/1.1", more,
                 "TLSv1.2 alpn http/1.1 name None cert True resumed False");
}

TEST_WITH(a_client_of_openssl_cuts_the_stream_off, peers)
{
    server_talks("cut", server_config, "TLSv1.3 alpn None name None cert True resumed False");
    server_talks("1.2 cut", server_config, "TLSv1.2 alpn None name None cert True resumed False");
}

TEST_WITH(openssl_resumes_a_session, peers)
{
    static const char *const versions[] = { "again", "again 1.2" };

    for (int i = 0; i < 2; i++) {
        FILE *peer = peer_connects(versions[i]);
        for (int k = 0; k < 2; k++) {
            CHECK_RES(accept_from_peer(server_config), 0);
            CHECK_EQ(nart_tls_resumed(&server), k == 1);
            CHECK_RES(echo(), 0);
            CHECK_RES(STEP(SHUTDOWN, &server), 0);
            tls_close_both();
            CHECK(strstr(line_of(peer), k == 1 ? "resumed True" : "resumed False") != NULL);
        }
        ended(peer);
        close(listener);
    }
}

TEST_WITH(a_client_of_openssl_without_a_certificate, peers)
{
    FILE *peer = peer_connects("1.2");

    CHECK_RES(accept_from_peer(SERVER_CONFIG(.ca = certs.ca.cert)), NART_ETLS);
    CHECK(*nart_tls_error(&server) != '\0');
    tls_close_both();
    CHECK(strncmp(line_of(peer), "failed ", 7) == 0);
    ended(peer);
    close(listener);
}

/* ---- the command ---- */

TEST_WITH(the_command_openssl_as_a_server, peers)
{
    char command[300], got[16] = "";
    size_t n = 0;

    snprintf(command, sizeof command,
             "openssl s_server -accept 127.0.0.1:0 -cert %s/server.pem -key %s/server.key -rev"
             " -naccept 1 2>&1 < /dev/null",
             folder, folder);
    FILE *peer = start(command);
    const char *port;
    do
        port = line_of(peer);
    while (strncmp(port, "ACCEPT", 6) != 0);
    CHECK_RES(connect_to((uint16_t)atoi(strrchr(port, ':') + 1), client_config), 0);
    CHECK_RES(STEP(SEND, &client, .buf = "abc\n", .len = 4), 4);
    while (n < 4) {
        nart_res k = STEP(RECV, &client, .buf = got + n, .len = sizeof got - n);
        CHECK(k > 0);
        n += (size_t)k;
    }
    CHECK_STR(got, "cba\n");
    CHECK_RES(STEP(SHUTDOWN, &client), 0);
    tls_close_both();
    while (fgets(command, sizeof command, peer))
        ;
    pclose(peer);
}

TEST_WITH(the_command_openssl_as_a_client, peers)
{
    char command[300], got[16] = "";

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(command, sizeof command,
             "echo hello | openssl s_client -connect 127.0.0.1:%d -CAfile %s/ca.pem -quiet"
             " -verify_return_error -verify_quiet -servername localhost",
             listen_locally(listener, 1), folder);
    FILE *peer = start(command);
    CHECK_RES(accept_from_peer(server_config), 0);
    CHECK_RES(STEP(RECV, &server, .buf = got, .len = sizeof got), 6);
    CHECK_STR(got, "hello\n");
    CHECK_RES(STEP(SEND, &server, .buf = "good day\n", .len = 9), 9);
    CHECK_RES(STEP(SHUTDOWN, &server), 0);
    expect(peer, "good day");
    ended(peer);
    close(listener);
}
