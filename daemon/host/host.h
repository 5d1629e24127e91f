/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"

/* What this machine has, read anew at each call (its topology once). */
HostPort *host_new(void);
HostPort *host_free(HostPort *host);
