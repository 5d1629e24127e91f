/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/peer.h"
#include "core/settings.h"

/* Reads and checks the options of AddWorker; what is not given comes from the profile (NULL: none is active) and the settings.
 * peer: who asks */
int worker_request_read(sd_bus_message *m, const Settings *settings, const Profile *profile, const Peer *peer,
                        WorkerSpec **ret, sd_bus_error *error) _warn_unused_;

/* SetLimits. */
typedef struct LimitsRequest {
    WorkerLimits limits; /* first; those that there are, which the new ones are read over */
    bool force;
} LimitsRequest;

int worker_request_read_limits(sd_bus_message *m, LimitsRequest *request, sd_bus_error *error) _warn_unused_;
