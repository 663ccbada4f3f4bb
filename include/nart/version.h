/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/version.h
 * The version of these headers: the one place it is written. CMake reads it from here; a test
 * holds the crate's version to it. nart_version() tells the version of the library.
 */
#ifndef NART_VERSION_H
#define NART_VERSION_H

#define NART_VERSION_MAJOR 0
#define NART_VERSION_MINOR 1
#define NART_VERSION_PATCH 0

/** One comparable number: 1.2.3 is 0x010203. */
#define NART_VERSION_NUMBER                                                                        \
    ((NART_VERSION_MAJOR << 16) | (NART_VERSION_MINOR << 8) | NART_VERSION_PATCH)

#endif
