/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sockets that a service manager passes. The children are the services. */
#include "net_test.h"

#include <nart/socket.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sets the variables of this process; NULL: not set. */
static void passed(bool to_this, const char *fds, const char *names)
{
    char pid[16];

    snprintf(pid, sizeof pid, "%d", to_this ? (int)getpid() : (int)getppid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_PIDFDID", "4711", 1);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (fds)
        setenv("LISTEN_FDS", fds, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
}

static bool removed(void)
{
    return !getenv("LISTEN_PID") && !getenv("LISTEN_PIDFDID") && !getenv("LISTEN_FDS") &&
           !getenv("LISTEN_FDNAMES");
}

struct answer {
    nart_tcp_listener *l;
    nart_tcp s;
};

static nart_res answer_run(nart_cx *cx, void *frame)
{
    struct answer *f = frame;
    nart_res r = nart_tcp_accept(cx, f->l, &f->s, NULL);
    return r ? r : nart_tcp_close(&f->s);
}

TYPE(answer, answer_run);

/* A service with two sockets, 3 and 4. */
static void service(int tcp, int udp)
{
    nart_listen_fd got[4];
    nart_tcp_listener l;
    nart_udp u;

    int copy = fcntl(udp, F_DUPFD, 10), other = fcntl(tcp, F_DUPFD, 10);
    CHECK_EQ(dup2(other, 3), 3);
    CHECK_EQ(dup2(copy, 4), 4);
    passed(true, "2", "web:log");
    CHECK_RES(nart_listen_fds(got, 1), -ENOBUFS);
    CHECK(!removed());
    CHECK(!(fcntl(3, F_GETFD) & FD_CLOEXEC));
    CHECK_RES(nart_listen_fds(got, 4), 2);
    CHECK(removed());
    CHECK_EQ(got[0].fd, 3);
    CHECK_STR(got[0].name, "web");
    CHECK_EQ(got[1].fd, 4);
    CHECK_STR(got[1].name, "log");
    CHECK(fcntl(3, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(4, F_GETFD) & FD_CLOEXEC);
    CHECK_RES(nart_listen_fds(got, 4), 0); /* they are returned once */

    nart_rt *rt = new_rt();
    CHECK_RES(nart_sock_listening(got[0].fd), 1);
    CHECK_RES(nart_tcp_listener_adopt(rt, got[0].fd, &l), 0);
    CHECK_RES(run(rt, &answer_type, &(struct answer){ .l = &l }), 0);
    CHECK_RES(nart_udp_adopt(rt, got[1].fd, &u), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* What it refuses, with these two descriptors. */
static void refuses(int tcp, int udp)
{
    static const struct {
        const char *fds, *names;
        nart_res answer;
    } rows[] = {
        { NULL, NULL, -EINVAL }, { "", NULL, -EINVAL },   { "0", NULL, -EINVAL },
        { "-1", NULL, -EINVAL }, { "2x", NULL, -EINVAL }, { "99999999999", NULL, -EINVAL },
        { "2", "one", -EINVAL }, { "1", "a:b", -EINVAL }, { "1", NULL, 1 },
        { "2", ":", 2 },
    };
    char name[300];
    nart_listen_fd got[64];

    CHECK_EQ(dup2(fcntl(tcp, F_DUPFD, 10), 3), 3);
    CHECK_EQ(dup2(fcntl(udp, F_DUPFD, 10), 4), 4);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        passed(true, rows[i].fds, rows[i].names);
        CHECK_RES(nart_listen_fds(got, 64), rows[i].answer);
        CHECK(removed());
    }
    CHECK_STR(got[1].name, "");
    passed(true, "1", NULL);
    CHECK_RES(nart_listen_fds(got, 64), 1);
    CHECK_STR(got[0].name, "unknown");

    memset(name, 'n', sizeof name - 1);
    name[299] = '\0';
    passed(true, "1", name);
    CHECK_RES(nart_listen_fds(got, 64), -EINVAL);
    name[255] = '\0';
    passed(true, "1", name);
    CHECK_RES(nart_listen_fds(got, 64), 1);
    CHECK_STR(got[0].name, name);

    passed(true, "64", NULL); /* not so many are open */
    CHECK_RES(nart_listen_fds(got, 64), -EBADF);
    CHECK(removed());
    passed(false, "2", NULL); /* they are another process's */
    CHECK_RES(nart_listen_fds(got, 64), 0);
    CHECK(removed());
    setenv("LISTEN_PID", "no", 1);
    CHECK_RES(nart_listen_fds(got, 64), -EINVAL);
    CHECK_RES(nart_listen_fds(NULL, 0), 0);
}

static void in_a_child(void (*what)(int tcp, int udp))
{
    nart_addr at, at_udp = localhost();
    int status = -1, tcp = raw_listen(&at, 4), udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(bind(udp, sockaddr_of(&at_udp), at_udp.len), 0);
    int fd = raw_connect(&at);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        what(tcp, udp);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    close(fd);
    close(tcp);
    close(udp);
}

TEST(passed_sockets_have_names_and_are_served)
{
    in_a_child(service);
}

TEST(what_was_not_passed_properly_is_refused)
{
    in_a_child(refuses);
}
