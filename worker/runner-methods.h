/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "worker/runner.h"

/* What the daemon may call. */
typedef struct RunnerMethods {
    Runner *runner;
    void (*exit)(void *userdata);
    void *userdata;
} RunnerMethods;

/* methods must stay for as long as the bus. */
int runner_methods_add(sd_bus *bus, RunnerMethods *methods) _warn_unused_;
