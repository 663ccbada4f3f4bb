/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "certs.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_certs certs;

static void write_pem(const char *folder, const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

void certs_folder_open(char folder[32])
{
    strcpy(folder, "/tmp/nart-test-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    write_pem(folder, "ca.pem", certs.ca.cert);
    write_pem(folder, "server.pem", certs.server.cert);
    write_pem(folder, "server.key", certs.server.key);
    write_pem(folder, "second.pem", certs.second.cert);
    write_pem(folder, "second.key", certs.second.key);
    write_pem(folder, "expired.pem", certs.expired.cert);
    write_pem(folder, "expired.key", certs.expired.key);
    write_pem(folder, "client.pem", certs.client.cert);
    write_pem(folder, "client.key", certs.client.key);
}

void certs_folder_close(const char *folder)
{
    char command[64];

    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_EQ(system(command), 0); /* NOLINT(cert-env33-c) */
}
