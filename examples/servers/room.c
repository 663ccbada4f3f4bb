/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* room.c: who says what. One thread, so no lock. */
#include "room.h"

#include <stdio.h>
#include <string.h>

#define KEPT 1024 /* lines that a guest may lag behind */

static nart_broadcast_tx lines;
static uint32_t guests;

/* Says a line, of four parts, to all but `from`. */
static void say(uint32_t from, const char *mark, const char *nick, const char *verb,
                const char *text)
{
    struct line line = { .from = from };
    int n = snprintf(line.text, sizeof line.text, "%s%s%s%s\n", mark, nick, verb, text);

    if (n > 0 && (size_t)n < sizeof line.text) {
        line.len = (uint32_t)n;
        nart_broadcast_send(&lines, &line); /* NART_ECLOSED: nobody is there any more */
    }
}

nart_res room_open(nart_rt *rt, const char *unused)
{
    nart_broadcast_rx rx;
    nart_res r = nart_broadcast_open(rt, sizeof(struct line), KEPT, &lines, &rx);

    (void)unused;
    nart_broadcast_rx_close(&rx);
    return r;
}

void room_close(void)
{
    say(0, "* ", "the server", " ends", "");
    nart_broadcast_tx_close(&lines);
}

nart_res room_join(struct guest *g)
{
    nart_res r = nart_broadcast_subscribe(&lines, &g->lines);

    if (r == 0) {
        g->id = ++guests;
        snprintf(g->nick, sizeof g->nick, "guest%u", g->id);
        say(g->id, "* ", g->nick, " joined", "");
    }
    return r;
}

void room_leave(struct guest *g, nart_res r)
{
    nart_broadcast_rx_close(&g->lines);
    say(g->id, "* ", g->nick, r == -ETIMEDOUT || r == NART_ELAGGED ? " was dropped" : " left", "");
}

bool room_obey(struct guest *g, char *text)
{
    char old[sizeof g->nick];

    text[strcspn(text, "\r")] = '\0';
    if (strcmp(text, "/quit") == 0)
        return true;
    if (strncmp(text, "/nick ", 6) == 0) {
        memcpy(old, g->nick, sizeof old);
        snprintf(g->nick, sizeof g->nick, "%.15s", text + 6);
        say(0, "* ", old, " is now ", g->nick);
    } else if (text[0] != '\0') {
        say(g->id, "", g->nick, ": ", text);
    }
    return false;
}

size_t room_collect(struct guest *g, struct line *line, char out[ROOM_BATCH])
{
    size_t len = 0;

    do {
        if (line->from != g->id) {
            memcpy(out + len, line->text, line->len);
            len += line->len;
        }
    } while (ROOM_BATCH - len >= sizeof line->text &&
             nart_broadcast_try_recv(&g->lines, line, NULL) == 0);
    return len;
}
