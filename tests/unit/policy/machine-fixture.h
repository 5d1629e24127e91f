/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/machine.h"
#include "policy/placing.h"

/* Machines that do not exist, and requests to them. */
typedef enum FakeMachine {
    MACHINE_BIG, /* 2 packages and nodes of 256G with 32 cores each, 2 threads per core; 4 GPUs, 2 at each node */
    MACHINE_DESKTOP,    /* 8 cores, 2 threads each, one node of 32G, an NVIDIA and an Intel GPU */
    MACHINE_SINGLE,     /* 1 core, 1 thread, one node of 2G */
    MACHINE_MEMORYLESS, /* 2 nodes with 4 cores each; the second has no memory; the third memory and no cores */
    MACHINE_UNKNOWN,    /* nothing is known */
    _MACHINE_MAX,
} FakeMachine;

/* To be freed by machine_done(). */
void fake_machine(FakeMachine which, Machine *ret);
/* "pin cpus=4 numa=auto|N gpus=2? memory=8G slots=2 allowed-cpus=0-3 resources=a=1,b=2": what AddWorker would make of it. */
WorkerSpec *fake_request(const char *words);
