/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load.c: makes requests to kvproxy, and checks each reply against a model of the store.
 *
 *   kvproxy_load [-c CLIENTS] [-n BATCHES] [-b REQUESTS] [-k KEYS] [-i FIRST_CLIENT] [-s SEED] [-t] [-x] ADDR:PORT
 *
 * Each client has a connection. It sends batches of requests, and reads a line for each, in order. It writes
 * its own keys, which must be new to the store, and reads those of all. It ends after a number of batches, or at
 * SIGTERM.
 *
 *   -t   connects again if the connection ends. Otherwise that is an error
 *   -x   also closes connections in the middle of a batch, which then writes a key that nobody reads
 *
 * Prints how many replies of each kind it got. The exit status is 0 if all were right. */
#include "model.h"
#include "request.h"

#include <nart/nart.h>
#include <nart/net.h>
#include <nart/shutdown.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 64 };

struct load {
    unsigned clients, first, keys, batches, batch;
    bool tolerant, unruly;
    nart_addr addr;
    struct key *key; /* clients * keys */
    uint64_t random;
    /* What was replied, and what was not because the connection ended. */
    uint64_t requests, value, none, ok, pong, busy, fail, lost, wrong;
};

static struct load load;

static uint64_t draw(void)
{
    load.random ^= load.random << 13;
    load.random ^= load.random >> 7;
    load.random ^= load.random << 17;
    return load.random >> 11;
}

/* ---- a request and its reply ---- */

struct sent {
    enum verb verb;
    struct key *key;
    bool own;     /* the key is this client's */
    bool scratch; /* nobody reads the key */
    struct range range;
    uint64_t version; /* that is written */
};

struct client {
    nart_co co, batch;
    nart_tcp sock;
    nart_timer pause;
    unsigned number, batches, n, i, until; /* `until`: replies that it reads of this batch */
    struct key scratch;
    size_t out_len, done, len, line;
    struct sent sent[BATCH];
    char out[BATCH * (LINE_MAX_LEN + 1)], in[VALUE_MAX + 256];
};

/* Appends a request to the batch. */
static void make_request(struct client *c, struct sent *s, bool scratch)
{
    char name[NAME_MAX_LEN], value[VALUE_MAX + 1] = "";
    static const char *const words[] = { "PING", "", "GET ", "SET ", "DEL " };
    uint64_t kind = draw() % 32;
    unsigned owner = kind % 2 ? c->number : (unsigned)(draw() % load.clients);
    size_t n = 0;

    *s = (struct sent){ .verb = VERB_PING };
    if (kind > 0) {
        s->verb = kind <= 20 ? VERB_GET : VERB_SET;
        owner = s->verb == VERB_SET ? c->number : owner;
        s->key = &load.key[(size_t)owner * load.keys + draw() % load.keys];
        s->scratch = scratch && s->verb == VERB_SET;
        if (s->scratch)
            s->key = &c->scratch;
        s->own = owner == c->number;
        n = key_name(s->key, name);
    }
    if (s->verb == VERB_SET) {
        s->version = key_next(s->key);
        if (key_deletes(s->key, s->version))
            s->verb = VERB_DEL;
        else
            key_value(s->key, s->version, value);
    }
    if (s->key)
        s->range = key_range(s->key);
    c->out_len +=
        (size_t)snprintf(c->out + c->out_len, sizeof c->out - c->out_len, "%s%.*s%s%s\n",
                         words[s->verb], (int)n, name, s->verb == VERB_SET ? " " : "", value);
}

/* A reply to a GET. What a client reads of its own key, nobody may have changed since. */
static bool check_get(struct sent *s, const char *value, size_t len)
{
    uint64_t version;
    struct range in = s->range;

    if (s->own) {
        in.low = s->key->low;
        in.from = s->key->from;
    } else {
        in.to = s->key->tried;
    }
    if (!key_check(s->key, in, value, len, &version))
        return false;
    if (s->own)
        key_settle(s->key, version, in.to);
    return true;
}

static bool check_write(struct sent *s, bool none)
{
    struct range before = { s->key->low, s->key->from, s->version - 1 };
    uint64_t version;
    bool right = s->verb == VERB_SET || key_may_exist(s->key, before);

    if (none)
        right = s->verb == VERB_DEL && key_check(s->key, before, NULL, 0, &version);
    key_settle(s->key, s->version, s->version);
    return right || s->scratch; /* which closed connections may still write */
}

/* Checks and counts a reply, which is a line without its end. */
static bool check_reply(struct sent *s, const char *text, size_t len)
{
    bool get = s->verb == VERB_GET, write = s->verb == VERB_SET || s->verb == VERB_DEL;

    load.requests++;
    if (len >= 6 && memcmp(text, "VALUE ", 6) == 0) {
        load.value++;
        return get && check_get(s, text + 6, len - 6);
    }
    if (strcmp(text, "NONE") == 0) {
        load.none++;
        return get ? check_get(s, NULL, 0) : write && check_write(s, true);
    }
    if (strcmp(text, "OK") == 0) {
        load.ok++;
        return write && check_write(s, false);
    }
    if (strcmp(text, "BUSY") == 0) {
        load.busy++;
        if (write)
            key_refused(s->key, s->version);
        return true; /* also of a PING: to a connection that is refused */
    }
    if (strncmp(text, "FAIL ", 5) == 0) {
        load.fail++;
        return get || write;
    }
    load.pong++;
    return s->verb == VERB_PING && strcmp(text, "PONG") == 0;
}

/* ---- a client ---- */

/* Waits until `in` begins with a line, of `line` bytes without its end. 0: the connection ended. */
static nart_res line_await(nart_cx *cx, struct client *c)
{
    for (;;) {
        char *end = memchr(c->in, '\n', c->len);
        if (end) {
            *end = '\0';
            c->line = (size_t)(end - c->in);
            return 1;
        }
        nart_res r = nart_tcp_recv(cx, &c->sock, c->in + c->len, sizeof c->in - c->len);
        if (r <= 0)
            return r;
        c->len += (size_t)r;
    }
}

static void make_batch(struct client *c)
{
    bool unruly = load.unruly && draw() % 8 == 0;

    c->n = 1 + (unsigned)(draw() % load.batch);
    c->until = unruly ? (unsigned)(draw() % c->n) : c->n;
    c->out_len = c->done = c->i = 0;
    for (unsigned i = 0; i < c->n; i++)
        make_request(c, &c->sent[i], unruly);
}

/* Answers 1 if all replies were read. */
static nart_res batch_run(nart_cx *cx, struct client *c)
{
    nart_res r = 1;

    NART_BEGIN(cx, &c->batch);
    make_batch(c);
    NART_AWAIT(r, nart_tcp_send_all(cx, &c->sock, c->out, c->out_len, &c->done));
    for (; c->i < c->until && r > 0; c->i++) {
        NART_AWAIT(r, line_await(cx, c));
        if (r <= 0)
            break;
        if (!check_reply(&c->sent[c->i], c->in, c->line)) {
            struct sent *s = &c->sent[c->i];
            load.wrong++;
            fprintf(stderr,
                    "wrong: a reply to verb %d, key %u of client %u, in %" PRIu64 " or %" PRIu64
                    " to %" PRIu64 ": %.60s\n",
                    (int)s->verb, s->key ? s->key->index : 0, s->key ? s->key->owner : 0,
                    s->range.low, s->range.from, s->range.to, c->in);
        }
        c->len -= c->line + 1;
        memmove(c->in, c->in + c->line + 1, c->len);
    }
    load.lost += c->n - c->i;
    NART_END(c->i == c->n ? 1 : r < 0 ? r : 0);
}

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = *(struct client **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    while (c->batches != load.batches && !nart_rt_is_shutdown(nart_cx_rt(cx))) {
        NART_AWAIT(r, nart_tcp_connect(cx, &c->sock, &load.addr));
        for (c->len = 0; r >= 0 && c->batches != load.batches; c->batches++) {
            NART_AWAIT(r, batch_run(cx, c));
            if (r <= 0 || nart_rt_is_shutdown(nart_cx_rt(cx)))
                break;
        }
        nart_tcp_close(&c->sock);
        if (r == 1)
            continue;
        if (r < 0 || c->until == c->n) {
            if (!load.tolerant) {
                fprintf(stderr, "a connection ended: %s\n", nart_strerror(r));
                load.wrong++;
                NART_RETURN(r);
            }
            NART_AWAIT(r, nart_sleep(cx, &c->pause, NART_MS));
        }
    }
    NART_END(r);
}

static const nart_task_type client_type = NART_TASK_TYPE(struct client *, client_run, NULL);

/* ---- the program ---- */

static bool parse(int argc, char **argv)
{
    int c, value = 0;
    char more;

    while ((c = getopt(argc, argv, "c:n:b:k:i:s:tx")) != -1) {
        if (strchr("cnbkis", c) && (sscanf(optarg, "%9d%c", &value, &more) != 1 || value < 0))
            return false;
        unsigned n = (unsigned)value;
        switch (c) {
        case 'c':
            load.clients = n;
            break;
        case 'n':
            load.batches = n;
            break;
        case 'b':
            load.batch = n;
            break;
        case 'k':
            load.keys = n;
            break;
        case 'i':
            load.first = n;
            break;
        case 's':
            load.random += n;
            break;
        case 't':
            load.tolerant = true;
            break;
        case 'x':
            load.unruly = true;
            break;
        default:
            return false;
        }
    }
    return optind == argc - 1 && load.clients > 0 && load.keys > 0 && load.batch > 0 &&
           load.batch <= BATCH && nart_addr_parse(&load.addr, argv[optind]) == 0;
}

static nart_res start(nart_rt *rt, struct client *clients)
{
    nart_res r = nart_rt_shutdown_on(rt, SIGTERM);

    for (unsigned i = 0; i < load.clients && r == 0; i++) {
        struct client *c = &clients[i];
        c->number = i;
        c->scratch = (struct key){ .owner = load.first + i, .index = load.keys, .from = 1 };
        for (unsigned j = 0; j < load.keys; j++)
            load.key[(size_t)i * load.keys + j] =
                (struct key){ .owner = load.first + i, .index = j, .from = 1 };
        r = nart_rt_spawn(rt, &client_type, &c, NULL);
    }
    return r;
}

int main(int argc, char **argv)
{
    nart_rt *rt = NULL;

    load = (struct load){ .clients = 16,
                          .keys = 16,
                          .batch = 16,
                          .batches = UINT32_MAX,
                          .random = UINT64_C(0x9e3779b97f4a7c15) };
    if (!parse(argc, argv)) {
        fputs("usage: kvproxy_load [-c CLIENTS] [-n BATCHES] [-b REQUESTS] [-k KEYS]\n"
              "                    [-i FIRST_CLIENT] [-s SEED] [-t] [-x] ADDR:PORT\n",
              stderr);
        return 2;
    }
    struct client *clients = calloc(load.clients, sizeof *clients);
    load.key = calloc((size_t)load.clients * load.keys, sizeof *load.key);
    nart_res r = clients && load.key ? nart_rt_new(NULL, &rt) : -ENOMEM;
    if (r == 0)
        r = start(rt, clients);
    if (r == 0)
        r = nart_rt_run(rt);
    if (r < 0)
        fprintf(stderr, "kvproxy_load: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    free(clients);
    free(load.key);
    printf("requests %" PRIu64 " value %" PRIu64 " none %" PRIu64 " ok %" PRIu64 " pong %" PRIu64
           " busy %" PRIu64 " fail %" PRIu64 " lost %" PRIu64 " wrong %" PRIu64 "\n",
           load.requests, load.value, load.none, load.ok, load.pong, load.busy, load.fail,
           load.lost, load.wrong);
    return r < 0 || load.wrong > 0;
}
