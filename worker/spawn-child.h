/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/spawn.h"

/* Between clone and execve, in the child; of spawn.c only. */
typedef struct SpawnChild {
    const SpawnRequest *request;
    char *const *programs; /* paths to be tried, one after the other */
    bool shared;           /* it runs in the parent's memory, and the parent waits */
} SpawnChild;

/* Never returns. */
void spawn_child_run(void *child) __attribute__((noreturn));
