/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/version.h
 * The version of these headers. nart_version() answers that of the library.
 */
#ifndef NART_VERSION_H
#define NART_VERSION_H

/** The version. The only place where it is written: CMake reads it from here, a test compares the crate's. */
#define NART_VERSION_MAJOR 0
#define NART_VERSION_MINOR 1
#define NART_VERSION_PATCH 0

/** The version as one number that can be compared: 1.2.3 is 0x010203. */
#define NART_VERSION_NUMBER                                                                        \
    ((NART_VERSION_MAJOR << 16) | (NART_VERSION_MINOR << 8) | NART_VERSION_PATCH)

#endif
