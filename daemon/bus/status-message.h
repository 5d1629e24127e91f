/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "core/manager.h"

/* The a{sv} of Manager1.Status. */
int status_message_append(sd_bus_message *m, Manager *manager) _warn_unused_;
