/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* A task's policy for people, from the words that the daemon tells: "2 retries, timeout 1h, …"; "": all is
 * as usual. */
char *policy_in_words(const char *policy);
/* What it takes of its worker, out of the same words; "": nothing that it says. */
char *demand_in_words(const char *terms);
