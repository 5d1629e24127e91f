/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/peer.h"
#include "core/settings.h"

/* Reads and checks the options of AddWorker; what is not given comes from the profile (NULL: none is active) and the settings.
 * peer: who asks */
int worker_request_read(sd_bus_message *m, const Settings *settings, const Profile *profile, const Peer *peer,
                        WorkerSpec **ret, sd_bus_error *error) _warn_unused_;

/* The limits of SetLimits, over those that there are. */
int worker_request_read_limits(sd_bus_message *m, WorkerLimits *limits, sd_bus_error *error) _warn_unused_;
