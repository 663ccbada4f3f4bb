/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every call that answers NART_EWRONGTHREAD, from a thread unrelated to the runtime while its
 * loop runs. The check must not be a data race: ThreadSanitizer would fail the test. */
#include "../core/core.h"
#include "threads.h"

#include <nart/nart.h>

#include <signal.h>
#include <unistd.h>

static nart_rt *rt;
static nart_task id;
static nart_join join;
static nart_token token;
static nart_tcp_listener listener;
static nart_tcp tcp;
static nart_udp udp;
static nart_fd fd;
static nart_watch watch;
static nart_rx rx, unbound;
static nart_tx tx, unbound_tx;
static nart_bytes_rx bytes_rx, unbound_bytes;
static nart_bytes_tx bytes_tx, unbound_bytes_tx;
static nart_task_set set;
static nart_task_set_node node;
static nart_world *world;
static nart_addr localhost;
static unsigned polls; /* of the loop, since the other thread started */
static bool enough;

/* ---- the loop's work meanwhile ---- */

struct busy {
    nart_co co;
    nart_timer timer;
    uint64_t value;
    nart_res r;
    bool spawns;
};

static const nart_task_type busy_type;

static nart_res busy_run(nart_cx *cx, void *frame)
{
    struct busy *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 1000));
        if (f->r < 0)
            break;
        if (f->spawns)
            CHECK_RES(nart_spawn(cx, &busy_type, &(struct busy){ .spawns = false }, NULL), 0);
        else
            break;
    }
    NART_END(f->r);
}

static const nart_task_type busy_type = NART_TASK_TYPE(struct busy, busy_run, NULL);

/* ---- the calls ---- */

static nart_res with_begun(void *frame, nart_res err)
{
    CHECK(frame == NULL);
    return err;
}

static nart_res spawn_begin(void)
{
    nart_res err = 0;
    void *frame = nart_rt_spawn_begin(rt, &busy_type, &err);
    return with_begun(frame, err);
}

static nart_res spawn_boxed_begin(void)
{
    nart_res err = 0;
    void *frame = nart_rt_spawn_boxed_begin(rt, &busy_type, &err);
    return with_begun(frame, err);
}

static nart_res fd_open(void)
{
    nart_fd other;
    return nart_fd_open(rt, 0, NART_FD_BORROW, &other);
}

static void watched(nart_watch *w, uint32_t events, void *arg)
{
    (void)w, (void)events, (void)arg;
}

static nart_res tcp_listen(void)
{
    nart_tcp_listener other;
    nart_addr a;
    CHECK_RES(nart_addr_parse(&a, "127.0.0.1:0"), 0);
    return nart_tcp_listen(rt, &a, NULL, &other);
}

static nart_res tcp_adopt(void)
{
    nart_tcp other;
    return nart_tcp_adopt(rt, 0, &other);
}

static nart_res tcp_detach(void)
{
    size_t residue;
    int out;
    return nart_tcp_detach(&tcp, &out, NULL, 0, &residue);
}

static nart_res listener_adopt(void)
{
    nart_tcp_listener other;
    return nart_tcp_listener_adopt(rt, 0, &other);
}

static nart_res listener_detach(void)
{
    int out;
    return nart_tcp_listener_detach(&listener, &out);
}

static nart_res udp_adopt(void)
{
    nart_udp other;
    return nart_udp_adopt(rt, 0, &other);
}

static nart_res udp_detach(void)
{
    int out;
    return nart_udp_detach(&udp, &out);
}

static nart_res udp_open(void)
{
    nart_udp other;
    nart_addr a;
    CHECK_RES(nart_addr_parse(&a, "127.0.0.1:0"), 0);
    return nart_udp_open(rt, &a, NULL, &other);
}

static nart_res udp_addr(void)
{
    nart_addr a;
    return nart_udp_local_addr(&udp, &a);
}

static nart_res listener_addr(void)
{
    nart_addr a;
    return nart_tcp_listener_addr(&listener, &a);
}

static nart_res chan_open(void)
{
    const nart_chan_opts o = { .size = sizeof o, .kind = NART_CHAN_SPSC, .elem = 8, .capacity = 4 };
    nart_tx t;
    nart_rx r;
    return nart_chan_open(rt, &o, &t, &r);
}

static nart_res bytes_open(void)
{
    const nart_bytes_opts o = { .size = sizeof o, .kind = NART_BYTES_SPSC, .capacity = 64 };
    nart_bytes_tx t;
    nart_bytes_rx r;
    return nart_bytes_open(rt, &o, &t, &r);
}

static nart_res oneshot_open(void)
{
    nart_oneshot_tx t;
    nart_oneshot_rx r;
    return nart_oneshot_open(rt, 8, NULL, &t, &r);
}

static nart_res watch_open(void)
{
    nart_watch_tx t;
    nart_watch_rx r;
    return nart_watch_open(rt, 8, &(uint64_t){ 0 }, &t, &r);
}

static nart_res broadcast_open(void)
{
    nart_broadcast_tx t;
    nart_broadcast_rx r;
    return nart_broadcast_open(rt, 8, 4, &t, &r);
}

static nart_res token_new(void)
{
    nart_token t;
    return nart_token_new(rt, &t);
}

static nart_res token_child_on(void)
{
    nart_token t;
    return nart_token_child_on(&token, rt, &t);
}

static nart_res recv_blocking(void)
{
    uint64_t value;
    return nart_recv_blocking(&rx, &value, 0);
}

static nart_res bytes_recv_blocking(void)
{
    nart_bytes_msg msg;
    return nart_bytes_recv_blocking(&bytes_rx, &msg, 0);
}

/* ---- the calls: LIST() puts one into the table ---- */

static struct {
    const char *name;
    nart_res (*call)(void);
} calls[96];
static size_t call_count;

#define LIST(fn)                                                                                   \
    __attribute__((constructor)) static void list_##fn(void)                                       \
    {                                                                                              \
        calls[call_count].name = #fn;                                                              \
        calls[call_count++].call = fn;                                                             \
    }

LIST(spawn_begin)
LIST(spawn_boxed_begin)
LIST(fd_open)
LIST(tcp_listen)
LIST(listener_addr)
LIST(tcp_adopt)
LIST(tcp_detach)
LIST(listener_adopt)
LIST(listener_detach)
LIST(udp_adopt)
LIST(udp_detach)
LIST(udp_open)
LIST(udp_addr)
LIST(chan_open)
LIST(bytes_open)
LIST(oneshot_open)
LIST(watch_open)
LIST(broadcast_open)
LIST(token_new)
LIST(token_child_on)
LIST(recv_blocking)
LIST(bytes_recv_blocking)

static const nart_resource key = { .abi = NART_WORLD_ABI, .name = "key" };

#define CALL(name, call)                                                                           \
    static nart_res name(void)                                                                     \
    {                                                                                              \
        return (call);                                                                             \
    }                                                                                              \
    LIST(name)

CALL(rt_free, nart_rt_free(rt))
CALL(rt_free_counted, nart_rt_free_counted(rt, NULL))
CALL(rt_run, nart_rt_run(rt))
CALL(rt_poll, nart_rt_poll(rt, 0))
CALL(block_on, nart_block_on(rt, &busy_type, NULL, NULL))
CALL(rt_spawn, nart_rt_spawn(rt, &busy_type, NULL, NULL))
CALL(rt_spawn_boxed, nart_rt_spawn_boxed(rt, &busy_type, NULL, NULL))
CALL(task_cancel, nart_task_cancel(rt, id))
CALL(task_abort, nart_task_abort(rt, id))
CALL(set_cancel, nart_task_set_cancel(&set))
CALL(set_abort, nart_task_set_abort(&set))
CALL(rt_shutdown, nart_rt_shutdown(rt))
CALL(quiesce, nart_rt_quiesce(rt, 0, NULL))
CALL(shutdown_within, nart_rt_shutdown_within(rt, 0, 0, NULL))
CALL(shutdown_on, nart_rt_shutdown_on(rt, SIGUSR1))
CALL(shutdown_off, nart_rt_shutdown_off(rt, SIGUSR1))
CALL(clock_pause, nart_rt_clock_pause(rt))
CALL(clock_advance, nart_rt_clock_advance(rt, 1))
CALL(clock_auto, nart_rt_clock_auto(rt))
CALL(clock_resume, nart_rt_clock_resume(rt))
CALL(observe, nart_rt_observe(rt, NULL))
CALL(observe_stop, nart_rt_observe_stop(rt))
CALL(percentile, nart_rt_poll_percentile(rt, 50))
CALL(polls_within, nart_rt_polls_within(rt, 1))
CALL(trace_start, nart_trace_start(rt, 1))
CALL(trace_print, nart_trace_print(rt, stdout))
CALL(trace_stop, nart_trace_stop(rt, NULL))
CALL(fd_close, nart_fd_close(&fd))
CALL(fd_fd, nart_fd_fd(&fd))
CALL(fd_detach, nart_fd_detach(&fd))
CALL(watch_start, nart_watch_start(rt, &watch, 0, watched, NULL))
CALL(watch_set, nart_watch_set(&watch, NART_READ, NART_NEVER))
CALL(watch_stop, nart_watch_stop(&watch))
CALL(listener_close, nart_tcp_listener_close(&listener))
CALL(listener_fd, nart_tcp_listener_fd(&listener))
CALL(tcp_try_recv, nart_tcp_try_recv(&tcp, &(char){ 0 }, 1))
CALL(tcp_try_urgent, nart_tcp_try_recv_urgent(&tcp, &(uint8_t){ 0 }))
CALL(tcp_try_send, nart_tcp_try_send(&tcp, "x", 1))
CALL(udp_try_recv, nart_udp_try_recv(&udp, &(char){ 0 }, 1, NULL))
CALL(udp_try_send, nart_udp_try_send(&udp, "x", 1, &localhost))
CALL(tcp_close, nart_tcp_close(&tcp))
CALL(tcp_reset, nart_tcp_reset(&tcp))
CALL(tcp_fd, nart_tcp_fd(&tcp))
CALL(tcp_shutdown, nart_tcp_shutdown(&tcp, NART_WRITE))
CALL(tcp_set_nodelay, nart_tcp_set_nodelay(&tcp, true))
CALL(tcp_nodelay, nart_tcp_nodelay(&tcp))
CALL(tcp_local_addr, nart_tcp_local_addr(&tcp, &(nart_addr){ .len = 0 }))
CALL(tcp_peer_addr, nart_tcp_peer_addr(&tcp, &(nart_addr){ .len = 0 }))
CALL(udp_connect, nart_udp_connect(&udp, &localhost))
CALL(rt_reserve, nart_rt_reserve(rt, 64, 1))
CALL(rt_reserve_io, nart_rt_reserve_io(rt, 1))
CALL(udp_fd, nart_udp_fd(&udp))
CALL(udp_close, nart_udp_close(&udp))
CALL(rx_bind, nart_rx_bind(&unbound, rt))
CALL(bytes_rx_bind, nart_bytes_rx_bind(&unbound_bytes, rt))
CALL(world_free, nart_world_free(world))
CALL(world_has, nart_world_has(world, &key))
CALL(world_add, nart_world_add(world, &key, NULL, NULL))

static void *call_all(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&polls, __ATOMIC_RELAXED) < 200)
        for (size_t k = 0; k < call_count; k++) {
            nart_res r = calls[k].call();
            if (r != NART_EWRONGTHREAD)
                test_fail(__FILE__, __LINE__, "%s: %s", calls[k].name, nart_err_name(r));
        }
    __atomic_store_n(&enough, true, __ATOMIC_RELAXED);
    return NULL;
}

static nart_res fill_run(nart_cx *cx, void *frame)
{
    (void)frame;
    CHECK_RES(nart_task_set_spawn(cx, &set, &busy_type, &(struct busy){ .spawns = true }), 0);
    return 0;
}

static const nart_task_type fill_type = NART_TASK_TYPE(int, fill_run, NULL);

static void open_all(void)
{
    const nart_chan_opts c = { .size = sizeof c, .kind = NART_CHAN_SPSC, .elem = 8, .capacity = 4 };
    const nart_bytes_opts b = { .size = sizeof b, .kind = NART_BYTES_SPSC, .capacity = 64 };
    nart_addr a;
    int pair[2], sock;

    CHECK_EQ(pipe(pair), 0);
    close(pair[1]);
    CHECK_RES(nart_fd_open(rt, pair[0], 0, &fd), 0);
    CHECK_RES(nart_watch_start(rt, &watch, -1, watched, NULL), 0);
    CHECK_RES(nart_addr_parse(&a, "127.0.0.1:0"), 0);
    localhost = a;
    CHECK_RES(nart_tcp_listen(rt, &a, NULL, &listener), 0);
    CHECK_RES(nart_udp_open(rt, &a, NULL, &udp), 0);
    sock = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_LE(0, sock);
    CHECK_RES(nart_tcp_adopt(rt, sock, &tcp), 0);
    CHECK_RES(nart_token_new(rt, &token), 0);
    CHECK_RES(nart_chan_open(rt, &c, &tx, &rx), 0);
    CHECK_RES(nart_chan_open(rt, &c, &unbound_tx, &unbound), 0);
    CHECK_RES(nart_rx_bind(&unbound, NULL), 0);
    CHECK_RES(nart_bytes_open(rt, &b, &bytes_tx, &bytes_rx), 0);
    CHECK_RES(nart_bytes_open(rt, &b, &unbound_bytes_tx, &unbound_bytes), 0);
    CHECK_RES(nart_bytes_rx_bind(&unbound_bytes, NULL), 0);
    CHECK_RES(nart_world_new(&test_alloc, &world), 0);
    nart_task_set_init(&set, &node, 1);
}

static void close_all(void)
{
    nart_task_set_close(&set);
    nart_join_release(&join);
    nart_token_release(&token);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_tx_close(&unbound_tx);
    nart_rx_close(&unbound);
    nart_bytes_tx_close(&bytes_tx);
    nart_bytes_rx_close(&bytes_rx);
    nart_bytes_tx_close(&unbound_bytes_tx);
    nart_bytes_rx_close(&unbound_bytes);
    CHECK_RES(nart_fd_close(&fd), 0);
    CHECK_RES(nart_watch_stop(&watch), 0);
    CHECK_RES(nart_tcp_listener_close(&listener), 0);
    CHECK_RES(nart_tcp_close(&tcp), 0);
    CHECK_RES(nart_udp_close(&udp), 0);
    CHECK_RES(nart_world_free(world), 0);
}

TEST(every_call_from_another_thread)
{
    rt = new_rt();
    open_all();
    CHECK_RES(nart_rt_spawn(rt, &busy_type, &(struct busy){ .spawns = true }, &join), 0);
    id = nart_join_task(&join);
    CHECK_RES(nart_block_on(rt, &fill_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    pthread_t thread = thread_start(call_all, NULL);
    while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
        CHECK_LE(0, nart_rt_poll(rt, 1000));
        __atomic_store_n(&polls, polls + 1, __ATOMIC_RELAXED);
    }
    thread_join(thread);
    close_all();
    CHECK_RES(nart_rt_free(rt), 0);
}
