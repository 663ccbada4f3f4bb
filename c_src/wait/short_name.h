/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* short_name.h: the name of a type of tasks, as reports, dumps and traces print it. */
#ifndef NART_WAIT_SHORT_NAME_H
#define NART_WAIT_SHORT_NAME_H

#include <string.h>

/* NART_TASK_TYPE(struct conn, ...) names the type "struct conn". */
static inline const char *nart__short_name(const char *of_type)
{
    return strncmp(of_type, "struct ", 7) == 0 ? of_type + 7 : of_type;
}

#endif
