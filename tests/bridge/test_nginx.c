/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP clients against nginx, with TLS by OpenSSL: a server that the project has not written. */
#include "bridge.h"
#include "certs.h"
#include "peer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The servers of nginx, each on a port of its own. */
enum { GOOD, ASKS, WRONG_HOST, EXPIRED, HTTP1, SERVERS };

static const char *const servers[SERVERS] = {
    "listen 127.0.0.1:%d ssl http2; ssl_certificate server.pem; ssl_certificate_key server.key;",
    "listen 127.0.0.1:%d ssl http2; ssl_certificate server.pem; ssl_certificate_key server.key;"
    "ssl_client_certificate ca.pem; ssl_verify_client on;",
    "listen 127.0.0.1:%d ssl; ssl_certificate second.pem; ssl_certificate_key second.key;",
    "listen 127.0.0.1:%d ssl; ssl_certificate expired.pem; ssl_certificate_key expired.key;",
    "listen 127.0.0.1:%d ssl; ssl_certificate server.pem; ssl_certificate_key server.key;"
    "keepalive_requests 10;",
};

static const char head[] =
    "pid nginx.pid; daemon off; worker_processes 1; user root; error_log stderr crit;\n"
    "events { worker_connections 256; }\n"
    "http { access_log off; default_type text/plain; gzip on; gzip_min_length 1; gzip_types "
    "text/plain;\n"
    "client_max_body_size 1k; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;\n"
    "uwsgi_temp_path t4; scgi_temp_path t5;\n";

static const char locations[] =
    " location = /protocol { return 200 \"$server_protocol\"; }\n"
    " location = /client { return 200 \"$ssl_client_s_dn\"; }\n"
    " location = /connection { return 200 \"$connection $connection_requests\"; }\n"
    " location = /away { return 302 /protocol; }\n"
    " location / { root .; }\n";

enum { BIG = 1 << 20 };

static char folder[32];
static int sockets[SERVERS];
static uint16_t ports[SERVERS];
static pid_t nginx;

static FILE *create(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    CHECK(f);
    return f;
}

/* nginx takes the sockets over, as in an upgrade of its program: so connections queue until it accepts. */
static void start_nginx(void)
{
    char inherited[80] = "";
    for (int i = 0; i < SERVERS; i++)
        snprintf(inherited + strlen(inherited), sizeof inherited - strlen(inherited), "%d;",
                 sockets[i]);
    CHECK_EQ(setenv("NGINX", inherited, 1), 0);
    nginx = fork();
    CHECK(nginx >= 0);
    setpgid(nginx, nginx); /* here and in the child: whoever is first */
    if (nginx == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a case that fails leaves nothing */
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%s/", folder);
        execl(NART_TEST_NGINX, "nginx", "-p", prefix, "-c", "nginx.conf", "-e", "stderr", NULL);
        _exit(127);
    }
}

static void kill_nginx(void)
{
    CHECK_EQ(kill(-nginx, SIGKILL), 0); /* its worker, too */
    CHECK_EQ(waitpid(nginx, NULL, 0), nginx);
}

static void open_nginx(void)
{
    if (test_under_valgrind())
        SKIP("valgrind takes what the ciphers' vector instructions write for uninitialised");
    CHECK_RES(test_tls_certs(&certs), 0);
    certs_folder_open(folder);

    FILE *conf = create("nginx.conf");
    fputs(head, conf);
    for (int i = 0; i < SERVERS; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); /* inherited by exec */
        ports[i] = listen_locally(sockets[i], 128);
        fputs("server { server_name localhost; ", conf);
        fprintf(conf, servers[i], ports[i]); /* NOLINT(clang-diagnostic-format-nonliteral) */
        fprintf(conf, "\n%s}\n", locations);
    }
    fputs("}\n", conf);
    CHECK_EQ(fclose(conf), 0);
    FILE *big = create("big");
    for (int i = 0; i < BIG; i++)
        fputc('a' + i % 7, big);
    CHECK_EQ(fclose(big), 0);
    start_nginx();
    both_open();
}

static void close_nginx(void)
{
    both_close();
    kill_nginx();
    for (int i = 0; i < SERVERS; i++)
        close(sockets[i]);
    certs_folder_close(folder);
}

#define CLIENT(...) peer_client(&(const nart_http_client_opts){ .ca = certs.ca.cert, __VA_ARGS__ })

static void begin(nart_http_client *client, int server, const nart_http_opts *like,
                  const char *path, nart_tokio_op *op)
{
    nart_http_opts o = NART_HTTP_OPTS_INIT;
    char url[64];

    if (like)
        o = *like;
    o.size = sizeof o;
    snprintf(url, sizeof url, "https://localhost:%d%s", ports[server], path);
    o.url = url;
    o.client = client;
    CHECK_RES(nart_http_request(bridge, &o, op), 0);
}

/* The status or the error; the text of the response or of the error is copied. */
static int64_t get(nart_http_client *client, int server, const char *path, char text[200])
{
    nart_tokio_op op = { 0 };
    int64_t status = 0;

    begin(client, server, NULL, path, &op);
    nart_res r = wait_for_answer(&op, &status);
    snprintf(text, 200, "%s", nart_tokio_op_message(&op, NULL));
    nart_tokio_op_close(&op);
    return r == 0 ? status : r;
}

TEST(http1_and_http2)
{
    char text[200];

    open_nginx();
    nart_http_client *one = CLIENT(.http2 = NART_HTTP2_OFF),
                     *two = CLIENT(.http2 = NART_HTTP2_ALPN);
    CHECK_EQ(get(one, GOOD, "/protocol", text), 200);
    CHECK_STR(text, "HTTP/1.1");
    CHECK_EQ(get(two, GOOD, "/protocol", text), 200);
    CHECK_STR(text, "HTTP/2.0");
    CHECK_EQ(get(two, HTTP1, "/protocol", text), 200);
    CHECK_STR(text, "HTTP/1.1");
    CHECK_EQ(get(one, GOOD, "/away", text), 200);
    CHECK_EQ(get(two, GOOD, "/absent", text), 404);
    nart_http_client_free(one);
    nart_http_client_free(two);
    close_nginx();
}

TEST(a_certificate_that_does_not_fit_is_refused)
{
    char text[200];

    open_nginx();
    nart_http_client *client = CLIENT(.http2 = NART_HTTP2_ALPN);
    CHECK_RES(get(client, EXPIRED, "/protocol", text), NART_EHTTP_TLS);
    CHECK(strstr(text, "xpired"));
    CHECK_RES(get(client, WRONG_HOST, "/protocol", text), NART_EHTTP_TLS);
    CHECK(strstr(text, "localhost"));
    nart_http_client_free(client);
    client = peer_client(&(const nart_http_client_opts){ .ca = certs.other_ca.cert });
    CHECK_RES(get(client, GOOD, "/protocol", text), NART_EHTTP_TLS);
    nart_http_client_free(client);
    close_nginx();
}

TEST(a_server_that_asks_for_a_certificate)
{
    char text[200];

    open_nginx();
    nart_http_client *without = CLIENT(.size = 0),
                     *with = CLIENT(.cert = certs.client.cert, .key = certs.client.key);
    CHECK_EQ(get(without, ASKS, "/client", text), 400);
    CHECK(strstr(text, "No required SSL certificate"));
    CHECK_EQ(get(with, ASKS, "/client", text), 200);
    CHECK_STR(text, "CN=client");
    nart_http_client_free(without);
    nart_http_client_free(with);
    close_nginx();
}

/* nginx closes a connection after ten requests. */
TEST(connections_are_kept_and_replaced)
{
    char text[200];
    long connection = 0, n = 0, connections = 0;

    open_nginx();
    nart_http_client *client = CLIENT(.size = 0);
    for (int i = 0; i < 35; i++) {
        char *end;
        CHECK_EQ(get(client, HTTP1, "/connection", text), 200);
        long this = strtol(text, &end, 10);
        long request = strtol(end, NULL, 10);
        connections += this != connection;
        CHECK_EQ(request, this == connection ? n + 1 : 1);
        connection = this;
        n = request;
    }
    CHECK_EQ(connections, 4);
    nart_http_client_free(client);
    close_nginx();
}

TEST(hundred_requests_share_a_connection_of_http2)
{
    static nart_tokio_op ops[100];
    long connection = 0;

    open_nginx();
    nart_http_client *client = CLIENT(.http2 = NART_HTTP2_ONLY);
    for (int round = 0; round < 2; round++) { /* the first round makes the connection */
        for (int i = 0; i < (round ? 100 : 1); i++)
            begin(client, GOOD, NULL, "/connection", &ops[i]);
        for (int i = 0; i < (round ? 100 : 1); i++) {
            int64_t status = 0;
            CHECK_RES(wait_for_answer(&ops[i], &status), 0);
            CHECK_EQ(status, 200);
            long this = strtol(nart_tokio_op_message(&ops[i], NULL), NULL, 10);
            CHECK(connection == 0 || this == connection);
            connection = this;
            nart_tokio_op_close(&ops[i]);
        }
    }
    nart_http_client_free(client);
    close_nginx();
}

TEST(a_file_is_decoded_or_in_parts)
{
    nart_tokio_op op = { 0 };

    open_nginx();
    for (uint32_t http2 = NART_HTTP2_OFF; http2 <= NART_HTTP2_ALPN; http2++) {
        for (uint32_t decode = 0; decode <= NART_HTTP_DECODE_GZIP;
             decode += NART_HTTP_DECODE_GZIP) {
            nart_http_client *client = CLIENT(.http2 = http2, .decode = decode);
            int64_t status = 0;
            size_t len = 0;
            begin(client, GOOD, NULL, "/big", &op);
            CHECK_RES(wait_for_answer(&op, &status), 0);
            CHECK_EQ(status, 200);
            const char *body = nart_tokio_op_message(&op, &len);
            CHECK_EQ(len, BIG);
            for (size_t i = 0; i < len; i++)
                CHECK_EQ(body[i], 'a' + (int)(i % 7));
            nart_tokio_op_close(&op);
            nart_http_client_free(client);
        }
    }
    nart_http_client *client = CLIENT(.http2 = NART_HTTP2_ALPN);
    nart_http_header range = NART_HTTP_HEADER("Range", "bytes=7-13");
    int64_t status = 0;
    begin(client, GOOD, &(nart_http_opts){ .headers = &range, .n_headers = 1 }, "/big", &op);
    CHECK_RES(wait_for_answer(&op, &status), 0);
    CHECK_EQ(status, 206);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "abcdefg");
    nart_tokio_op_close(&op);
    nart_http_client_free(client);
    close_nginx();
}

/* nginx answers before it has read the body. */
TEST(a_body_that_is_too_large_for_the_server)
{
    static char body[BIG];
    nart_tokio_op op = { 0 };

    open_nginx();
    for (uint32_t http2 = NART_HTTP2_OFF; http2 <= NART_HTTP2_ALPN; http2++) {
        nart_http_client *client = CLIENT(.http2 = http2);
        int64_t status = 0;
        begin(client, GOOD,
              &(nart_http_opts){ .method = "POST", .body = body, .body_len = sizeof body },
              "/protocol", &op);
        CHECK_RES(wait_for_answer(&op, &status), 0);
        CHECK_EQ(status, 413);
        nart_tokio_op_close(&op);
        nart_http_client_free(client);
    }
    close_nginx();
}

TEST(a_server_that_is_killed_and_started_again)
{
    char text[200];

    open_nginx();
    nart_http_client *client = CLIENT(.http2 = NART_HTTP2_ALPN);
    CHECK_EQ(get(client, GOOD, "/protocol", text), 200);
    kill_nginx();
    nart_tokio_op op = { 0 };
    begin(client, GOOD, NULL, "/protocol", &op); /* waits in the queue of the socket, or fails */
    start_nginx();
    nart_res r = wait_for_answer(&op, NULL);
    CHECK(r == 0 || *nart_tokio_op_message(&op, NULL) != '\0');
    nart_tokio_op_close(&op);
    CHECK_EQ(get(client, GOOD, "/protocol", text), 200);
    nart_http_client_free(client);
    close_nginx();
}
