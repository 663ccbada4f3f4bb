/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* WebSockets whose server, or whose C code, violates a rule: each ends with an error, and with a close frame
 * that says so. */
#include "ws_fixture.h"

struct violation {
    const char *bytes;
    size_t n;
    int code; /* of the close frame */
    nart_res is;
};

#define BYTES(text) text, sizeof text - 1
#define PROTOCOL(text)                                                                             \
    {                                                                                              \
        BYTES(text), 1002, NART_EWS_PROTOCOL                                                       \
    }
#define UTF8(text)                                                                                 \
    {                                                                                              \
        BYTES(text), 1007, NART_EWS_PROTOCOL                                                       \
    }
#define LIMIT(text)                                                                                \
    {                                                                                              \
        BYTES(text), 1009, NART_EWS_LIMIT                                                          \
    }

static const struct violation violations[] = {
    PROTOCOL("\x81\x82\0\0\0\0hi"),                    /* masked */
    PROTOCOL("\xc1\x02hi"),                            /* RSV1: compressed */
    PROTOCOL("\x83\0"),                                /* opcode 3 */
    PROTOCOL("\x8b\0"),                                /* opcode 11 */
    PROTOCOL("\x09\x02hi"),                            /* a ping in fragments */
    PROTOCOL("\x80\x02hi"),                            /* a continuation of nothing */
    PROTOCOL("\x01\x01h\x81\x01i"),                    /* a text in a text */
    PROTOCOL("\x88\x01\x03"),                          /* half a code */
    UTF8("\x81\x02\xc3("),                             /* not UTF-8 */
    UTF8("\x81\x01\xc3"),                              /* half a character */
    UTF8("\x81\x03\xed\xa0\x80"),                      /* a surrogate */
    UTF8("\x01\x01\xc3\x80\x01("),                     /* in fragments */
    UTF8("\x88\x04\x03\xe8\xc3("),                     /* in a reason */
    LIMIT("\x82\x7e\x01\x00"),                         /* 256 bytes, of which none is there */
    LIMIT("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), /* all that there can be */
    LIMIT("\x02\x7e\x00\xc8"
          "12345678901234567890123456789012345678901234567890" /* 200 bytes */
          "12345678901234567890123456789012345678901234567890"
          "12345678901234567890123456789012345678901234567890"
          "12345678901234567890123456789012345678901234567890"
          "\x80\x7e\x00\x80"
          "12345678901234567890123456789012345678901234567890" /* and 128 */
          "12345678901234567890123456789012345678901234567890"
          "1234567890123456789012345678"),
};

TEST(the_peer_violates_a_rule)
{
    for (size_t i = 0; i < sizeof violations / sizeof *violations; i++) {
        nart_ws_opts opts = options();

        opts.max_message = 255;
        open_with(opts, 1024);
        ws_frame_text(ws.fd, FIN | TEXT, "before");
        ws_send_all(ws.fd, violations[i].bytes, violations[i].n);
        ws_receives_text(&ws, NART_WS_TEXT, "before");
        ws_is_closed(&ws);
        ws_expect_close(ws.fd, violations[i].code, "");
        CHECK_EQ(recv(ws.fd, &(char){ 0 }, 1, 0), 0);
        shutdown(ws.fd, SHUT_WR);
        ws_ends(&ws, violations[i].is, 0);
        CHECK(*nart_tokio_op_message(&ws.op, NULL) != '\0');
        close_all();
    }
}

TEST(a_ping_is_too_long)
{
    char *text = letters(126);

    open_all();
    ws_frame(ws.fd, FIN | PING, text, 126);
    ws_expect_close(ws.fd, 1002, "");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, NART_EWS_PROTOCOL, 0);
    free(text);
    close_all();
}

TEST(limits_of_messages_and_frames)
{
    nart_ws_opts opts = options();
    char *text = letters(1016);

    open_all(); /* what fits into the channel: 1024 bytes */
    ws_frame(ws.fd, FIN | TEXT, text, 1016);
    ws_receives(&ws, NART_WS_TEXT, text, 1016);
    ws_frame(ws.fd, FIN | TEXT, text, 1016);
    ws_receives(&ws, NART_WS_TEXT, text, 1016);
    ws_send_all(ws.fd, "\x81\x7e\x03\xf9", 4);
    ws_expect_close(ws.fd, 1009, "");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, NART_EWS_LIMIT, 0);
    close_all();

    opts.max_message = 10; /* of messages, not of pings */
    open_with(opts, 1024);
    ws_frame(ws.fd, FIN | PING, text, 125);
    ws_receives(&ws, NART_WS_PING, text, 125);
    ws_expect(ws.fd, PONG, text, 125);
    ws_frame(ws.fd, FIN | TEXT, text, 11);
    ws_expect_close(ws.fd, 1009, "");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, NART_EWS_LIMIT, 0);
    close_all();

    opts = options();
    opts.max_frame = 10;
    open_with(opts, 1024);
    ws_frame(ws.fd, TEXT, text, 10);
    ws_frame(ws.fd, FIN | CONTINUATION, text + 10, 10);
    ws_receives(&ws, NART_WS_TEXT, text, 20);
    ws_frame(ws.fd, FIN | TEXT, text, 11);
    ws_expect_close(ws.fd, 1009, "");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, NART_EWS_LIMIT, 0);
    free(text);
    close_all();
}

TEST(a_message_of_c_is_not_valid)
{
    static const struct {
        uint32_t kind, code;
        const char *payload;
        size_t n;
    } rows[] = {
        { 0, 0, "a", 1 },
        { 3, 0, "a", 1 },
        { NART_WS_TEXT, 0, "\xff", 1 },
        { NART_WS_TEXT, 0, "\xc3", 1 },
        { NART_WS_CLOSE, 0, "a", 1 },
        { NART_WS_CLOSE, 999, "", 0 },
        { NART_WS_CLOSE, 1005, "", 0 },
        { NART_WS_CLOSE, 1006, "", 0 },
        { NART_WS_CLOSE, 1015, "", 0 },
        { NART_WS_CLOSE, 2999, "", 0 },
        { NART_WS_CLOSE, 5000, "", 0 },
        { NART_WS_CLOSE, 65536 + 1000, "", 0 },
        { NART_WS_CLOSE, 1000, "\xff", 1 },
        { NART_WS_CLOSE, 1000, NULL, 124 },
        { NART_WS_PING, 0, NULL, 126 },
        { NART_WS_PONG, 0, NULL, 126 },
    };
    char *text = letters(126);

    for (size_t i = 0; i <= sizeof rows / sizeof *rows; i++) {
        open_all();
        ws_say(&ws, NART_WS_TEXT, "before");
        if (i == sizeof rows / sizeof *rows)
            CHECK_RES(nart_bytes_send_blocking(&ws.tx, "short", 5, NART_NEVER), 0);
        else
            CHECK_RES(ws_try(&ws, rows[i].kind, rows[i].code,
                             rows[i].payload ? rows[i].payload : text, rows[i].n, NART_NEVER),
                      0);
        ws_expect(ws.fd, TEXT, "before", 6);
        ws_expect_close(ws.fd, 1001, "");
        ws_is_closed(&ws);
        shutdown(ws.fd, SHUT_WR);
        ws_ends(&ws, -EINVAL, 0);
        CHECK(*nart_tokio_op_message(&ws.op, NULL) != '\0');
        close_all();
    }
    free(text);
}

/* Until the server ends the connection. If it were reset, the server might not see why. */
TEST(what_follows_an_end_is_dropped)
{
    enum { MORE = 8 << 20 };
    char *text = letters(MORE);

    for (int closes = 0; closes < 2; closes++) {
        open_all();
        if (closes)
            ws_frame_close(ws.fd, 1000, "");
        else
            ws_frame_text(ws.fd, FIN | CONTINUATION, "");
        ws_expect_close(ws.fd, closes ? 1000 : 1002, "");
        ws_is_closed(&ws);
        ws_send_all(ws.fd, text, MORE);
        CHECK_EQ(recv(ws.fd, &(char){ 0 }, 1, 0), 0);
        CHECK_RES(nart_tokio_op_try(&ws.op, NULL), NART_PENDING);
        shutdown(ws.fd, SHUT_WR);
        ws_ends(&ws, closes ? 0 : NART_EWS_PROTOCOL, closes ? 1000 : 0);
        close_all();
    }
    free(text);
}
