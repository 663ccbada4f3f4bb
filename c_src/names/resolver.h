/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* resolver.h: what a resolver consists of. resolver.c keeps questions and answers, cares.c gets the answers. */
#ifndef NART_NAMES_RESOLVER_H
#define NART_NAMES_RESOLVER_H

#include "names.h"

#include <nart/watch.h>

#define NART__LOOKUP_BUCKETS 256
#define NART__HOSTS "/etc/hosts"

/* A question, and the answer once it is there. */
typedef struct nart__lookup {
    struct nart__lookup *chain;         /* in its bucket */
    struct nart__lookup *older, *newer; /* kept answers, by their last use */
    nart_resolver *in;                  /* whose bucket it is in; NULL: none */
    nart_rt *rt;                        /* whose memory it is */
    nart__asker *askers;
    nart__answer answer;
    int64_t expires;
    uint32_t hash, changes; /* `changes` of the resolver when it was asked */
    bool local;             /* asked of the hosts file, or answered by it */
    bool sent;              /* c-ares has accepted the name */
    nart__question question;
    size_t size; /* of this block */
    char name[];
} nart__lookup;

/* What shows that a file has changed. Zeroed: there is none. */
typedef struct nart__file_state {
    uint64_t changed, size, inode, device;
} nart__file_state;

/* A socket of c-ares. */
typedef struct nart__name_socket {
    nart_watch watch;
    struct nart__name_socket *next;
    nart_resolver *resolver;
    int fd;
} nart__name_socket;

struct nart_resolver {
    nart__exit_hook hook; /* first */
    nart_rt *rt;
    nart__lookup *bucket[NART__LOOKUP_BUCKETS];
    nart__lookup *oldest, *newest; /* kept answers */
    uint32_t kept, max_kept;
    int64_t negative;             /* nanoseconds that the absence of a name is kept */
    int64_t look_at;              /* when to look at the files again */
    nart__file_state hosts, conf; /* as they were when they were looked at last */
    uint32_t changes;             /* of the files */
    bool no_hosts;
    nart_resolver_opts opts; /* as given */
    char *strings;           /* its strings */
    size_t strings_size;
    /* of cares.c */
    void *channel, *files; /* files: answers at once, from the hosts file; NULL: it is not used */
    nart__lookup *again;   /* pending lookups of a channel that was replaced, by `older` */
    bool ending;           /* a channel is being destroyed */
    bool replacing;        /* and what is pending is asked again */
    nart_watch alarm;
    int alarm_fd;
    int64_t alarm_at; /* on the system's clock; 0: it is not set */
    nart__name_socket *sockets;
    char servers[128]; /* for texts */
};

/* ---- resolver.c, called by cares.c ---- */

/* resolv.conf, or the file instead of it. */
const char *nart__conf_path(const nart_resolver *r);

/* Memory for the data of an answer. NULL: none; nart__lookup_done() is then called with -ENOMEM. */
void *nart__lookup_data(nart__lookup *l, size_t size);

/* The question is answered: `res` as in nart__answer; the answer is kept for so many nanoseconds. */
void nart__lookup_done(nart__lookup *l, nart_res res, int64_t keep);

/* ---- cares.c, called by resolver.c ---- */

nart_res nart__cares_open(nart_resolver *r);
/* Reads the configuration again; what is pending is asked again. After an error nothing has changed. */
nart_res nart__cares_reopen(nart_resolver *r);
/* Calls nart__lookup_done() for what is pending, with NART_EABORTED. */
void nart__cares_close(nart_resolver *r);
/* Asks the hosts file, or sends the question. May call nart__lookup_done() at once. */
void nart__cares_send(nart_resolver *r, nart__lookup *l);

/* ---- cares_io.c, called by cares.c ---- */

/* Makes a channel use the driver's system calls. */
void nart__cares_sockets(nart_resolver *r, void *channel);
/* For c-ares: what it waits for in a socket; nothing: it is about to close it. */
void nart__cares_state(void *resolver, int fd, int readable, int writable);

/* 0; or -EMFILE, -ENFILE, -ENOMEM: there is none. */
nart_res nart__cares_alarm_open(nart_resolver *r);
void nart__cares_alarm_close(nart_resolver *r);
/* Sets the alarm to the next timeout of c-ares. After everything that may have changed it. */
void nart__cares_alarm(nart_resolver *r);

#endif
