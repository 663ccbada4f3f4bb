/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ws_peer.h"

static uint32_t turned(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static void sha1_block(uint32_t state[5], const unsigned char block[64])
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    for (int i = 0; i < 80; i++)
        w[i] = i < 16 ? (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                            (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3]
                      : turned(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = turned(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = turned(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Of a text of 56 to 119 bytes: two blocks. */
static void sha1(const char *text, unsigned char hash[20])
{
    uint32_t state[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    unsigned char blocks[128] = { 0 };
    size_t n = strlen(text);

    CHECK(n >= 56 && n < 120);
    for (size_t i = 0; i < n; i++)
        blocks[i] = (unsigned char)text[i];
    blocks[n] = 0x80;
    blocks[126] = (unsigned char)(8 * n >> 8);
    blocks[127] = (unsigned char)(8 * n);
    sha1_block(state, blocks);
    sha1_block(state, blocks + 64);
    for (int i = 0; i < 20; i++)
        hash[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_accept_key(const char *head, char accept[29])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char hash[21] = { 0 };
    char text[64] = "";
    const char *key = strstr(head, "sec-websocket-key: ");

    CHECK(key != NULL);
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    sha1(text, hash);
    for (int i = 0; i < 28; i++) {
        unsigned bits =
            (unsigned)hash[i * 6 / 8] << 8 | hash[i * 6 / 8 + 1 > 20 ? 20 : i * 6 / 8 + 1];
        accept[i] = digits[bits >> (10 - i * 6 % 8) & 63];
    }
    accept[27] = '=';
    accept[28] = '\0';
}
