/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/settings.h"
#include "model/machine.h"

/* What the configuration names and this machine has not is logged and taken out; of a list without anything that is there nothing
 * is left, which is to say no limit. */
void config_check_machine(Settings *settings, const Machine *machine);
