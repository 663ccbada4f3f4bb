/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* system_files.c: whole files, lines of a file, and a file that does not exist. */
#include "main.h"

#include <stdio.h>
#include <stdlib.h>

// --8<-- [start:program]
/* Replaces a file, reads it whole, and then line by line. */
static nart_res program(nart_cx *cx, void *arg)
{
    static const char text[] = "one\ntwo\n";
    nart_file_op op = { 0 };
    nart_file file = { 0 };
    nart_file_stream fs = { .file = &file };
    nart_stream s = { 0 };
    char buf[128], *line, *data = NULL;
    size_t len = 0;
    nart_res r;

    (void)arg;
    /* Readers see the old content or the new one, also after a crash. */
    r = nart_await(cx, nart_file_replace(cx, &op, "settings", text, sizeof text - 1, 0644));
    if (r == 0)
        r = nart_await(cx, nart_file_load(cx, &op, "settings", 4096, &data, &len));
    if (r == 0) {
        printf("%zu bytes\n", len);
        free(data);
        r = nart_await(cx, nart_file_open(cx, &op, &file, "settings", O_RDONLY, 0));
    }
    if (r == 0)
        r = nart_stream_init_file(&s, &fs, buf, sizeof buf);
    while (r >= 0) {
        r = nart_await(cx, nart_stream_read_line(cx, &s, 0, &line));
        if (r >= 0)
            printf("line: %s\n", line);
    }
    nart_stream_close(&s); /* the file, too */
    if (r == NART_EEOF)
        r = nart_await(cx, nart_path_remove(cx, &op, "settings", false));
    if (r == 0) {
        r = nart_await(cx, nart_file_open(cx, &op, &file, "settings", O_RDONLY, 0));
        printf("after the removal: %s\n", nart_err_name(r));
    }
    nart_file_op_close(&op);
    return r == -ENOENT ? 0 : r;
}
// --8<-- [end:program]

int main(void)
{
    int status = run_fiber(program, NULL);

    nart_workers_shutdown(NULL, NART_NEVER); /* the threads of the default pool */
    return status;
}
