/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/resource.h>
#include <systemd/sd-event.h>

#include "model/launch-record.h"
#include "worker/leaf-cgroup.h"
#include "worker/process-tree.h"
#include "worker/spawn.h"
#include "worker/surroundings.h"
#include "worker/task-files.h"
#include "worker/task-output.h"

/* One attempt of a task, as the daemon gave it. */
typedef struct RunnerTask {
    uint64_t id, fence, batch, array_index, context;
    uint32_t attempt;
    GBytes *argv;               /* strv-blob, not empty */
    uint64_t memory_max_bytes;  /* of its cgroup; 0: as its context says */
    LeafLimits limits;          /* of its cgroup; filled in by the runner, and may be changed later */
    char *gpus;                 /* those that it may use, "0,2"; NULL: nothing is said */
    GPtrArray *inputs;          /* TaskInput; NULL: none */
    int fds[_STREAM_MAX];       /* -EBADF: not given */
    Surroundings *surroundings; /* filled in by the runner */
    struct Slot *slot;          /* NULL: ahead */
    GList *link;                /* in the runner's list of tasks ahead */
} RunnerTask;

RunnerTask *runner_task_new(void);
RunnerTask *runner_task_free(RunnerTask *task); /* closes the descriptors; takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RunnerTask, runner_task_free)

typedef enum SlotState {
    SLOT_FREE,
    SLOT_RUNNING,  /* the task's first process has not been reaped */
    SLOT_CLEARING, /* it has, or was never born; whatever else is in the leaf is being killed */
} SlotState;

/* What all slots of a worker share. */
typedef struct SlotSite {
    const LaunchRecord *record;
    sd_event *event;
    void (*attention)(void *userdata); /* called from the loop: a slot has become another by itself */
    void *attention_userdata;
    OutputStore *output;
    FileSite *files;
    const LeafTree *tree;   /* NULL: no cgroups, process-tree.h must do */
    SpawnReport *reports;   /* one for each slot, in memory shared with the children */
    GHashTable *held_up;    /* uid → when (int64_t, CLOCK_MONOTONIC) SPAWN_SHARED took too long */
    bool reset_oom_score, reset_open_files;
} SlotSite;

typedef struct Slot {
    const SlotSite *site;
    uint32_t index;
    SlotState state;
    RunnerTask *task;       /* NULL if free */
    LeafCgroup *leaf;       /* NULL: none */
    struct Program *program; /* that does the tasks; NULL: they are commands */
    TaskFiles *files;
    pid_t pid;              /* 0: was never born */
    int outputs[_STREAM_MAX]; /* our files; -EBADF: it goes elsewhere */
    int error;              /* it was never born: why, */
    char *trouble;          /* and as a sentence; NULL: the errno says it */
    int status;             /* as wait(2) gave it */
    struct rusage usage;
    uint64_t start_usec, end_usec;   /* CLOCK_REALTIME */
    uint64_t start_monotonic_usec, clearing_since_usec; /* CLOCK_MONOTONIC */
    bool told;              /* the daemon knows that it started */
    char *not_enforced;     /* a sentence on those limits that could not be set; NULL: all are */
    sd_event_source *oom_source; /* NULL: the kernel kills all of a leaf by itself */
    uint64_t oom_until_usec; /* CLOCK_MONOTONIC: so long somebody may be killed for want of memory; 0: no reason to think so */
    char *victim;           /* the name of its first process, if that was killed before we killed anything; NULL */
    uint64_t frozen_usec;   /* CLOCK_MONOTONIC: since when it stands still; 0: it does not */
    Outcome ending;         /* what it was told to stop as; OUTCOME_NONE: nothing */
    bool killing;           /* its processes are being killed, whatever they are doing */
    uint64_t warn_at_usec, stop_at_usec, kill_at_usec; /* CLOCK_MONOTONIC, of slot-time.h; UINT64_MAX: not */
} Slot;

void slot_init(Slot *slot, const SlotSite *site, uint32_t index);
int slot_make_leaf(Slot *slot) _warn_unused_; /* if the site has a tree */
void slot_drop_leaf(Slot *slot);
void slot_done(Slot *slot);

/* What starting anything in the slot takes, but for its streams. */
void slot_spawn_request(const Slot *slot, const Surroundings *surroundings, char *const *argv, char *const *envp,
                        SpawnRequest *ret);
/* Where what is started in it may ask for notice of memory pressure, as that user; NULL: nowhere. */
char *slot_pressure_file(Slot *slot, const Surroundings *surroundings);

/* Of a running one: the limits of its task, which have changed, hold from here. */
void slot_apply_limits(Slot *slot);

/* free → running; → clearing, if it could not be started. Takes the task. */
void slot_start(Slot *slot, RunnerTask *task);
/* running → clearing: its first process was reaped. */
void slot_ended(Slot *slot, int status, const struct rusage *usage);
/* running → clearing: its program has answered. */
void slot_answered(Slot *slot, int exit_status);
/* Of a running one, whose program was replaced before it had read the task: asks the next; → clearing, if
 * the task is to stop, or that could not be started. */
void slot_ask_again(Slot *slot);
/* clearing → free: what became of the task. */
void slot_collect(Slot *slot, TaskResult *ret);

/* Of a free slot: may a task be started in it? Not while its program is being replaced. */
bool slot_is_ready(const Slot *slot);

/* Kills every process of the task, once. known: first processes of all slots, alone: no other slot is in
 * use; both are looked at where there are no cgroups. True: none is left. */
bool slot_kill(Slot *slot, const pid_t *known, size_t n_known, bool alone);
