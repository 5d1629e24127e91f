/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Small files of /proc and cgroupfs, read and written in one go. */

#define KERNEL_FILE_MAX (1U << 20)

/* The whole file, closed by NUL; at most KERNEL_FILE_MAX bytes. */
int kernel_file_read(int directory, const char *name, char **ret) _warn_unused_;

/* Replaces what the file says by one write(2). */
int kernel_file_write(int directory, const char *name, const char *text) _warn_unused_;

/* From an open file, again and again: its number, or the number that follows KEY in its lines "KEY
 * NUMBER". */
int kernel_fd_number(int fd, uint64_t *ret) _warn_unused_;
int kernel_fd_key(int fd, const char *key, uint64_t *ret) _warn_unused_;

/* The number behind KEY in such a text; -ENODATA: no such line. */
int kernel_text_key(const char *text, const char *key, uint64_t *ret) _warn_unused_;
