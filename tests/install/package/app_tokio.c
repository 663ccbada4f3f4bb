/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bridge links with the dependencies that the package declares, and runs. */
#include <nart/tokio.h>

int main(void)
{
    nart_tokio *tokio = NULL;

    nart_res r = nart_tokio_new(NULL, &tokio);
    if (r == 0)
        r = nart_tokio_shutdown(tokio, 60 * NART_SEC, NULL);
    nart_tokio_free(tokio);
    return r == 0 && nart_version() == NART_VERSION_NUMBER ? 0 : 1;
}
