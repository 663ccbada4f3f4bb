/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* store.h: the store of the two kv programs, and what it answers to a line. */
#ifndef STORE_H
#define STORE_H

#include <stddef.h>

#define STORE_REQUEST 512                /* the longest request, with its newline */
#define STORE_REPLY (STORE_REQUEST + 16) /* and the longest reply */

/* Obeys a request, a string, which is changed. Writes the reply with its newline, and returns its length.
 *
 *     SET key value   OK
 *     GET key         VALUE value | NONE
 *     DEL key         OK | NONE
 *     all else        ERROR */
size_t store_obey(char *request, char reply[STORE_REPLY]);

void store_free(void);

#endif
