/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP exchanges as rows of a table: a server on real sockets that follows a script (what it reads and
 * sends, in which pieces, when it closes or resets the connection), the request, and its result. The
 * failure of a row names it. */
#ifndef NART_TEST_EXCHANGE_H
#define NART_TEST_EXCHANGE_H

#include "bridge.h"

enum what {
    END,        /* of the script: the server closes what is open */
    S_HEAD,     /* read to the end of a request's head */
    S_BODY,     /* read so many bytes of its body */
    S_HAS,      /* the last head has this text */
    S_LACKS,    /* the last head does not */
    S_SAY,      /* send this, or n bytes of it as they are */
    S_FLOOD,    /* send this until the client closes the connection */
    S_GONE,     /* wait until the client closes the connection; drop what it sends */
    S_CLOSE,    /* end the connection in order */
    S_RESET,    /* end it by a reset */
    S_ACCEPT,   /* close, and accept the next connection */
    S_ACCEPT_B, /* the same at the other origin */
    S_NEXT,     /* accept the next connection, and leave this one as it is */
    S_NEXT_B    /* the same at the other origin */
};

struct step {
    enum what what;
    const char *text; /* "%A" and "%B" in it: host and port of the two origins; "%P": port of A */
    size_t n;
};

#define STEP(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define HEAD STEP(S_HEAD, NULL, 0)
#define BODY(n) STEP(S_BODY, NULL, n)
#define HAS(text) STEP(S_HAS, text, 0)
#define LACKS(text) STEP(S_LACKS, text, 0)
#define SAY(text) STEP(S_SAY, text, 0)
#define SAY_BYTES(n, text) STEP(S_SAY, text, n)
#define FLOOD(text) STEP(S_FLOOD, text, 0)
#define GONE STEP(S_GONE, NULL, 0)
#define CLOSE STEP(S_CLOSE, NULL, 0)
#define RESET STEP(S_RESET, NULL, 0)
#define ACCEPT STEP(S_ACCEPT, NULL, 0)
#define ACCEPT_B STEP(S_ACCEPT_B, NULL, 0)
#define NEXT STEP(S_NEXT, NULL, 0)
#define NEXT_B STEP(S_NEXT_B, NULL, 0)

#define SCRIPT(...) .script = { __VA_ARGS__ }

enum { STEPS = 36, HEADERS = 6, BIG = 16 << 20 };

struct exchange {
    const char *name;
    int64_t is;       /* the status, or the error */
    const char *text; /* the body; NULL: not checked */
    struct step script[STEPS];
    int64_t again;            /* the answer to the same request, sent once more; 0: it is not */
    const char *url, *method; /* NULL: http://%A/, GET */
    nart_http_header headers[HEADERS];
    const char *body;
    size_t body_len, max_body;
    int64_t timeout_ns;
    uint32_t redirects;
    const nart_http_client_opts *client;    /* with "%A" in its proxy; NULL: none */
    void (*check)(const nart_tokio_op *op); /* what else the operation must say; NULL: nothing */
};

#define OK "HTTP/1.1 200 OK\r\n"
#define FIVE OK "Content-Length: 5\r\n\r\nhello"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define BYE OK "Content-Length: 3\r\n\r\nbye"

/* Opens a loop and a bridge, and plays the rows one after another. */
void play_all(const struct exchange *rows, size_t n);

#define PLAY(rows) play_all(rows, sizeof rows / sizeof *rows)

#endif
