/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bridge links with what the package says it needs. */
#include <nart/tokio.h>

int main(void)
{
    return nart_version() == NART_VERSION_NUMBER ? 0 : 1;
}
