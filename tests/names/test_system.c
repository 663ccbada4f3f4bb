/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the system knows without a name server: the same with c-ares and without it. */
#include "names_test.h"

#include "op.h"

#include <nart/fiber.h>

FIXTURE_RT();

enum { ADDRS, REVERSE, HOST };

struct op {
    OP_FIELDS;
    const char *name;
    nart_addr addr, out[8];
    nart_lookup lookup;
    nart_connect connect;
    nart_tcp s;
    char text[NART_NAME_SIZE];
    int64_t kind;
};

static nart_res op_ask(nart_cx *cx, struct op *op)
{
    uint16_t port = nart_addr_port(&op->addr);

    switch (op->kind) {
    case ADDRS:
        return nart_resolve(cx, &op->lookup, op->name, port, op->out, 8, NULL);
    case REVERSE:
        return nart_resolve_reverse(cx, &op->lookup, &op->addr, op->text, sizeof op->text, NULL);
    default:
        return nart_tcp_connect_host(cx, &op->connect, &op->s, op->name, port, NULL);
    }
}

OP_TASK(op_ask);

static nart_res now(struct op *op)
{
    op_start(rt, op);
    while (op->res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    return op->res;
}

static struct op op_of(int kind, const char *name)
{
    struct op op = { .limit = NART_NEVER, .kind = kind, .name = name };

    CHECK_RES(nart_addr_parse(&op.addr, "127.0.0.1:80"), 0);
    return op;
}

TEST_WITH(this_host_has_a_name, rt)
{
    struct op op = op_of(ADDRS, "localhost");
    nart_res n = now(&op);
    bool found = false;

    for (nart_res i = 0; i < n; i++)
        found |= strcmp(text_of(&op.out[i]), "127.0.0.1:80") == 0;
    CHECK(found);
    op.kind = REVERSE;
    CHECK_LE(1, now(&op));
    CHECK_STR(op.text, "localhost");
}

TEST_WITH(this_host_is_connected_to_by_its_name, rt)
{
    OPEN(place, p, "127.0.0.1:0", ANSWERS);
    struct op op = op_of(HOST, "localhost");

    op.addr = p.at;
    CHECK_RES(now(&op), 0);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

/* All at once, so that some wait for a thread of the pool, if there are threads. */
TEST_WITH(leaving_early_leaves_nothing, rt)
{
    static struct op ops[100];

    for (int i = 0; i < 100; i++) {
        ops[i] = op_of(i % 3, "localhost");
        op_spawn(rt, &ops[i]);
    }
    CHECK_LE(0, nart_rt_poll(rt, 0));
    for (int i = 0; i < 100; i += 2)
        (void)nart_task_cancel(rt, ops[i].id);
    for (int i = 1; i < 100; i += 4)
        (void)nart_task_abort(rt, ops[i].id);
    settle(rt);
    for (int i = 3; i < 100; i += 4)
        while (ops[i].res == NART_PENDING)
            CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    for (int i = 0; i < 100; i++)
        CHECK_RES(nart_tcp_close(&ops[i].s), 0);
}

static nart_res in_a_fiber(nart_cx *cx, void *arg)
{
    return nart_await(cx, op_ask(cx, arg));
}

TEST_WITH(a_fiber_looks_up_likewise, rt)
{
    struct op op = op_of(ADDRS, "localhost");
    nart_res answer = 0;

    nart_res r = nart_fiber_block_on(rt, in_a_fiber, &op, NULL, &answer);
    if (r == -ENOSYS)
        SKIP("no fibers on this processor");
    CHECK_RES(r, 0);
    CHECK_LE(1, answer);
}

/* getaddrinfo() reads addresses from these, as inet_aton() does. */
TEST_WITH(a_number_is_no_address, rt)
{
    static const char *const names[] = { "127.1", "127.0.1",    "0x7f.0.0.1", "0x7f000001",
                                         "0",     "2130706433", "127.0.0.0x1" };
    nart_resolver *resolver;

    if (nart_resolver_new(rt, NULL, &resolver) != -ENOSYS) {
        CHECK_RES(nart_resolver_free(resolver), 0);
        SKIP("c-ares asks a name server");
    }
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        struct op op = op_of(i % 2 ? ADDRS : HOST, names[i]);
        CHECK_RES(now(&op), NART_ENONAME);
    }
}
