/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "util/macro.h"

/* D-Bus messages as GVariant and back, so that tests can write arguments as text and look into answers by key. */

/* Appends one value. A handle ('h') is the number of a file descriptor of this process. */
int message_append_gvariant(sd_bus_message *m, GVariant *value) _warn_unused_;

/* Appends each member of a tuple; NULL: nothing. */
int message_append_arguments(sd_bus_message *m, GVariant *arguments) _warn_unused_;

/* The whole body as a tuple. A handle is the number of a descriptor that the message owns. */
int message_to_gvariant(sd_bus_message *m, GVariant **ret) _warn_unused_;
