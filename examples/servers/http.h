/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* http.h: the part of HTTP/1.1 that a server of one page needs, without any I/O: connections that are kept, requests
 * that are sent before the answers to earlier ones, HEAD, bodies of requests with a length, and errors. What is not
 * here: chunked bodies (501), targets, the Date field. */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD 2048 /* bytes of the longest head of a request */

struct http {
    size_t have; /* bytes received in `in` */
    size_t skip; /* bytes of a request's body that are still to come, and are ignored */
    size_t len;  /* bytes of answers in `out`: send them and set it to 0 */
    bool last;   /* close the connection after them */
    char in[HTTP_HEAD], out[HTTP_HEAD];
};

/* Answers the requests in `in` that are complete, as far as their answers fit into `out`. If `len` is 0 afterwards,
 * receive more, at in + have: there is free space. */
void http_answer(struct http *h);

#endif
