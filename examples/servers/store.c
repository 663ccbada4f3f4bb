/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* store.c: a hash table with chains. It belongs to one thread, so it has no lock. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS 4096

struct pair {
    struct pair *next;
    char *value;
    char key[];
};

static struct pair *chains[CHAINS];

/* Where the pointer to a key's pair is, or would be. */
static struct pair **find(const char *key)
{
    unsigned hash = 5381;
    struct pair **at;

    for (const char *k = key; *k; k++)
        hash = hash * 33 + (unsigned char)*k;
    at = &chains[hash % CHAINS];
    while (*at && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

static void pair_remove(struct pair **at)
{
    struct pair *p = *at;

    *at = p->next;
    free(p->value);
    free(p);
}

static const char *set(const char *key, const char *value)
{
    struct pair **at = find(key);
    size_t key_size = strlen(key) + 1, value_size = strlen(value) + 1;
    char *copy = malloc(value_size);

    if (copy && !*at && (*at = malloc(sizeof **at + key_size)) != NULL) {
        **at = (struct pair){ 0 };
        memcpy((*at)->key, key, key_size);
    }
    if (!copy || !*at) {
        free(copy);
        return "ERROR";
    }
    free((*at)->value);
    (*at)->value = memcpy(copy, value, value_size);
    return "OK";
}

size_t store_obey(char *request, char reply[STORE_REPLY])
{
    const char *answer = "ERROR", *text = "";
    char *key, *value = NULL;
    struct pair **at;

    request[strcspn(request, "\r")] = '\0';
    key = strchr(request, ' ');
    if (key) {
        *key++ = '\0';
        value = strchr(key, ' ');
    }
    if (value)
        *value++ = '\0';
    if (value && strcmp(request, "SET") == 0) {
        answer = set(key, value);
    } else if (key && !value && strcmp(request, "GET") == 0) {
        at = find(key);
        answer = *at ? "VALUE " : "NONE";
        text = *at ? (*at)->value : "";
    } else if (key && !value && strcmp(request, "DEL") == 0) {
        at = find(key);
        answer = *at ? "OK" : "NONE";
        if (*at)
            pair_remove(at);
    }
    return (size_t)snprintf(reply, STORE_REPLY, "%s%s\n", answer, text);
}

void store_free(void)
{
    for (size_t i = 0; i < CHAINS; i++)
        while (chains[i])
            pair_remove(&chains[i]);
}
