/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP requests against a server that fails on request (tests/httpd), and against one that sends
 * whatever a case has written down. */
#include "bridge.h"
#include "threads.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the server ---- */

static pid_t server;
static int server_input = -1, port;

static void end_server(void)
{
    int status = 0;
    close(server_input); /* it ends then */
    CHECK_EQ(waitpid(server, &status, 0), server);
}

static void open_server(void)
{
    const char *argv[] = { NART_TEST_HTTPD, NULL };
    FILE *f;

    server = start_program(argv, &server_input, &f);
    if (fscanf(f, "%d", &port) != 1)
        test_fail(__FILE__, __LINE__, "the test server does not start: %s", NART_TEST_HTTPD);
    fclose(f);
    test_at_end(end_server);
}

static void open_all(void)
{
    open_server();
    both_open();
}

/* ---- requests ---- */

struct fetch {
    nart_co co;
    nart_http_opts opts;
    nart_tokio_op op;
    int64_t status;
};

static nart_res fetch_run(nart_cx *cx, void *frame)
{
    struct fetch *f = *(struct fetch **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    r = nart_http_request(bridge, &f->opts, &f->op);
    if (r == 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->status));
    NART_END(r);
}

static const nart_task_type fetch_type = NART_TASK_TYPE(struct fetch *, fetch_run, NULL);

static nart_res do_fetch(struct fetch *f)
{
    f->opts.size = sizeof f->opts;
    return run(&fetch_type, &f);
}

static nart_res fetch(struct fetch *f, const char *url)
{
    f->opts.url = url;
    return do_fetch(f);
}

/* Of a path at the server. */
static nart_res fetch_path(struct fetch *f, const char *path)
{
    static char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
    return fetch(f, url);
}

static nart_res fetch_once(const char *path, const nart_http_opts *opts)
{
    struct fetch f = { 0 };
    if (opts)
        f.opts = *opts;
    nart_res r = fetch_path(&f, path);
    if (r < 0)
        CHECK(*nart_tokio_op_message(&f.op, NULL) != '\0'); /* every error has a text */
    nart_tokio_op_close(&f.op);
    return r < 0 ? r : f.status;
}

TEST(status_and_body)
{
    open_all();
    struct fetch f = { 0 };
    size_t len = 0;
    CHECK_RES(fetch_path(&f, "/ok/100000"), 0);
    CHECK_EQ(f.status, 200);
    const char *body = nart_tokio_op_message(&f.op, &len);
    CHECK_EQ(len, 100000);
    CHECK(body[0] == '.' && body[99999] == '.' && body[100000] == '\0');
    nart_tokio_op_close(&f.op);
    CHECK_EQ(fetch_once("/ok/0", NULL), 200);
}

TEST(an_error_status_is_a_value)
{
    open_all();
    CHECK_EQ(fetch_once("/status/500", NULL), 500);
    CHECK_EQ(fetch_once("/nowhere", NULL), 404);
    CHECK_EQ(report().ok, 2);
}

TEST(a_body_is_sent)
{
    open_all();
    for (size_t n = 1; n <= 1000000; n *= 1000) {
        struct fetch f = { 0 };
        char *body = malloc(n);
        size_t len = 0;
        CHECK(body != NULL);
        memset(body, 'q', n);
        f.opts.method = "POST";
        f.opts.body = body;
        f.opts.body_len = n;
        CHECK_RES(fetch_path(&f, "/echo"), 0);
        CHECK_EQ(memcmp(nart_tokio_op_message(&f.op, &len), body, n), 0);
        CHECK_EQ(len, n);
        nart_tokio_op_close(&f.op);
        free(body);
    }
}

TEST(a_request_is_copied)
{
    open_all();
    char url[64], body[] = "before";
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    int64_t status = 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/echo", port);
    opts.url = url;
    opts.method = "PUT";
    opts.body = body;
    opts.body_len = 6;
    CHECK_RES(nart_http_request(bridge, &opts, &op), 0);
    memset(url, 'x', sizeof url);
    memset(body, 'x', sizeof body);
    memset(&opts, 0xFF, sizeof opts);
    (void)wait_for_answer(&op, &status);
    CHECK_EQ(status, 200);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "before");
    nart_tokio_op_close(&op);
}

/* ---- errors ---- */

TEST_WITH(invalid_urls_are_refused, both)
{
    static const char *const urls[] = {
        "",         "nonsense",    "http://",         "file:///etc/passwd",
        "ftp://a/", "http://[::1", "http://a:70000/", "\xff\xfe"
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct fetch f = { 0 };
        CHECK_RES(fetch(&f, urls[i]), NART_EHTTP_URL);
        CHECK(*nart_tokio_op_message(&f.op, NULL) != '\0');
        nart_tokio_op_close(&f.op);
    }
}

TEST_WITH(bad_arguments, both)
{
    nart_http_header broken = NART_HTTP_HEADER("na me", "value");
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    struct fetch f = { 0 };

    CHECK_RES(nart_http_request(bridge, NULL, &op), -EINVAL);
    CHECK_RES(nart_http_request(bridge, &opts, &op), -EINVAL); /* no URL */
    opts.url = "http://127.0.0.1:1/";
    CHECK_RES(nart_http_request(NULL, &opts, &op), -EINVAL);
    CHECK_RES(nart_http_request(bridge, &opts, NULL), -EINVAL);
    opts.timeout_ns = -1;
    CHECK_RES(nart_http_request(bridge, &opts, &op), -EINVAL);
    opts.timeout_ns = 0;
    opts.n_headers = 1; /* and none there */
    CHECK_RES(nart_http_request(bridge, &opts, &op), -EINVAL);
    opts.n_headers = 0;
    opts.body_len = 1;
    CHECK_RES(nart_http_request(bridge, &opts, &op), -EINVAL);
    opts.size = 7;
    CHECK_RES(nart_http_request(bridge, &opts, &op), NART_EABI);
    CHECK_EQ(report().submitted, 0);

    f.opts.method = "two words";
    CHECK_RES(fetch(&f, "http://127.0.0.1:1/"), -EINVAL);
    nart_tokio_op_close(&f.op);
    f.opts.method = NULL;
    f.opts.headers = &broken;
    f.opts.n_headers = 1;
    CHECK_RES(fetch(&f, "http://127.0.0.1:1/"), -EINVAL);
    nart_tokio_op_close(&f.op);
}

TEST_WITH(no_server_listens, both)
{
    struct fetch f = { 0 };
    CHECK_RES(fetch(&f, "http://127.0.0.1:1/"), NART_EHTTP_CONNECT);
    nart_tokio_op_close(&f.op);
}

TEST(a_slow_response_is_a_timeout)
{
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    open_all();
    opts.timeout_ns = 20 * NART_MS;
    CHECK_EQ(fetch_once("/slow/60000", &opts), NART_EHTTP_TIMEOUT);
    CHECK_EQ(fetch_once("/stall/100", &opts), NART_EHTTP_TIMEOUT); /* within the body */
    opts.timeout_ns = NART_NEVER;
    CHECK_EQ(fetch_once("/slow/20", &opts), 200);
}

/* The timeout starts at the submission, not when a worker takes the request. */
TEST_WITH(a_request_that_waits_too_long_for_a_worker_is_not_sent, both)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op worker = { 0 }, op = { 0 };
    struct timespec tick = { .tv_nsec = NART_MS };

    occupy_worker(&worker);
    get.url = "http://127.0.0.1:1/"; /* would be refused */
    get.timeout_ns = NART_MS;
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL), 0); /* never shorter */
    release_worker(&worker);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EHTTP_TIMEOUT);
    nart_tokio_op_close(&op);

    get.timeout_ns = NART_NEVER - 1;
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EHTTP_CONNECT);
    nart_tokio_op_close(&op);
}

TEST(a_body_larger_than_the_limit)
{
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    open_all();
    opts.max_body = 1000;
    CHECK_EQ(fetch_once("/ok/1000", &opts), 200);
    CHECK_EQ(fetch_once("/ok/1001", &opts), NART_EHTTP_BODY_LIMIT);
    CHECK_EQ(fetch_once("/endless", &opts), NART_EHTTP_BODY_LIMIT);
    CHECK_EQ(fetch_once("/endless", NULL), NART_EHTTP_BODY_LIMIT); /* the default */
    opts.max_body = SIZE_MAX;
    CHECK_EQ(fetch_once("/ok/2000000", &opts), 200);
}

TEST(a_response_that_is_cut_off)
{
    open_all();
    CHECK_EQ(fetch_once("/cut/1000", NULL), NART_EHTTP_BODY);
    CHECK_EQ(fetch_once("/reset", NULL), NART_EHTTP_CLOSED);
    CHECK_EQ(fetch_once("/ok/1", NULL), 200);
}

/* The server resets while a large body is sent to it, and SIGPIPE would end the process. */
TEST(a_reset_while_sending)
{
    static char body[4 << 20];
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    signal(SIGPIPE, SIG_DFL);
    open_all();
    opts.method = "POST";
    opts.body = body;
    opts.body_len = sizeof body;
    for (int i = 0; i < 20; i++) {
        nart_res r = fetch_once("/reset", &opts);
        CHECK(r == NART_EHTTP_CLOSED || r == NART_EHTTP_BODY);
    }
}

TEST(redirects)
{
    open_all();
    CHECK_EQ(fetch_once("/redirect/10", NULL), 200);
    CHECK_EQ(fetch_once("/redirect/11", NULL), NART_EHTTP_REDIRECT);
}

TEST(connections_that_the_server_closes)
{
    open_all();
    for (int i = 0; i < 50; i++) {
        nart_res r = fetch_once(i & 1 ? "/ok/10" : "/close", NULL);
        /* An error when the kept connection is closed just as it is used again; it is not kept then. */
        CHECK(r == 200 || r == NART_EHTTP_CLOSED);
        if (r != 200)
            CHECK_EQ(fetch_once("/ok/10", NULL), 200);
    }
}

/* ---- a server that sends what is written down ---- */

struct canned {
    const char *answer;
    int listener, port;
    char request[65536];
    pthread_t thread;
};

static void *serve_canned(void *arg)
{
    struct canned *c = arg;
    size_t n = 0;
    int fd = accept(c->listener, NULL, NULL);

    CHECK(fd >= 0);
    do {
        ssize_t got = recv(fd, c->request + n, sizeof c->request - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        c->request[n] = '\0';
        /* a request, or the beginning of something else */
    } while (!strstr(c->request, "\r\n\r\n") && c->request[0] >= 'A' && c->request[0] <= 'Z');
    CHECK_EQ(send(fd, c->answer, strlen(c->answer), MSG_NOSIGNAL), strlen(c->answer));
    shutdown(fd, SHUT_WR);
    while (recv(fd, c->request + sizeof c->request - 1, 1, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void open_canned(struct canned *c, const char *answer)
{
    c->answer = answer;
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->port = listen_locally(c->listener, 1);
    c->thread = thread_start(serve_canned, c);
}

static void close_canned(struct canned *c)
{
    thread_join(c->thread);
    close(c->listener);
}

static nart_res fetch_canned(struct canned *c, struct fetch *f, const char *scheme)
{
    char url[64];
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/", scheme, c->port);
    nart_res r = fetch(f, url);
    close_canned(c);
    return r;
}

static nart_res answer_to(const char *scheme, const char *answer)
{
    static struct canned c;
    struct fetch f = { 0 };

    both_open();
    open_canned(&c, answer);
    nart_res r = fetch_canned(&c, &f, scheme);
    nart_tokio_op_close(&f.op);
    return r;
}

/* A request with these headers; the response is "hi". */
static nart_res send_headers(struct canned *c, struct fetch *f, const nart_http_header *headers,
                             size_t n)
{
    both_open();
    open_canned(c, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    f->opts.headers = headers;
    f->opts.n_headers = n;
    return fetch_canned(c, f, "http");
}

TEST(headers_are_sent_in_order)
{
    static struct canned c;
    static const nart_http_header headers[] = { NART_HTTP_HEADER("X-A", "1"),
                                                NART_HTTP_HEADER("x-b", ""),
                                                NART_HTTP_HEADER("X-A", "two") };
    struct fetch f = { .opts.method = "DELETE" };

    CHECK_RES(send_headers(&c, &f, headers, 3), 0);
    CHECK_STR(nart_tokio_op_message(&f.op, NULL), "hi");
    CHECK(strncmp(c.request, "DELETE / HTTP/1.1\r\n", 19) == 0);
    const char *first = strstr(c.request, "x-a: 1\r\n"),
               *second = strstr(c.request, "x-a: two\r\n");
    CHECK(first && second && first < second);
    CHECK(strstr(c.request, "x-b: \r\n") != NULL);
    nart_tokio_op_close(&f.op);
}

/* A request that a peer could read as two, or as a part of one, is not sent. */
TEST(headers_that_frame_a_message_are_refused)
{
    static const nart_http_header headers[] = {
        NART_HTTP_HEADER("Content-Length", "3"),
        NART_HTTP_HEADER("content-length", "6"),
        NART_HTTP_HEADER("Transfer-Encoding", "chunked"),
        NART_HTTP_HEADER("Connection", "Upgrade"),
        NART_HTTP_HEADER("Upgrade", "h2c"),
        NART_HTTP_HEADER("TE", "gzip"),
        NART_HTTP_HEADER("Trailer", "x"),
        NART_HTTP_HEADER("Proxy-Connection", "close"),
        NART_HTTP_HEADER("Host", "a b"),
    };
    nart_http_opts opts = { .method = "POST", .n_headers = 1, .body = "hello", .body_len = 5 };

    open_all();
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        opts.headers = &headers[i];
        CHECK_RES(fetch_once("/echo", &opts), -EINVAL);
    }
    opts = (nart_http_opts){ .method = "CONNECT" };
    CHECK_RES(fetch_once("/ok/1", &opts), -EINVAL);
}

TEST(the_length_of_the_body_is_sent_once)
{
    static struct canned c;
    static const nart_http_header headers[] = { NART_HTTP_HEADER("content-length", "5"),
                                                NART_HTTP_HEADER("Content-Length", "5") };
    struct fetch f = { .opts = { .body = "hello", .body_len = 5 } };

    CHECK_RES(send_headers(&c, &f, headers, 2), 0);
    nart_tokio_op_close(&f.op);
    const char *length = strstr(c.request, "content-length: 5\r\n");
    CHECK(length != NULL);
    CHECK(strcasestr(length + 1, "content-length") == NULL);
}

/* Longer than what a submission keeps memory for. */
TEST_WITH(many_headers, both)
{
    static struct canned c;
    static nart_http_header headers[90];
    static char values[90][200];
    struct fetch f = { 0 };

    open_canned(&c, "HTTP/1.1 204 No Content\r\n\r\n");
    for (int i = 0; i < 90; i++) {
        memset(values[i], 'v', sizeof values[i] - 1);
        headers[i] = (nart_http_header)NART_HTTP_HEADER("x-many", values[i]);
    }
    f.opts.headers = headers;
    f.opts.n_headers = 90;
    CHECK_RES(fetch_canned(&c, &f, "http"), 0);
    CHECK_EQ(f.status, 204);
    CHECK_LE(90 * 199, strlen(c.request));
    nart_tokio_op_close(&f.op);
}

TEST(a_redirect_to_a_file_is_refused)
{
    CHECK_RES(answer_to("http", "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n\r\n"),
              NART_EHTTP_REDIRECT);
}

TEST(a_response_that_is_not_http)
{
    CHECK_RES(answer_to("http", "220 mail ready\r\n"), NART_EHTTP_PROTOCOL);
}

TEST(a_response_shorter_than_its_length)
{
    CHECK_RES(answer_to("http", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"),
              NART_EHTTP_BODY);
}

TEST(a_server_without_tls)
{
    CHECK_RES(answer_to("https", "HTTP/1.1 400 Bad Request\r\n\r\n"), NART_EHTTP_TLS);
}

/* ---- TLS ---- */

/* On the smallest stack: this needs more of it than anything else. */
TEST(a_certificate_that_is_trusted)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    char ca[] = "/tmp/nart-test-ca-XXXXXX", url[64];
    uint16_t tls_port = 0;
    struct fetch f = { 0 };

    if (test_under_valgrind())
        SKIP("valgrind takes what the ciphers' vector instructions write for uninitialised");
    int fd = mkstemp(ca);

    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(setenv("SSL_CERT_FILE", ca, 1), 0);
    opts.stack = 256 << 10;
    both_open_with(&opts);
    CHECK_RES(test_tls_server(bridge, ca, &tls_port), 0);
    snprintf(url, sizeof url, "https://localhost:%d/", tls_port);
    CHECK_RES(fetch(&f, url), 0);
    CHECK_EQ(f.status, 200);
    CHECK_STR(nart_tokio_op_message(&f.op, NULL), "secret");
    nart_tokio_op_close(&f.op);

    /* The same server under a name that its certificate does not have. */
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", tls_port);
    CHECK_RES(fetch(&f, url), NART_EHTTP_TLS);
    nart_tokio_op_close(&f.op);
    unlink(ca);
}

/* ---- ending ---- */

TEST(cancel_in_flight)
{
    open_all();
    for (int i = 0; i < 20; i++) {
        char url[64];
        nart_http_opts opts = NART_HTTP_OPTS_INIT;
        nart_tokio_op op = { 0 };
        snprintf(url, sizeof url, "http://127.0.0.1:%d/slow/60000", port);
        opts.url = url;
        CHECK_RES(nart_http_request(bridge, &opts, &op), 0);
        random_pause(200000);
        nart_tokio_op_cancel(&op);
        CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
        nart_tokio_op_close(&op);
    }
    CHECK_EQ(fetch_once("/ok/1", NULL), 200);
}

TEST(shutdown_with_an_open_body)
{
    char url[64];
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    nart_tokio_op ops[3] = { 0 };

    open_all();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/stall/1000", port);
    opts.url = url;
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_http_request(bridge, &opts, &ops[i]), 0);
    CHECK_EQ(fetch_once("/slow/10", NULL), 200);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_tokio_op_try(&ops[i], NULL), NART_ESHUTDOWN);
        nart_tokio_op_close(&ops[i]);
    }
    CHECK_RES(nart_http_request(bridge, &opts, &ops[0]), NART_ESHUTDOWN);
}

TEST(one_bridge_after_another)
{
    open_server();
    for (int i = 0; i < 3; i++) {
        both_open();
        CHECK_EQ(fetch_once("/ok/10", NULL), 200);
        both_close();
    }
}

/* While no worker can send them, requests wait; one more than the queue holds is refused. */
TEST(a_full_queue_refuses)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op worker = { 0 }, ops[5] = { 0 };

    opts.queue_cap = 4;
    both_open_with(&opts);
    occupy_worker(&worker);
    get.url = "http://127.0.0.1:1/";
    for (int i = 0; i < 4; i++)
        CHECK_RES(nart_http_request(bridge, &get, &ops[i]), 0);
    CHECK_RES(nart_http_request(bridge, &get, &ops[4]), -EAGAIN);
    CHECK(ops[4].op == NULL);
    nart_tokio_op_close(&ops[0]); /* cancelled in the queue */
    release_worker(&worker);
    for (int i = 1; i < 4; i++) {
        CHECK_RES(wait_for_answer(&ops[i], NULL), NART_EHTTP_CONNECT);
        nart_tokio_op_close(&ops[i]);
    }
}
