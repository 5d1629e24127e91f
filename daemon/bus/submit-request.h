/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/peer.h"
#include "core/ports.h"

/* Reads and checks the arguments of Submit. policy: of tasks that say nothing about it. */
int submit_request_read(sd_bus_message *m, const Peer *peer, const TaskPolicy *policy, Submission **ret,
                        sd_bus_error *error) _warn_unused_;
