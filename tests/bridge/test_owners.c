/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which driver a connection belongs to, and how it is passed on to another one. */
#include "bridge.h"

#include <nart/net.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct part {
    nart_co co;
    int fd;
    nart_tcp conn;
    char buf[8];
    size_t sent;
};

static void part_drop(void *frame)
{
    struct part *p = frame;
    nart_tcp_close(&p->conn);
}

static nart_tcp kept; /* passed from task to task */

static nart_res keeps_run(nart_cx *cx, void *frame)
{
    const struct part *p = frame;
    return nart_tcp_adopt_here(cx, p->fd, &kept);
}

static nart_res uses_run(nart_cx *cx, void *frame)
{
    struct part *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    NART_AWAIT(r, nart_tcp_recv(cx, &kept, p->buf, 1));
    NART_END(r);
}

static const nart_task_type keeps_type =
                                NART_TASK_TYPE_FLAGS(struct part, keeps_run, NULL, NART_TASK_SEND),
                            uses_type =
                                NART_TASK_TYPE_FLAGS(struct part, uses_run, NULL, NART_TASK_SEND);

TEST_WITH(a_handle_belongs_to_its_bridge, both)
{
    nart_tokio *other;
    int ends[2];
    int64_t value = 0;
    char byte;

    CHECK_RES(nart_tokio_new(NULL, &other), 0);
    tcp_pair(ends);
    CHECK_EQ(send(ends[0], "abc", 3, 0), 3);
    CHECK_RES(run_on_tokio(bridge, &keeps_type, &(struct part){ .fd = ends[1] }, NULL), 0);
    CHECK_RES(run_on_tokio(bridge, &uses_type, NULL, &value), 0); /* another task */
    CHECK_EQ(value, 1);
    CHECK_RES(run_on_tokio(other, &uses_type, NULL, NULL), NART_EDRIVER);
    CHECK_RES(run(&uses_type, NULL), NART_EDRIVER);
    CHECK_RES(nart_tokio_shutdown(other, 30 * NART_SEC, NULL), 0);
    nart_tokio_free(other);
    CHECK_RES(run_on_tokio(bridge, &uses_type, NULL, &value), 0);
    both_close();                             /* closes what a task has left open */
    CHECK_EQ(recv(ends[0], &byte, 1, 0), -1); /* a reset: a byte was not read */
    CHECK_EQ(errno, ECONNRESET);
    CHECK_RES(nart_tcp_fd(&kept), NART_ESTALE);
    CHECK_RES(nart_tcp_close(&kept), 0);
    close(ends[0]);
}

/* Receives three bytes of those that have arrived, and gives the descriptor back with the others in it. */
static nart_res three_run(nart_cx *cx, void *frame)
{
    struct part *p = frame;
    nart_res r = 0;
    size_t residue = 1;

    NART_BEGIN(cx, &p->co);
    CHECK_RES(nart_tcp_adopt_here(cx, p->fd, &p->conn), 0);
    NART_AWAIT(r, nart_tcp_recv(cx, &p->conn, p->buf, 3));
    CHECK_RES(r, 3);
    CHECK_EQ(memcmp(p->buf, "abc", 3), 0);
    memcpy(p->buf, "xyz", 3);
    NART_AWAIT(r, nart_tcp_send_all(cx, &p->conn, p->buf, 3, &p->sent));
    CHECK_RES(r, 3);
    CHECK_RES(nart_tcp_detach(&p->conn, &p->fd, p->buf, sizeof p->buf, &residue), 0);
    CHECK_EQ(residue, 0);
    NART_END(p->fd);
}

static const nart_task_type three_type =
    NART_TASK_TYPE_FLAGS(struct part, three_run, part_drop, NART_TASK_SEND);

/* From the loop to tokio, to another runtime of tokio, and back, with unread bytes all the time; then the end of
 * the stream. Each driver registers the same descriptor. */
TEST_WITH(a_connection_moves_between_drivers_with_unread_bytes, both)
{
    enum { MOVES = 300 };
    nart_tokio *other;
    int ends[2];
    char got[3 * MOVES], byte;

    CHECK_RES(nart_tokio_new(NULL, &other), 0);
    tcp_pair(ends);
    for (int i = 0; i < MOVES; i++)
        CHECK_EQ(send(ends[0], "abc", 3, 0), 3);
    CHECK_EQ(shutdown(ends[0], SHUT_WR), 0);
    for (int i = 0; i < MOVES; i++) {
        struct part p = { .fd = ends[1] };
        int64_t fd = 0;
        if (i % 3 == 0)
            fd = run(&three_type, &p);
        else
            CHECK_RES(run_on_tokio(i % 3 == 1 ? bridge : other, &three_type, &p, &fd), 0);
        CHECK_EQ(fd, ends[1]);
    }
    CHECK_EQ(recv(ends[0], got, sizeof got, MSG_WAITALL), sizeof got);
    CHECK_EQ(recv(ends[1], &byte, 1, 0), 0);
    CHECK_RES(nart_tokio_shutdown(other, 30 * NART_SEC, NULL), 0);
    nart_tokio_free(other);
    close(ends[0]);
    close(ends[1]);
}

TEST_WITH(a_handle_of_a_loop_is_refused_on_tokio, both)
{
    int ends[2];

    tcp_pair(ends);
    CHECK_RES(nart_tcp_adopt(loop, ends[1], &kept), 0);
    CHECK_RES(run_on_tokio(bridge, &uses_type, NULL, NULL), NART_EDRIVER);
    CHECK_RES(nart_tcp_close(&kept), 0);
    close(ends[0]);
}

TEST_WITH(a_child_can_close_the_parents_handle, both)
{
    int ends[2];

    tcp_pair(ends);
    CHECK_EQ(send(ends[0], "ab", 2, 0), 2);
    CHECK_RES(run_on_tokio(bridge, &keeps_type, &(struct part){ .fd = ends[1] }, NULL), 0);
    CHECK_RES(run_on_tokio(bridge, &uses_type, NULL, NULL), 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_RES(nart_tcp_fd(&kept), NART_EFORK);
        CHECK_RES(nart_tcp_close(&kept), 0);
        end_leaking_child();
    }
    check_child(child);
    CHECK_RES(run_on_tokio(bridge, &uses_type, NULL, NULL), 0); /* is still registered */
    CHECK_RES(nart_tcp_close(&kept), 0);
    close(ends[0]);
}
