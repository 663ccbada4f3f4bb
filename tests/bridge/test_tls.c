/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TLS connections between two tasks of a loop: the handshake, trust, sessions, and the ends of streams. */
#include "tls.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the handshake ---- */

TEST_WITH(a_message_each_way, tls)
{
    size_t len = 1;

    tls_connected();
    tls_pass(&client, &server, "question");
    tls_pass(&server, &client, "answer");
    CHECK_EQ(nart_tls_version(&client), 0x0304);
    CHECK_EQ(nart_tls_version(&server), 0x0304);
    CHECK(!nart_tls_resumed(&client) && !nart_tls_resumed(&server));
    CHECK(nart_tls_alpn(&client, &len) == NULL);
    CHECK_EQ(len, 0);
    CHECK_STR(nart_tls_error(&client), "");
    CHECK(nart_tls_peer_cert(&client, 0, &len) != NULL && len > 100);
    CHECK(nart_tls_peer_cert(&client, 1, &len) == NULL && len == 0);
    CHECK(nart_tls_peer_cert(&server, 0, NULL) == NULL);
    CHECK_RES(nart_tcp_fd(&client_tcp), -EBADF); /* was moved in */
    CHECK(nart_tcp_fd(&client.tcp) >= 0);
}

TEST_WITH(a_protocol_is_selected, tls)
{
    static const char *const both[] = { "h2", "http/1.1" }, *const one[] = { "http/1.1" },
                             *const other[] = { "smtp" };
    nart_tls_config *server_of_both = SERVER_CONFIG(.alpn = both, .n_alpn = 2);
    size_t len = 0;
    nart_res c = 1, s = 1;

    tls_connect(CONFIG(.ca = certs.ca.cert, .alpn = one, .n_alpn = 1), server_of_both);
    CHECK_STR(nart_tls_alpn(&client, &len), "http/1.1");
    CHECK_EQ(len, 8);
    CHECK_STR(nart_tls_alpn(&server, NULL), "http/1.1");
    tls_close_both();
    tls_connect(CONFIG(.ca = certs.ca.cert, .alpn = both, .n_alpn = 2), server_of_both);
    CHECK_STR(nart_tls_alpn(&client, NULL), "h2");
    tls_close_both();
    tls_connect(client_config, server_of_both); /* offers none */
    CHECK(nart_tls_alpn(&client, NULL) == NULL && nart_tls_alpn(&server, NULL) == NULL);
    tls_close_both();
    tls_handshake(CONFIG(.ca = certs.ca.cert, .alpn = other, .n_alpn = 1), "localhost",
                  server_of_both, &c, &s);
    CHECK_RES(c, NART_ETLS);
    CHECK_RES(s, NART_ETLS);
    CHECK(strstr(nart_tls_error(&client), "NoApplicationProtocol") != NULL);
}

TEST_WITH(the_server_learns_the_name, tls)
{
    size_t len = 0;
    nart_res c = 1, s = 1;

    tls_connected();
    CHECK_STR(nart_tls_server_name(&server, &len), "localhost");
    CHECK_EQ(len, 9);
    CHECK_STR(nart_tls_server_name(&client, NULL), "localhost");
    tls_close_both();
    CHECK(nart_tls_server_name(&server, &len) == NULL);
    CHECK_EQ(len, 0);
    tls_handshake(client_config, "127.0.0.1", server_config, &c, &s); /* an address is not sent */
    CHECK_RES(c, 0);
    CHECK_RES(s, 0);
    CHECK(nart_tls_server_name(&server, NULL) == NULL);
    CHECK_STR(nart_tls_server_name(&client, NULL), "127.0.0.1");
}

/* The handshake with a server of two names. Returns the length of its certificate. */
static size_t certificate_for(const char *name, const nart_tls_config *config, nart_res expected)
{
    nart_res c = 1, s = 1;
    size_t len = 0;

    tls_handshake(client_config, name, config, &c, &s);
    CHECK_RES(c, expected);
    CHECK_EQ(nart_tls_peer_cert(&client, 0, &len) != NULL, expected == 0);
    tls_close_both();
    return len;
}

TEST_WITH(the_server_selects_a_certificate_by_name, tls)
{
    const nart_tls_cert more[] = {
        { .cert = certs.expired.cert, .key = certs.expired.key }, /* for localhost, too */
        { .cert = certs.second.cert, .key = certs.second.key },
    };
    nart_tls_config *config = SERVER_CONFIG(.certs = more, .n_certs = 2);

    size_t first = certificate_for("localhost", config, 0);
    CHECK_EQ(certificate_for("127.0.0.1", config, 0), first);
    size_t second = certificate_for("second.test", config, 0);
    CHECK_NE(second, first);
    CHECK_EQ(certificate_for("a.second.test", config, 0), second);
    CHECK_EQ(certificate_for("SECOND.test", config, 0), second);
    certificate_for("a.b.second.test", config, NART_ETLS);
    certificate_for("third.test", config, NART_ETLS);
    CHECK_EQ(certificate_for("second.test", config, 0), second);
}

/* ---- whom to trust ---- */

/* The client refuses, and the server learns why. */
static void refuses(const nart_tls_config *c_config, const char *name,
                    const nart_tls_config *s_config, const char *text, const char *alert)
{
    nart_res c = 1, s = 1;

    tls_handshake(c_config, name, s_config, &c, &s);
    CHECK_RES(c, NART_ETLS);
    CHECK_RES(s, NART_ETLS);
    if (!strstr(nart_tls_error(&client), text) || !strstr(nart_tls_error(&server), alert))
        test_fail(__FILE__, __LINE__, "client: %s, server: %s", nart_tls_error(&client),
                  nart_tls_error(&server));
    CHECK_RES(STEP(RECV, &client, .buf = &c, .len = 1), NART_ETLS); /* it stays so */
    CHECK_RES(STEP(SEND, &client, .buf = &c, .len = 1), NART_ETLS);
    CHECK_RES(STEP(CONNECT, &client, c_config, name, &client_tcp), NART_ETLS);
    CHECK_RES(STEP(SHUTDOWN, &server), NART_ETLS);
    tls_close_both();
    CHECK_STR(nart_tls_error(&client), "");
}

TEST_WITH(a_server_that_is_not_trusted, tls)
{
    refuses(client_config, "example.org", server_config, "not valid for name", "BadCertificate");
    refuses(client_config, "127.0.0.2", server_config, "not valid for", "BadCertificate");
    refuses(CONFIG(.ca = certs.other_ca.cert), "localhost", server_config, "UnknownIssuer",
            "UnknownCA");
    refuses(client_config, "localhost",
            CONFIG(.flags = NART_TLS_SERVER, .cert = certs.expired.cert, .key = certs.expired.key),
            "expired", "CertificateExpired");
}

TEST_WITH(the_own_ca_replaces_those_of_the_platform_or_is_added, tls)
{
    char file[] = "/tmp/nart-test-ca-XXXXXX";

    int fd = mkstemp(file);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, certs.ca.cert, strlen(certs.ca.cert)), strlen(certs.ca.cert));
    close(fd);
    CHECK_EQ(setenv("SSL_CERT_FILE", file, 1), 0);
    tls_connect(CONFIG(.size = 0), server_config);
    tls_close_both();
    tls_connect(CONFIG(.ca = certs.other_ca.cert, .flags = NART_TLS_PLATFORM_CA), server_config);
    tls_close_both();
    refuses(CONFIG(.ca = certs.other_ca.cert), "localhost", server_config, "UnknownIssuer",
            "UnknownCA");
    unlink(file);
    CHECK_EQ(setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);
    CHECK_EQ(setenv("SSL_CERT_DIR", "/nonexistent", 1), 0);
    CHECK(*REFUSED(.size = 0) != '\0');
    tls_connect(client_config, server_config); /* needs none of them */
}

TEST_WITH(a_server_requires_a_certificate, tls)
{
    nart_tls_config *known = CONFIG(.ca = certs.ca.cert, .cert = certs.client.cert,
                                    .key = certs.client.key),
                    *requires = SERVER_CONFIG(.ca = certs.ca.cert),
                    *optional = CONFIG(.flags = NART_TLS_SERVER | NART_TLS_CERT_OPTIONAL,
                                       .cert = certs.server.cert, .key = certs.server.key,
                                       .ca = certs.ca.cert);
    nart_res c = 1, s = 1;
    size_t len = 0;
    char byte;

    tls_connect(known, requires);
    CHECK(nart_tls_peer_cert(&server, 0, &len) != NULL && len > 100);
    tls_pass(&server, &client, "welcome");
    tls_close_both();
    tls_connect(known, optional);
    CHECK(nart_tls_peer_cert(&server, 0, NULL) != NULL);
    tls_close_both();
    tls_connect(client_config, optional);
    CHECK(nart_tls_peer_cert(&server, 0, NULL) == NULL);
    tls_pass(&server, &client, "welcome");
    tls_close_both();
    tls_handshake(client_config, "localhost", requires, &c, &s);
    CHECK_RES(s, NART_ETLS);
    CHECK_RES(c, 0); /* its handshake has ended before */
    CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), NART_ETLS);
    CHECK(strstr(nart_tls_error(&client), "CertificateRequired") != NULL);
    tls_close_both();
    tls_handshake(known, "localhost", SERVER_CONFIG(.ca = certs.other_ca.cert), &c, &s);
    CHECK_RES(s, NART_ETLS);
    CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), NART_ETLS);
}

/* ---- sessions ---- */

/* Connects, and lets the client read the server's tickets. */
static bool is_resumed(const nart_tls_config *c_config, const nart_tls_config *s_config)
{
    tls_connect(c_config, s_config);
    tls_pass(&server, &client, "and tickets");
    bool resumed = nart_tls_resumed(&client);
    CHECK_EQ(nart_tls_resumed(&server), resumed);
    tls_close_both();
    return resumed;
}

TEST_WITH(the_second_connection_is_resumed, tls)
{
    CHECK(!is_resumed(client_config, server_config));
    CHECK(is_resumed(client_config, server_config));
    CHECK(is_resumed(client_config, server_config));
    CHECK(!is_resumed(client_config, SERVER_CONFIG(.size = 0))); /* has other keys */
}

TEST_WITH(sessions_are_not_resumed_if_a_side_says_so, tls)
{
    nart_tls_config *no_client = CONFIG(.ca = certs.ca.cert, .flags = NART_TLS_NO_RESUMPTION),
                    *no_server = CONFIG(.flags = NART_TLS_SERVER | NART_TLS_NO_RESUMPTION,
                                        .cert = certs.server.cert, .key = certs.server.key);

    for (int i = 0; i < 3; i++) {
        CHECK(!is_resumed(no_client, server_config));
        CHECK(!is_resumed(client_config, no_server));
    }
}

/* ---- the end of a stream ---- */

TEST_WITH(each_side_ends_its_stream, tls)
{
    char byte;

    for (int i = 0; i < 2; i++) {
        nart_tls *first = i == 0 ? &client : &server, *second = i == 0 ? &server : &client;
        tls_connected();
        tls_pass(first, second, "last words");
        CHECK_RES(STEP(SHUTDOWN, first), 0);
        CHECK_RES(STEP(SHUTDOWN, first), 0);
        CHECK_RES(STEP(SEND, first, .buf = &byte, .len = 1), -EPIPE);
        CHECK_RES(STEP(SEND_ALL, first, .buf = &byte, .len = 1), -EPIPE);
        CHECK_RES(STEP(RECV, second, .buf = &byte, .len = 1), 0);
        CHECK_RES(STEP(RECV, second, .buf = &byte, .len = 1), 0);
        tls_pass(second, first, "I still speak");
        CHECK_RES(STEP(SHUTDOWN, second), 0);
        CHECK_RES(STEP(RECV, first, .buf = &byte, .len = 1), 0);
        CHECK_STR(nart_tls_error(first), "");
        tls_close_both();
    }
}

TEST_WITH(what_was_sent_precedes_the_end, tls)
{
    char got[16] = "";

    tls_connected();
    CHECK_RES(STEP(SEND, &client, .buf = "abc", .len = 3), 3);
    CHECK_RES(STEP(SHUTDOWN, &client), 0);
    CHECK_RES(nart_tls_close(&client), 0);
    CHECK_RES(STEP(RECV, &server, .buf = got, .len = 2), 2);
    CHECK_RES(STEP(RECV, &server, .buf = got + 2, .len = 13), 1);
    CHECK_STR(got, "abc");
    CHECK_RES(STEP(RECV, &server, .buf = got, .len = 16), 0);
}

/* Also after the own end: rustls does not expect to fail then. */
TEST_WITH(what_precedes_a_failure_is_received, tls)
{
    static const char garbage[] = "\x17\x03\x03\x00\x20 this is no record of this stream";

    for (int shut = 0; shut < 2; shut++) {
        char got[16] = "";
        tls_connected();
        if (shut)
            CHECK_RES(STEP(SHUTDOWN, &client), 0);
        CHECK_RES(STEP(SEND_ALL, &server, .buf = (char *)"before", .len = 6), 6);
        CHECK_EQ(send((int)nart_tcp_fd(&server.tcp), garbage, 37, MSG_NOSIGNAL), 37);
        CHECK_RES(STEP(RECV, &client, .buf = got, .len = sizeof got), 6);
        CHECK_STR(got, "before");
        for (int i = 0; i < 2; i++) {
            CHECK_RES(STEP(RECV, &client, .buf = got, .len = sizeof got), NART_ETLS);
            CHECK(*nart_tls_error(&client) != '\0');
        }
        tls_close_both();
    }
}

TEST_WITH(a_stream_that_is_cut_off, tls)
{
    char got[16] = "";

    for (int i = 0; i < 2; i++) {
        nart_tls *cut = i == 0 ? &client : &server, *other = i == 0 ? &server : &client;
        tls_connected();
        tls_pass(&server, &client, "and tickets");
        CHECK_RES(STEP(SEND, cut, .buf = "abc", .len = 3), 3);
        CHECK_RES(nart_tls_close(cut), 0);
        CHECK_RES(STEP(RECV, other, .buf = got, .len = sizeof got), 3);
        CHECK_RES(STEP(RECV, other, .buf = got, .len = sizeof got), NART_ETLS_TRUNCATED);
        CHECK_RES(STEP(RECV, other, .buf = got, .len = sizeof got), NART_ETLS_TRUNCATED);
        CHECK(strstr(nart_tls_error(other), "close_notify") != NULL);
        CHECK_RES(STEP(SEND, other, .buf = got, .len = 1), NART_ETLS_TRUNCATED);
        tls_close_both();
    }
}
