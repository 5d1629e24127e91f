/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* A character device, as in the kernel's tables. */
typedef struct DeviceNumber {
    uint32_t major, minor;
} DeviceNumber;

#define DEVICE_FILTER_MAX 128U

/* Takes these devices from every process of a group of cgroup v2 and of those below it, for as long as it exists; everything else
 * is as before. directory: the group's. -EPERM, -ENOSYS, …: this kernel, or this user, cannot; -E2BIG: more than
 * DEVICE_FILTER_MAX. */
int device_filter_attach(const char *directory, const DeviceNumber *devices, size_t n) _warn_unused_;

/* 1: the group has a filter, 0: none; negative errno: not known. */
int device_filter_is_attached(const char *directory) _warn_unused_;
