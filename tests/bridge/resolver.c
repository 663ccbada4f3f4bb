/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "resolver.h"

#include "bridge.h"

#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

uint64_t resolver_gate, hanging, served;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    const char *hangs = node ? strstr(node, ".hangs.test") : NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hangs) {
        count(&hanging);
        wait_for(&resolver_gate, 1);
        return EAI_AGAIN;
    }
    if (node && strcmp(node, "served.test") == 0) {
        count(&served);
        node = "127.0.0.1";
    }
    if (node && strcmp(node, "two.test") == 0) {
        int failed = real("127.0.0.2", service, hints, found);
        return failed ? failed : real("::1", service, hints, &(*found)->ai_next);
    }
    return real(node, service, hints, found);
}
