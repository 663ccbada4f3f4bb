/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Conversations, and work with files and children, in which each system call fails in turn, with each of its errors (faults.h): the operation answers
 * that error, and once all is closed no descriptor is left. */
#include "faults_files.h"

#include "../net/net_test.h"

#include <nart/fiber.h>
#include <nart/file.h>
#include <nart/half.h>
#include <nart/msg.h>
#include <nart/pipe.h>
#include <nart/process.h>
#include <nart/socket.h>
#include <nart/stream.h>
#include <nart/unix.h>

#include <stdlib.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* Ends the conversation with the first error. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        nart_res try_ = (call);                                                                    \
        if (try_ < 0)                                                                              \
            return try_;                                                                           \
    } while (0)
#define AWAIT(call) TRY(nart_await(cx, (call)))

/* nart_tcp_accept() takes the next connection instead (accept(2), "Error handling"). */
static bool is_passed_over(int error)
{
    return error != -EMFILE && error != -ENFILE && error != -ENOBUFS && error != -ENOMEM;
}

/* What a conversation opens; all of it is closed at its end. */
static struct {
    nart_tcp_listener listener;
    nart_tcp client, server;
    nart_socket socket[2];
    nart_udp udp[2];
    nart_tcp_half half[2];
    nart_unix_listener unix_listener;
    nart_unix u[2];
    nart_unix_dgram dgram[2];
    nart_fd in, out;
    nart_stream from, to;
    nart_stream_copier copier;
    nart_file file;
    nart_file_op op;
    char *loaded;
    nart_process process;
    nart_process_output output;
} open_;

/* In a directory of their own: what its files are called. */
static char temp[16], temp_directory[16];

static void remove_files(void)
{
    const char *const names[] = { "f", "g", "h", "i", "l", "a/b", "a", "d", temp, temp_directory };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)remove(names[i]);
}

static void close_open(void)
{
    int all = calls;

    nart_stream_copier_finish(&open_.copier);
    CHECK_RES(nart_tcp_listener_close(&open_.listener), 0);
    CHECK_RES(nart_tcp_close(&open_.client), 0);
    CHECK_RES(nart_tcp_close(&open_.server), 0);
    CHECK_RES(nart_unix_listener_close(&open_.unix_listener), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_socket_close(&open_.socket[i]), 0);
        CHECK_RES(nart_udp_close(&open_.udp[i]), 0);
        CHECK_RES(nart_tcp_half_close(&open_.half[i]), 0);
        CHECK_RES(nart_unix_close(&open_.u[i]), 0);
        CHECK_RES(nart_unix_dgram_close(&open_.dgram[i]), 0);
    }
    CHECK_RES(nart_fd_close(&open_.in), 0);
    CHECK_RES(nart_fd_close(&open_.out), 0);
    nart_file_finish(&open_.file);
    nart_file_op_close(&open_.op);
    free(open_.loaded);
    CHECK_RES(nart_process_close(&open_.process), 0);
    nart_process_output_finish(&open_.output);
    memset(&open_, 0, sizeof open_);
    remove_files();
    calls = all;
}

static char buf[4096];

static nart_addr abstract_name(const char *name)
{
    nart_addr a;
    char text[64];

    snprintf(text, sizeof text, "unix:@nart-faults-%d-%s", (int)getpid(), name);
    CHECK_RES(nart_addr_parse(&a, text), 0);
    return a;
}

static nart_res connected(nart_cx *cx)
{
    nart_addr at = localhost();

    TRY(nart_tcp_listen_here(cx, &at, NULL, &open_.listener));
    TRY(nart_tcp_listener_addr(&open_.listener, &at));
    absorbed = "setsockopt"; /* TCP_NODELAY */
    AWAIT(nart_tcp_connect(cx, &open_.client, &at));
    absorbed = "accept";
    AWAIT(nart_tcp_accept(cx, &open_.listener, &open_.server, NULL));
    absorbed = NULL;
    return 0;
}

static nart_res tcp(nart_cx *cx)
{
    nart_tcp_writer w = { 0 };
    nart_addr a;
    size_t done = 0;

    TRY(connected(cx));
    TRY(nart_tcp_set_nodelay(&open_.client, true));
    TRY(nart_tcp_nodelay(&open_.client));
    TRY(nart_tcp_local_addr(&open_.client, &a));
    TRY(nart_tcp_peer_addr(&open_.client, &a));
    AWAIT(nart_tcp_send_all(cx, &open_.client, "12345678", 8, &done));
    AWAIT(nart_tcp_peek(cx, &open_.server, buf, 1));
    AWAIT(nart_tcp_recv(cx, &open_.server, buf, 2));
    TRY(nart_tcp_try_recv(&open_.server, buf, 2));
    AWAIT(nart_tcp_recv(cx, &open_.server, buf, sizeof buf));
    TRY(nart_tcp_writer_set(&w, "answer", 6));
    AWAIT(nart_tcp_write(cx, &open_.server, &w));
    TRY(nart_tcp_try_send(&open_.server, "!", 1));
    AWAIT(nart_tcp_send_urgent(cx, &open_.server, '!'));
    AWAIT(nart_tcp_ready(cx, &open_.client, NART_READ));
    AWAIT(nart_tcp_recv(cx, &open_.client, buf, sizeof buf));
    TRY(nart_tcp_shutdown(&open_.server, NART_WRITE));
    AWAIT(nart_tcp_recv(cx, &open_.client, buf, sizeof buf));
    return 0;
}

static nart_res tcp_pieces(nart_cx *cx)
{
    struct iovec pieces[] = { { buf, 2 }, { buf + 2, 2 } };
    nart_msg m = { .pieces = pieces, .n = 2 };
    size_t done = 0;

    TRY(connected(cx));
    AWAIT(nart_tcp_sendv(cx, &open_.client, pieces, 2));
    AWAIT(nart_tcp_sendv_all(cx, &open_.client, pieces, 2, &done));
    AWAIT(nart_tcp_sendmsg(cx, &open_.client, &m));
    AWAIT(nart_tcp_recvv(cx, &open_.server, pieces, 2));
    AWAIT(nart_tcp_recvmsg(cx, &open_.server, &m));
    return 0;
}

static nart_res tcp_files(nart_cx *cx)
{
    size_t done = 0;

    TRY(connected(cx));
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    nart_res r = nart_await(cx, nart_tcp_send_file(cx, &open_.client, fd, 0, 10, &done));
    close(fd);
    TRY(r);
    TRY(nart_pipe_open_here(cx, &open_.in, &open_.out));
    AWAIT(nart_fd_write(cx, &open_.out, "1234", 4));
    AWAIT(nart_tcp_send_pipe(cx, &open_.client, &open_.in, 4, &done));
    AWAIT(nart_tcp_recv(cx, &open_.server, buf, sizeof buf));
    return 0;
}

static nart_res tcp_later(nart_cx *cx)
{
    nart_addr at = localhost();
    int fds[2];

    raw_pair(&fds[0], &fds[1]);
    close(fds[1]);
    absorbed = "setsockopt"; /* TCP_NODELAY */
    nart_res r = nart_tcp_adopt_here(cx, fds[0], &open_.server);
    if (r < 0)
        close(fds[0]);
    TRY(r);
    TRY(nart_socket_open(&open_.socket[0], AF_INET, SOCK_STREAM));
    TRY(nart_socket_bind(&open_.socket[0], &at));
    TRY(nart_tcp_listen_socket_here(cx, &open_.socket[0], 5, &open_.listener));
    TRY(nart_tcp_listener_addr(&open_.listener, &at));
    TRY(nart_socket_open(&open_.socket[1], AF_INET, SOCK_STREAM));
    AWAIT(nart_tcp_connect_socket(cx, &open_.client, &open_.socket[1], &at));
    return 0;
}

static nart_res udp(nart_cx *cx)
{
    nart_addr at = localhost(), from;
    nart_udp_opts o = NART_UDP_OPTS_INIT;
    nart_udp_msg m[2];

    o.flags = NART_UDP_TIMESTAMPS;
    TRY(nart_udp_open_here(cx, &at, NULL, &open_.udp[0]));
    TRY(nart_udp_open_here(cx, &at, &o, &open_.udp[1]));
    TRY(nart_udp_local_addr(&open_.udp[1], &at));
    AWAIT(nart_udp_send(cx, &open_.udp[0], "1", 1, &at));
    AWAIT(nart_udp_peek(cx, &open_.udp[1], buf, sizeof buf, &from));
    AWAIT(nart_udp_recv(cx, &open_.udp[1], buf, sizeof buf, &from));
    TRY(nart_udp_connect(&open_.udp[0], &at));
    for (int i = 0; i < 2; i++)
        m[i] = (nart_udp_msg){ .buf = buf + i, .cap = 1, .len = 1 };
    AWAIT(nart_udp_send_many(cx, &open_.udp[0], m, 2));
    AWAIT(nart_udp_recv_many(cx, &open_.udp[1], m, 2));
    AWAIT(nart_udp_send(cx, &open_.udp[0], "", 0, NULL));
    TRY(nart_udp_try_send(&open_.udp[0], "x", 1, NULL));
    AWAIT(nart_udp_recv(cx, &open_.udp[1], buf, sizeof buf, NULL));
    AWAIT(nart_udp_ready(cx, &open_.udp[1], NART_READ));
    TRY(nart_udp_try_recv(&open_.udp[1], buf, sizeof buf, NULL));
    return 0;
}

/* In turn, and batches that do not wait. */
static nart_res udp_turns(nart_cx *cx)
{
    nart_addr at = localhost();
    nart_waiter w = { .want = 0 };
    struct iovec piece = { buf, 1 };
    nart_msg one = { .pieces = &piece, .n = 1 };
    nart_udp_msg m[5];

    TRY(nart_udp_open_here(cx, &at, NULL, &open_.udp[0]));
    TRY(nart_udp_local_addr(&open_.udp[0], &at));
    for (int i = 0; i < 5; i++)
        m[i] = (nart_udp_msg){ .buf = buf + i, .cap = 1, .len = 1, .addr = at };
    AWAIT(nart_udp_send_in_turn(cx, &open_.udp[0], &w, "1", 1, &at));
    AWAIT(nart_udp_send_many_in_turn(cx, &open_.udp[0], &w, m, 1));
    one.addr = &at;
    AWAIT(nart_udp_sendmsg_in_turn(cx, &open_.udp[0], &w, &one));
    TRY(nart_udp_try_send_many(&open_.udp[0], m, 2));
    TRY(nart_udp_try_recv_many(&open_.udp[0], m, 5));
    return 0;
}

static nart_res halves(nart_cx *cx)
{
    nart_tcp_half *in = &open_.half[0], *out = &open_.half[1];

    TRY(connected(cx));
    TRY(nart_tcp_split(&open_.client, in, out, NULL));
    AWAIT(nart_tcp_send(cx, nart_tcp_half_tcp(out), "1", 1));
    AWAIT(nart_tcp_recv(cx, &open_.server, buf, sizeof buf));
    AWAIT(nart_tcp_send(cx, &open_.server, "2", 1));
    AWAIT(nart_tcp_recv(cx, nart_tcp_half_tcp(in), buf, sizeof buf));
    TRY(nart_tcp_reunite(in, out, &open_.client));
    TRY(nart_tcp_split(&open_.client, in, out, NULL));
    absorbed = "shutdown";
    TRY(nart_tcp_half_close(out));
    return 0;
}

/* Several datagrams in one message, and a peer that the socket is disconnected from. */
static nart_res udp_trains(nart_cx *cx)
{
    nart_addr at = localhost(), from;
    nart_udp_opts o = NART_UDP_OPTS_INIT;
    nart_udp_msg m = { .buf = buf, .cap = sizeof buf, .len = 4, .segment = 2 };

    o.flags = NART_UDP_GRO;
    TRY(nart_udp_open_here(cx, &at, NULL, &open_.udp[0]));
    TRY(nart_udp_open_here(cx, &at, &o, &open_.udp[1]));
    TRY(nart_udp_local_addr(&open_.udp[1], &m.addr));
    AWAIT(nart_udp_send_many(cx, &open_.udp[0], &m, 1));
    AWAIT(nart_udp_recv_many(cx, &open_.udp[1], &m, 1));
    TRY(nart_udp_local_addr(&open_.udp[0], &from));
    TRY(nart_sock_set_device(nart_udp_fd(&open_.udp[1]), "lo"));
    TRY(nart_udp_connect(&open_.udp[1], &from));
    absorbed = "sock_error"; /* a refusal that is forgotten */
    TRY(nart_udp_disconnect(&open_.udp[1]));
    return 0;
}

static nart_res udp_messages(nart_cx *cx)
{
    nart_addr at = localhost(), from;
    uint64_t control[16];
    struct iovec piece = { buf, 4 };
    nart_msg m = { .pieces = &piece, .n = 1, .addr = &at };

    TRY(nart_udp_open_here(cx, &at, NULL, &open_.udp[0]));
    TRY(nart_udp_local_addr(&open_.udp[0], &at));
    AWAIT(nart_udp_sendmsg(cx, &open_.udp[0], &m));
    m = (nart_msg){
        .pieces = &piece, .n = 1, .addr = &from, .control = control, .control_cap = sizeof control
    };
    AWAIT(nart_udp_recvmsg(cx, &open_.udp[0], &m));
    return 0;
}

static nart_res unix_of(nart_cx *cx, uint32_t flags)
{
    nart_addr at = abstract_name("stream");
    nart_unix_opts o = NART_UNIX_OPTS_INIT;
    struct iovec piece = { buf, 4 };
    uint64_t control[16];
    nart_msg m = { .pieces = &piece, .n = 1 };
    nart_unix_cred cred;
    size_t done = 0, n;
    int fd = 0, got[2];

    o.flags = flags;
    TRY(nart_unix_listen_here(cx, &at, &o, &open_.unix_listener));
    TRY(nart_unix_listener_addr(&open_.unix_listener, &at));
    AWAIT(nart_unix_connect(cx, &open_.u[0], &at, flags));
    absorbed = "accept";
    AWAIT(nart_unix_accept(cx, &open_.unix_listener, &open_.u[1], NULL));
    absorbed = NULL;
    TRY(nart_unix_peer_cred(&open_.u[0], &cred));
    TRY(nart_unix_local_addr(&open_.u[0], &at));
    TRY(nart_unix_peer_addr(&open_.u[0], &at));
    AWAIT(nart_unix_send(cx, &open_.u[0], "1", 1));
    AWAIT(nart_unix_recv(cx, &open_.u[1], buf, sizeof buf));
    AWAIT(nart_unix_send_all(cx, &open_.u[0], "22", 2, &done));
    AWAIT(nart_unix_recv(cx, &open_.u[1], buf, sizeof buf));
    AWAIT(nart_unix_sendmsg(cx, &open_.u[0], &m));
    m = (nart_msg){ .pieces = &piece, .n = 1, .control = control, .control_cap = sizeof control };
    AWAIT(nart_unix_recvmsg(cx, &open_.u[1], &m));
    AWAIT(nart_unix_send_fds(cx, &open_.u[0], "3", 1, &fd, 1));
    nart_res r = nart_await(cx, nart_unix_recv_fds(cx, &open_.u[1], buf, sizeof buf, got, 2, &n));
    for (size_t i = 0; r >= 0 && i < n; i++)
        close(got[i]);
    TRY(r);
    TRY(nart_unix_error(&open_.u[1])); /* messages that are queued are received before it */
    return nart_unix_shutdown(&open_.u[0], NART_WRITE);
}

static nart_res unix_stream(nart_cx *cx)
{
    return unix_of(cx, 0);
}

static nart_res unix_seqpacket(nart_cx *cx)
{
    return unix_of(cx, NART_UNIX_SEQPACKET);
}

static nart_res unix_dgram(nart_cx *cx)
{
    nart_addr at = abstract_name("dgram"), from;

    TRY(nart_unix_dgram_open_here(cx, &at, NULL, &open_.dgram[0]));
    TRY(nart_unix_dgram_open_here(cx, NULL, NULL, &open_.dgram[1]));
    AWAIT(nart_unix_dgram_send(cx, &open_.dgram[1], "1", 1, &at));
    AWAIT(nart_unix_dgram_recv(cx, &open_.dgram[0], buf, sizeof buf, &from));
    TRY(nart_unix_dgram_connect(&open_.dgram[1], &at));
    AWAIT(nart_unix_dgram_send(cx, &open_.dgram[1], "2", 1, NULL));
    AWAIT(nart_unix_dgram_recv(cx, &open_.dgram[0], buf, sizeof buf, NULL));
    return nart_unix_dgram_local_addr(&open_.dgram[0], &from);
}

static nart_res pair(nart_cx *cx)
{
    size_t done = 0;

    TRY(nart_unix_pair_here(cx, 0, &open_.u[0], &open_.u[1]));
    TRY(nart_pipe_open_here(cx, &open_.in, &open_.out));
    AWAIT(nart_fd_write(cx, &open_.out, "1", 1));
    AWAIT(nart_fd_read(cx, &open_.in, buf, sizeof buf));
    AWAIT(nart_fd_write_all(cx, &open_.out, "22", 2, &done));
    AWAIT(nart_fd_ready(cx, &open_.in, NART_READ));
    AWAIT(nart_fd_read(cx, &open_.in, buf, sizeof buf));
    return 0;
}

/* More than the buffer: through a pipe of the kernel. */
static nart_res copy(nart_cx *cx)
{
    static char space[512], sent[4096];
    size_t done = 0;

    TRY(connected(cx));
    TRY(nart_pipe_open_here(cx, &open_.in, &open_.out));
    absorbed = "getsockopt";
    TRY(nart_stream_init_tcp(&open_.from, &open_.server, space, sizeof space));
    TRY(nart_stream_init_fd(&open_.to, &open_.out, NULL, 0));
    AWAIT(nart_tcp_send_all(cx, &open_.client, sent, sizeof sent, &done));
    TRY(nart_tcp_shutdown(&open_.client, NART_WRITE));
    AWAIT(nart_stream_copy(cx, &open_.from, &open_.to, &open_.copier));
    CHECK_EQ(open_.copier.copied, sizeof sent);
    return 0;
}

static nart_res open_files(nart_cx *cx)
{
    nart_file_op *op = &open_.op;
    nart_file *f = &open_.file;
    nart_file_info info;
    nart_dir_entry e;
    int64_t cursor = 0;

    strcpy(temp, "t-XXXXXX");
    AWAIT(nart_file_temp(cx, op, f, temp));
    AWAIT(nart_file_write(cx, op, f, "12345", 5, 0));
    AWAIT(nart_file_read(cx, op, f, buf, sizeof buf, 0));
    AWAIT(nart_file_sync(cx, op, f, false));
    AWAIT(nart_file_truncate(cx, op, f, 3));
    AWAIT(nart_file_stat(cx, op, f, &info));
    CHECK_EQ(info.size, 3);
    AWAIT(nart_file_chmod(cx, op, f, 0600));
    AWAIT(nart_file_chown(cx, op, f, (uid_t)-1, (gid_t)-1));
    AWAIT(nart_file_utimes(cx, op, f, 1, 2));
    AWAIT(nart_file_close(cx, op, f));
    AWAIT(nart_file_open(cx, op, f, ".", O_RDONLY | O_DIRECTORY, 0));
    AWAIT(nart_dir_read(cx, op, f, &cursor, &e, 1));
    CHECK_STR(e.name, temp);
    AWAIT(nart_file_close(cx, op, f));
    return 0;
}

static nart_res paths(nart_cx *cx)
{
    nart_file_op *op = &open_.op;
    nart_file_info info;
    nart_fs_info fs;
    size_t len;

    strcpy(temp_directory, "u-XXXXXX");
    AWAIT(nart_path_mkdtemp(cx, op, temp_directory));
    AWAIT(nart_path_mkdir(cx, op, "d", 0700));
    AWAIT(nart_path_mkdirs(cx, op, "a/b", 0700));
    AWAIT(nart_file_replace(cx, op, "f", "text", 4, 0600));
    AWAIT(nart_file_load(cx, op, "f", 100, &open_.loaded, &len));
    CHECK_STR(open_.loaded, "text");
    AWAIT(nart_file_copy(cx, op, "f", "g"));
    AWAIT(nart_path_link(cx, op, "f", "h"));
    AWAIT(nart_path_symlink(cx, op, "f", "l"));
    AWAIT(nart_path_readlink(cx, op, "l", buf, sizeof buf));
    AWAIT(nart_path_real(cx, op, "l", buf, sizeof buf));
    AWAIT(nart_path_access(cx, op, "f", R_OK));
    AWAIT(nart_path_chmod(cx, op, "f", 0600));
    AWAIT(nart_path_chown(cx, op, "l", true, (uid_t)-1, (gid_t)-1));
    AWAIT(nart_path_utimes(cx, op, "f", false, 1, 2));
    AWAIT(nart_path_stat(cx, op, "f", false, &info));
    AWAIT(nart_path_statfs(cx, op, "f", &fs));
    AWAIT(nart_path_rename(cx, op, "g", "i"));
    AWAIT(nart_path_remove(cx, op, "i", false));
    return 0;
}

/* Reaps what the faults have left: no child of the conversation is there when the next one begins. */
static nart_res no_child_is_left(nart_cx *cx)
{
    static const char *const argv[] = { "true", NULL };
    const nart_process_opts o = { .size = sizeof o, .argv = argv };
    nart_process_output out = { .out = NULL };
    int now = failing;

    while (waitpid(-1, NULL, 0) > 0)
        continue;
    failing = 0;
    nart_res r = nart_await(cx, nart_process_run(cx, &o, &out));
    failing = now;
    return r;
}

static nart_res children(nart_cx *cx)
{
    static const char *const argv[] = { "cat", NULL };
    const nart_process_opts o = { .size = sizeof o,
                                  .flags = NART_PROCESS_GROUP | NART_PROCESS_KILL,
                                  .argv = argv,
                                  .in = { .kind = NART_STDIO_PIPE, .pipe = &open_.out },
                                  .out = { .kind = NART_STDIO_NULL } };
    const nart_process_opts run = { .size = sizeof run, .argv = argv };
    nart_process *p = &open_.process;

    absorbed = "child_reap"; /* of children that earlier faults have left */
    TRY(nart_process_spawn_here(cx, &o, p));
    absorbed = "poll child_reap"; /* also of a close */
    TRY(nart_process_kill(p, 0));
    nart_res r = nart_process_kill_group(p, 0);
    TRY(r == -ESRCH && error_given ? error_given : r); /* it is no child any more */
    CHECK_RES(nart_fd_close(&open_.out), 0);
    AWAIT(nart_process_wait(cx, p, NULL));
    open_.output = (nart_process_output){ .out = buf, .out_size = sizeof buf };
    AWAIT(nart_process_run(cx, &run, &open_.output));
    return 0;
}

static const struct conversation {
    const char *name;
    nart_res (*run)(nart_cx *cx);
} conversations[] = {
    { "tcp", tcp },
    { "tcp in pieces", tcp_pieces },
    { "tcp and files", tcp_files },
    { "tcp later", tcp_later },
    { "udp", udp },
    { "udp trains", udp_trains },
    { "udp turns", udp_turns },
    { "halves", halves },
    { "udp messages", udp_messages },
    { "unix stream", unix_stream },
    { "unix seqpacket", unix_seqpacket },
    { "unix dgram", unix_dgram },
    { "pair", pair },
    { "copy", copy },
    { "open files", open_files },
    { "paths", paths },
    { "children", children },
};

FIXTURE_RT();

static nart_res answer;

static nart_res conversation_run(nart_cx *cx, void *arg)
{
    const struct conversation *c = *(const struct conversation **)arg;

    answer = nart_await_for(cx, 20 * NART_SEC, c->run(cx));
    close_open();
    if (c->run == children)
        CHECK_RES(no_child_is_left(cx), 0);
    return 0;
}

static nart_res once(const struct conversation *c)
{
    calls = error_given = 0;
    absorbed = NULL;
    CHECK_RES(nart_rt_fiber_spawn(rt, conversation_run, &c, NULL, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_LE(0, nart_rt_poll(rt, 0)); /* children whose handles are closed are reaped */
    return answer;
}

static bool is_right(nart_res r)
{
    if (error_absorbed && strcmp(failed_call, "child_reap") == 0)
        return r == 0 || r == error_given;
    if (error_absorbed && (strcmp(failed_call, "accept") != 0 || is_passed_over(error_given)))
        return r == 0;
    return r == error_given;
}

/* With its with_index-th error. False: it has not so many. */
static bool fail_once(const struct conversation *c, int all, int descriptors)
{
    nart_res r = once(c);

    CHECK_EQ(fds_open(), descriptors);
    if (!error_given)
        return false;
    if (!is_right(r))
        test_fail(__FILE__, __LINE__, "%s: call %d of %d, %s, fails with %s, and the answer is %s",
                  c->name, failing, all, failed_call, nart_err_name(error_given), nart_err_name(r));
    return true;
}

TEST_WITH(each_system_call_fails_with_each_of_its_errors, rt)
{
    char home[] = "/tmp/nart-faults-XXXXXX";

    CHECK(mkdtemp(home) != NULL);
    CHECK_EQ(chdir(home), 0);
    for (size_t i = 0; i < sizeof conversations / sizeof *conversations; i++) {
        failing = 0;
        CHECK_RES(once(&conversations[i]), 0);
        int all = calls, descriptors = fds_open();
        CHECK_LE(6, all);
        for (failing = 1; failing <= all; failing++)
            for (with_index = 0; fail_once(&conversations[i], all, descriptors);)
                with_index++;
    }
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
    CHECK_EQ(chdir("/"), 0);
    CHECK_EQ(rmdir(home), 0); /* no temporary file was left */
}
