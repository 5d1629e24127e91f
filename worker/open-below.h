/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Opens what a task may have put there: neither through a symbolic link (-ELOOP) nor on another mount
 * (-EXDEV), so that no file system of a user's is asked. Never waits, never takes a terminal, is closed on
 * exec. Returns the descriptor. */
int open_below(int directory, const char *name, int flags) _warn_unused_;
