/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The certificates of a case, from test_tls_certs(). */
#ifndef NART_TEST_CERTS_H
#define NART_TEST_CERTS_H

#include "futures.h"

extern struct test_certs certs;

/* Makes a folder with `certs` in PEM files: ca.pem, and NAME.pem and NAME.key of the server, the second one, the
 * expired one and the client. And removes it with all that it contains. */
void certs_folder_open(char folder[32]);
void certs_folder_close(const char *folder);

#endif
