/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bridge, which has a TLS of its own, and OpenSSL are in one program, and both work. */
#include <nart/tokio.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <string.h>
#include <time.h>

static int openssl_works(void)
{
    static const unsigned char abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    int works = ssl && EVP_Digest("abc", 3, hash, &n, EVP_sha256(), NULL) == 1 && n == 32 &&
                memcmp(hash, abc, sizeof abc) == 0;

    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return works;
}

/* A request with TLS, to where nobody listens. */
static int bridge_works(nart_tokio *tokio)
{
#if NART_HTTP
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    struct timespec tick = { .tv_nsec = NART_MS };

    get.url = "https://127.0.0.1:1/";
    if (nart_http_request(tokio, &get, &op) != 0)
        return 0;
    while (nart_tokio_op_try(&op, NULL) == NART_PENDING)
        nanosleep(&tick, NULL);
    nart_res r = nart_tokio_op_try(&op, NULL);
    nart_tokio_op_close(&op);
    return r == NART_EHTTP_CONNECT || r == NART_EHTTP_TLS;
#else
    return tokio != NULL;
#endif
}

int main(void)
{
    nart_tokio *tokio = NULL;

    int works = openssl_works() && nart_tokio_new(NULL, &tokio) == 0 && bridge_works(tokio) &&
                openssl_works() && nart_tokio_shutdown(tokio, 60 * NART_SEC, NULL) == 0;
    nart_tokio_free(tokio);
    return works ? 0 : 1;
}
