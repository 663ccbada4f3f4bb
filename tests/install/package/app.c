/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Headers and library are installed and agree. */
#include <nart/base.h>

int main(void)
{
    return nart_version() == NART_VERSION_NUMBER ? 0 : 1;
}
