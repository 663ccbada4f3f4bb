/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TLS connections for tests: certificates, configurations, and steps, which are tasks with one operation. */
#ifndef NART_TEST_TLS_H
#define NART_TEST_TLS_H

#include "bridge.h"
#include "certs.h"

#include <nart/net.h>

/* The fixture `tls`: a loop and a bridge, certificates, and configurations: a client that trusts `ca`, and a
 * server. At the end connections and configurations are freed. */
void tls_open(void);
void tls_close(void);

extern nart_tls_config *client_config, *server_config;

/* The two sides of a connection, and their sockets before the handshake. */
extern nart_tls client, server;
extern nart_tcp client_tcp, server_tcp;

/* A configuration, which the fixture frees; the options need no size. And its text, if it is refused. */
nart_tls_config *tls_config(const nart_tls_opts *given);
const char *tls_refused(const nart_tls_opts *given);
#define CONFIG(...) tls_config(&(const nart_tls_opts){ __VA_ARGS__ })
#define REFUSED(...) tls_refused(&(const nart_tls_opts){ __VA_ARGS__ })
#define SERVER_CONFIG(...)                                                                         \
    CONFIG(.flags = NART_TLS_SERVER, .cert = certs.server.cert, .key = certs.server.key,           \
           __VA_ARGS__)

enum tls_what { CONNECT, ACCEPT, RECV, RECV_STREAM, SEND, SEND_ALL, SEND_STREAM, FLUSH, SHUTDOWN };

/* A step. RECV_STREAM and SEND_STREAM transfer `len` bytes of a pattern, in parts of random lengths;
 * SEND_STREAM by nart_tls_send(), and nart_tls_flush() at the end, if there is a `buf`, else by
 * nart_tls_send_all(). RECV_STREAM sends the byte `*buf` at the end, if there is one. */
struct step {
    enum tls_what what;
    nart_tls *t;
    const nart_tls_config *config;
    const char *name;
    nart_tcp *tcp;
    void *buf;
    size_t len;
    size_t *done; /* of SEND_ALL; NULL: the task's own */
    int64_t limit;
    nart_res *answer; /* where to store it; NULL: the task's answer only */
};

extern const nart_task_type step_type; /* its frame begins with a step */

struct step_frame {
    struct step s;
    nart_co co;
    size_t done, total, n;
    unsigned char part[40000];
};

/* The bytes of the pattern from `at` on. */
void tls_pattern(void *buf, size_t at, size_t n);

/* Runs a step to its end. Returns its answer. */
nart_res step(struct step s);
#define STEP(...) step((struct step){ .what = __VA_ARGS__ })

/* Starts steps, and runs all to their end. */
void step_start(struct step s);
#define START(...) step_start((struct step){ .what = __VA_ARGS__ })
void step_run(void);

/* Two connected sockets of the loop. */
void tls_pair(void);

/* Both handshakes over a new pair. `*c` and `*s` are the answers. */
void tls_handshake(const nart_tls_config *c_config, const char *name,
                   const nart_tls_config *s_config, nart_res *c, nart_res *s);

/* The same for localhost, which succeeds; and with the configurations of the fixture. */
void tls_connect(const nart_tls_config *c_config, const nart_tls_config *s_config);
void tls_connected(void);

/* A message from one side to the other. */
void tls_pass(nart_tls *from, nart_tls *to, const char *text);

void tls_close_both(void);

#endif
