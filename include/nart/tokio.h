/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef NART_TOKIO_H
#define NART_TOKIO_H

#include "base.h"

#endif
