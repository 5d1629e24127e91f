/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* What each fuzz-NAME.c has: libFuzzer's entry, and inputs to begin with for local-fuzzer.c. */

typedef struct FuzzSeed {
    const char *data;
    size_t size;
} FuzzSeed;

#define FUZZ_SEED(literal)                                                                                   \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

extern const FuzzSeed fuzz_seeds[];
extern const size_t n_fuzz_seeds;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
