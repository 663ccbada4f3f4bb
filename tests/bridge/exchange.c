/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "exchange.h"
#include "threads.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the server ---- */

enum { A, B };

struct server {
    const struct exchange *row;
    int listener[2], port[2], fd, left;
    bool over;
    size_t have; /* bytes that were received and not consumed */
    char got[1 << 17];
    char head[1 << 17]; /* the last one */
    pthread_t thread;
};

static struct server server;

NART__NORETURN static void wrong(const char *what)
{
    test_fail(__FILE__, __LINE__, "exchange \"%s\": %s", server.row->name, what);
}

#define MUST(cond) ((cond) ? (void)0 : wrong(#cond))

/* The script cannot go on. Of a request that times out the server may have seen nothing yet. */
static void lost(const char *what)
{
    if (server.row->is != NART_EHTTP_TIMEOUT && server.row->is != NART_EHTTP_READ_TIMEOUT &&
        server.row->is != NART_EHTTP_CONNECT_TIMEOUT)
        wrong(what);
    server.over = true;
}

/* The text with the addresses of the two origins in it. */
static const char *expand(char *to, size_t size, const char *text)
{
    size_t n = 0;
    while (*text) {
        MUST(n + 32 < size);
        if (text[0] == '%' && (text[1] == 'A' || text[1] == 'B')) {
            n += (size_t)sprintf(to + n, "127.0.0.1:%d", server.port[text[1] - 'A']);
            text += 2;
        } else if (text[0] == '%' && text[1] == 'P') {
            n += (size_t)sprintf(to + n, "%d", server.port[A]);
            text += 2;
        } else {
            to[n++] = *text++;
        }
    }
    to[n] = '\0';
    return to;
}

static bool receive(void)
{
    MUST(server.have < sizeof server.got);
    errno = 0;
    ssize_t n = recv(server.fd, server.got + server.have, sizeof server.got - server.have, 0);
    server.have += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static void consume(size_t n)
{
    server.have -= n;
    memmove(server.got, server.got + n, server.have);
}

static void read_head(void)
{
    char *end;
    while (!(end = memmem(server.got, server.have, "\r\n\r\n", 4)))
        if (!receive()) {
            lost("the client closes before it has sent a head");
            return;
        }
    size_t n = (size_t)(end - server.got) + 4;
    MUST(n < sizeof server.head);
    memcpy(server.head, server.got, n);
    server.head[n] = '\0';
    consume(n);
}

static void read_body(size_t n)
{
    while (n > 0) {
        if (server.have == 0 && !receive())
            wrong("the client closes before it has sent a body");
        size_t part = server.have < n ? server.have : n;
        consume(part);
        n -= part;
    }
}

static bool say(const char *text, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(server.fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        text += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void hang_up(bool reset)
{
    struct linger now = { .l_onoff = reset };
    if (server.fd < 0)
        return;
    MUST(setsockopt(server.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(server.fd);
    server.fd = -1;
}

static void receive_all(void)
{
    do
        server.have = 0;
    while (receive());
    MUST(errno != EAGAIN); /* the client keeps the connection open */
}

static void take_connection(int origin)
{
    int on = 1;
    struct timeval hung = { .tv_sec = 60 }; /* only so that a row that hangs is named */
    hang_up(false);
    server.fd = accept(server.listener[origin], NULL, NULL);
    if (server.fd < 0) {
        lost("the client does not connect");
        return;
    }
    MUST(setsockopt(server.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    MUST(setsockopt(server.fd, SOL_SOCKET, SO_RCVTIMEO, &hung, sizeof hung) == 0);
    server.have = 0;
}

static void follow(const struct step *step)
{
    static char text[1 << 16];
    if (step->text && step->n == 0)
        expand(text, sizeof text, step->text);
    switch (step->what) {
    case S_HEAD:
        read_head();
        break;
    case S_BODY:
        read_body(step->n);
        break;
    case S_HAS:
        if (!strcasestr(server.head, text))
            test_fail(__FILE__, __LINE__, "exchange \"%s\": no \"%s\" in: %s", server.row->name,
                      text, server.head);
        break;
    case S_LACKS:
        if (strcasestr(server.head, text))
            test_fail(__FILE__, __LINE__, "exchange \"%s\": \"%s\" in: %s", server.row->name, text,
                      server.head);
        break;
    case S_SAY:
        if (!(step->n ? say(step->text, step->n) : say(text, strlen(text))))
            lost("the client closes while an answer is sent");
        break;
    case S_FLOOD:
        while (say(text, strlen(text)))
            ;
        break;
    case S_GONE:
        receive_all();
        break;
    case S_CLOSE:
        /* In order also when the client has sent more than was read, which would reset it. */
        shutdown(server.fd, SHUT_WR);
        receive_all();
        hang_up(false);
        break;
    case S_RESET:
        hang_up(true);
        break;
    case S_ACCEPT:
        take_connection(A);
        break;
    case S_ACCEPT_B:
        take_connection(B);
        break;
    case S_NEXT:
    case S_NEXT_B:
        server.left = server.fd;
        server.fd = -1;
        take_connection(step->what == S_NEXT ? A : B);
        break;
    case END:
        break;
    }
}

static void *serve(void *arg)
{
    (void)arg;
    const struct step *step = server.row->script;
    server.fd = server.left = -1;
    server.over = false;
    if (step->what == END)
        return NULL; /* the client does not send it */
    if (step->what != S_ACCEPT_B)
        take_connection(A);
    for (; step->what != END && !server.over; step++)
        follow(step);
    return NULL;
}

static void open_listener(int origin)
{
    int small = 1 << 16, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* So that BIG is more than what fits between client and server. */
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    server.port[origin] = listen_locally(fd, 8);
    server.listener[origin] = fd;
}

/* ---- the client ---- */

static nart_http_client *client;

static void open_client(const nart_http_client_opts *given)
{
    static char proxy[256], why[256];
    nart_http_client_opts opts = *given;

    if (opts.proxy)
        opts.proxy = expand(proxy, sizeof proxy, opts.proxy);
    opts.size = sizeof opts;
    opts.error = why;
    opts.error_len = sizeof why;
    if (nart_http_client_new(bridge, &opts, &client) != 0)
        wrong(why);
}

/* Sends the row's request; `text` NULL: the body is not checked. */
static void request(const struct exchange *row, int64_t is, const char *text)
{
    static char url[4096], values[HEADERS][256], big[BIG];
    nart_http_header headers[HEADERS];
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    int64_t answer = 0;
    size_t len;

    opts.url = expand(url, sizeof url, row->url ? row->url : "http://%A/");
    opts.method = row->method;
    while (opts.n_headers < HEADERS && row->headers[opts.n_headers].name) {
        size_t i = opts.n_headers++;
        headers[i] = row->headers[i];
        if (headers[i].value_len == 0)
            headers[i].value = expand(values[i], sizeof values[i], row->headers[i].value);
    }
    opts.headers = headers;
    opts.body = row->body ? row->body : big;
    opts.body_len = row->body ? strlen(row->body) : row->body_len;
    opts.max_body = row->max_body;
    opts.timeout_ns = row->timeout_ns;
    opts.redirects = row->redirects;
    opts.client = client;
    CHECK_RES(nart_http_request(bridge, &opts, &op), 0);
    nart_res r = wait_for_answer(&op, &answer);
    const char *said = nart_tokio_op_message(&op, &len);
    if (r < 0)
        answer = r;
    if (answer != is)
        test_fail(__FILE__, __LINE__, "exchange \"%s\": %lld %s, not %lld: %s", row->name,
                  (long long)answer, r < 0 ? nart_err_name(r) : "", (long long)is, said);
    if (r < 0)
        MUST(len > 0); /* the reason */
    if (r >= 0 && text && strcmp(said, text) != 0)
        test_fail(__FILE__, __LINE__, "exchange \"%s\": the body is \"%s\"", row->name, said);
    if (row->check)
        row->check(&op);
    nart_tokio_op_close(&op);
}

static void play(const struct exchange *row)
{
    server.row = row;
    open_listener(A);
    open_listener(B);
    server.thread = thread_start(serve, NULL);
    if (row->client)
        open_client(row->client);
    request(row, row->is, row->text);
    if (row->again)
        request(row, row->again, row->again == row->is ? row->text : NULL);
    nart_http_client_free(client);
    client = NULL;
    /* A script that waits for one more connection fails here. */
    shutdown(server.listener[A], SHUT_RDWR);
    shutdown(server.listener[B], SHUT_RDWR);
    thread_join(server.thread);
    hang_up(false);
    if (server.left >= 0)
        close(server.left);
    close(server.listener[A]);
    close(server.listener[B]);
}

void play_all(const struct exchange *rows, size_t n)
{
    both_open();
    for (size_t i = 0; i < n; i++)
        play(&rows[i]);
}
