/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/call.h"
#include "bus/peer.h"

/* May this client do that? Root and the user whose daemon this is may do everything; others are polkit's to judge, which is
 * asked asynchronously.
 * 1: yes. 0: polkit is being asked, the handler runs again from the top and returns 1 now. Negative: no; error is set. */
int authorize(Calls *calls, sd_bus_message *m, const Peer *peer, const char *action, bool user_mode,
              sd_bus_error *error) _warn_unused_;
