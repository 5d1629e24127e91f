/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

#define LAUNCH_TOKEN_BYTES 16U

/* What a worker must know from its first instruction on. The daemon writes it into the pipe that holds the child back;
 * the worker reads it from LAUNCH_RECORD_FD until end of file. Not in argv or the environment: the token is a secret. */
#define LAUNCH_RECORD_FD 3

typedef struct LaunchRecord {
    char *id;                          /* "w1" */
    uint8_t token[LAUNCH_TOKEN_BYTES]; /* shown at Register */
    char *socket;                      /* path of the worker socket */
    char *output_directory; /* output files go to DIRECTORY/<task/10000>/<task>.<attempt>.{out,err} */
    char *spool_directory;  /* results nobody fetched: DIRECTORY/<id> */
    uint32_t slots;
    uint64_t heartbeat_usec;
    uint64_t orphan_usec; /* so long it waits for a daemon when nothing runs */
    bool delegated;       /* may it make cgroups below its own? */
    GBytes *environment;  /* strv-blob added to each task's; NULL: none */
    GBytes *exec;         /* strv-blob: the program that does the tasks; NULL: they are commands */
    char *class;          /* with exec only; else NULL */
    uint32_t user;        /* the uid whose tasks it runs, and as whom the program runs; UID_ANYBODY */
    uint32_t recycle;     /* the program is replaced after so many tasks; 0: never */
    uint64_t recycle_memory_bytes; /* or when it takes more; LIMIT_INFINITY: never */
} LaunchRecord;

LaunchRecord *launch_record_new(void);
LaunchRecord *launch_record_free(LaunchRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LaunchRecord, launch_record_free)

GBytes *launch_record_serialize(const LaunchRecord *record);
/* 0; -EINVAL: not a launch record; -EPROTO: of another version. */
int launch_record_parse(const void *data, size_t size, LaunchRecord **ret) _warn_unused_;
