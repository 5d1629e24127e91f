/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/settings.h"

/* parexecd.conf(5): the defaults, then parexecd.conf, then the drop-ins in parexecd.conf.d/, in /usr/lib, /run and /etc as
 * systemd reads its own files. What cannot be read or parsed is logged with file and line and keeps its default. */
void config_load(Settings *ret, bool user);

/* The same from given directories, lowest priority first; for tests and config_load(). */
void config_load_from(Settings *ret, const char *const *directories);
