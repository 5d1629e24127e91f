/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/peer.h"
#include "core/settings.h"

/* Reads and checks the options of AddWorker; what is not given comes from the settings. peer: who asks */
int worker_request_read(sd_bus_message *m, const Settings *settings, const Peer *peer, WorkerSpec **ret,
                        sd_bus_error *error) _warn_unused_;
