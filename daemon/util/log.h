/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <syslog.h>

#include "util/macro.h"

/* Logging, once per event, in adapters and main only. On a terminal: "message"; else: the journal's <N> prefixes, which
 * systemd turns into priorities. "%m" is the given error. The structured records of workers are in journal/. */

void log_set_max_level(int level); /* LOG_ERR … LOG_DEBUG; default LOG_INFO, or $PAREXEC_LOG_LEVEL */
int log_get_max_level(void);

/* Each returns -abs(error), so that "return log_error_errno(r, …)" both logs and hands on. */
int log_full_errno(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_error_errno(error, ...) log_full_errno(LOG_ERR, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_full_errno(LOG_WARNING, error, __VA_ARGS__)
#define log_debug_errno(error, ...) log_full_errno(LOG_DEBUG, error, __VA_ARGS__)

#define log_error(...) ((void) log_full_errno(LOG_ERR, 0, __VA_ARGS__))
#define log_warning(...) ((void) log_full_errno(LOG_WARNING, 0, __VA_ARGS__))
#define log_notice(...) ((void) log_full_errno(LOG_NOTICE, 0, __VA_ARGS__))
#define log_info(...) ((void) log_full_errno(LOG_INFO, 0, __VA_ARGS__))
#define log_debug(...) ((void) log_full_errno(LOG_DEBUG, 0, __VA_ARGS__))
