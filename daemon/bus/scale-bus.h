/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/bus-internal.h"

/* The setters of Profile and AutoScale, for a caller that may; m stands before the value. */
int scale_set_profile(Bus *bus, sd_bus_message *m, sd_bus_error *error);
int scale_set_autoscale(Bus *bus, sd_bus_message *m, sd_bus_error *error);
