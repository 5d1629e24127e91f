/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/profile.h"

/* The sections whose names or keys the administrator gives: [Profile NAME] and [Resources]. */

/* The one of this name, made if it is new; NULL: it is no name. */
Profile *config_profile(GPtrArray *profiles, const char *name);

/* -ENOENT: there is no such key; -EINVAL, -ERANGE: the value is none. */
int config_profile_set(Profile *profile, const char *key, const char *value);

/* NAME=COUNT; 0 takes it back. *resources may be NULL before and after. */
int config_resource_set(GArray **resources, const char *name, const char *value);

/* The name of a profile, or "": none (NULL). */
int parse_profile_name(const char *value, void *field);
