/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pressure stall information: the share of the last ten seconds in which some task waited, in percent.
 * Negative: the text does not say, or the kernel has none. */
double psi_parse_some_avg10(const char *text);
double psi_read(const char *path /* "/proc/pressure/memory" */);
