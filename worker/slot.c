/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One slot of the worker: a place where one task runs at a time. Owned by the runner, which reaps, sweeps
 * and reports.
 *
 *   FREE ──start──► RUNNING ──ended──► CLEARING ──collect──► FREE
 *     └───────────start (failed)──────────┘
 *
 * A slot is collected only when its leaf is empty: whoever hears of a result may rely on nothing of the
 * task being left. */
#include "worker/slot.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "model/spool.h"
#include "util/log.h"
#include "util/strv-blob.h"
#include "worker/program.h"
#include "worker/slot-oom.h"
#include "worker/slot-time.h"

#define NO_CGROUP "limits: not enforced (the worker has no cgroup for single tasks)"
#define HELD_UP_USEC (60 * (int64_t) USEC_PER_SEC)

RunnerTask *runner_task_new(void)
{
    RunnerTask *task = g_new0(RunnerTask, 1);

    for (int i = 0; i < _STREAM_MAX; i++)
        task->fds[i] = -EBADF;
    return task;
}

RunnerTask *runner_task_free(RunnerTask *task)
{
    if (!task)
        return NULL;
    for (int i = 0; i < _STREAM_MAX; i++)
        close_fd(task->fds[i]);
    surroundings_unref(task->surroundings);
    g_clear_pointer(&task->argv, g_bytes_unref);
    g_clear_pointer(&task->inputs, g_ptr_array_unref);
    g_free(task->gpus);
    g_free(task);
    return NULL;
}

void slot_init(Slot *slot, const SlotSite *site, uint32_t index)
{
    *slot = (Slot) {
        .site = site, .index = index, .state = SLOT_FREE, .outputs = { -EBADF, -EBADF, -EBADF }
    };
    slot->files = task_files_new(site->files, index);
    slot->program = site->record->exec ? program_new(slot) : NULL;
}

int slot_make_leaf(Slot *slot)
{
    int r = slot->site->tree ? leaf_cgroup_new(slot->site->tree, slot->index, &slot->leaf) : 0;

    return r < 0 || !slot->leaf ? r : slot_oom_watch(slot);
}

void slot_drop_leaf(Slot *slot)
{
    slot->oom_source = sd_event_source_disable_unref(slot->oom_source);
    slot->leaf = leaf_cgroup_free(slot->leaf);
}

void slot_done(Slot *slot)
{
    for (int i = 0; i < _STREAM_MAX; i++)
        slot->outputs[i] = close_fd(slot->outputs[i]);
    if (slot->program)
        (void) slot_kill(slot, NULL, 0, /* alone= */ false);
    slot->program = program_free(slot->program);
    slot->task = runner_task_free(slot->task);
    slot_drop_leaf(slot);
    slot->files = task_files_free(slot->files);
    g_clear_pointer(&slot->trouble, g_free);
    g_clear_pointer(&slot->not_enforced, g_free);
    g_clear_pointer(&slot->victim, g_free);
}

static OutputName slot_output_name(const Slot *slot, StdStream stream)
{
    return (OutputName) { .task = slot->task->id, .attempt = slot->task->attempt, .stream = stream };
}

/* Our own files for what the task did not direct elsewhere. */
static int slot_open_outputs(Slot *slot)
{
    const RunnerTask *task = slot->task;
    int r = 0;

    for (int i = STREAM_STDOUT; i <= STREAM_STDERR && r >= 0; i++) {
        OutputName name = slot_output_name(slot, (StdStream) i);

        if (i == STREAM_STDERR && task->surroundings->context->policy.merge)
            continue;
        if (task->fds[i] < 0 && !task->surroundings->streams[i])
            r = output_store_open(slot->site->output, &name, task->surroundings->context->uid,
                                  task->surroundings->context->gid, &slot->outputs[i]);
        if (slot->outputs[i] >= 0)
            output_store_limit(slot->site->output, slot->outputs[i],
                               task->surroundings->context->policy.output_max_bytes);
    }
    if (r < 0)
        (void) log_error_errno(r, "Cannot make the output files of task %" PRIu64 " in %s: %m", task->id,
                               slot->site->record->output_directory);
    return r;
}

void slot_spawn_request(const Slot *slot, const Surroundings *surroundings, char *const *argv, char *const *envp,
                        SpawnRequest *ret)
{
    const TaskContext *context = surroundings->context;

    *ret = (SpawnRequest) {
        .argv = argv,
        .envp = envp,
        .search_path = surroundings->search_path,
        .cwd = surroundings->cwd,
        .change_identity = geteuid() == 0,
        .uid = context->uid,
        .gid = context->gid,
        .groups = context->groups,
        .n_groups = context->n_groups,
        .cgroup_fd = slot->leaf ? leaf_cgroup_birth_fd(slot->leaf) : -EBADF,
        .reset_oom_score = slot->site->reset_oom_score,
        .reset_open_files = slot->site->reset_open_files,
        .die_with_parent = !slot->leaf,
        .report = &slot->site->reports[slot->index],
    };
    if (slot->leaf)
        ret->join_fds = leaf_cgroup_join_fds(slot->leaf, &ret->n_joins);
}

static void slot_request(const Slot *slot, char *const *argv, char *const *envp, SpawnRequest *ret)
{
    const Surroundings *surroundings = slot->task->surroundings;

    slot_spawn_request(slot, surroundings, argv, envp, ret);
    ret->merge = surroundings->context->policy.merge;
    ret->credentials = surroundings->credentials;
    ret->n_credentials = surroundings->n_credentials;
    for (int i = 0; i < _STREAM_MAX; i++) {
        ret->fds[i] = slot->task->fds[i] >= 0 ? slot->task->fds[i] : slot->outputs[i];
        ret->paths[i] = slot->task->fds[i] >= 0 ? NULL : surroundings->streams[i];
    }
}

/* Has somebody's task lately held up the start of its program? */
static bool slot_is_held_up(const Slot *slot, uint32_t uid)
{
    const int64_t *since = g_hash_table_lookup(slot->site->held_up, GUINT_TO_POINTER(uid));

    return since && g_get_monotonic_time() - *since < HELD_UP_USEC;
}

static void slot_note_holdup(const Slot *slot, uint32_t uid)
{
    int64_t now = g_get_monotonic_time();

    log_notice("Starting a program of user %" PRIu32 " took over %" PRIu64 " ms; for a minute its programs "
               "are started in the slower way that holds nobody up.", uid, SPAWN_HOLDUP_USEC / USEC_PER_MSEC);
    g_hash_table_insert(slot->site->held_up, GUINT_TO_POINTER(uid), g_memdup2(&now, sizeof now));
}

/* Opening what a user named may take for ever (a FIFO without a reader, a dead file server): then the
 * copying way, which waits for nobody. */
static SpawnMode slot_spawn_mode(const Slot *slot, const SpawnRequest *request)
{
    for (int i = 0; i < _STREAM_MAX; i++)
        if (request->paths[i])
            return SPAWN_FORK;
    if (request->n_credentials > 0)
        return SPAWN_FORK;
    return slot_is_held_up(slot, request->uid) ? SPAWN_FORK : SPAWN_SHARED;
}

char *slot_pressure_file(Slot *slot, const Surroundings *surroundings)
{
    return slot->leaf ? leaf_cgroup_give_pressure(slot->leaf, surroundings->context->uid) : NULL;
}

static int slot_spawn_once(Slot *slot, char *const *argv, TaskIdentity identity, const int *credential_fds)
{
    const Surroundings *surroundings = slot->task->surroundings;
    g_autofree char *added = NULL, *pressure = slot_pressure_file(slot, surroundings);
    g_autofree char **envp = NULL;
    SpawnRequest request;
    bool held_up;
    int r;

    identity.pressure = pressure;
    envp = surroundings_environment(surroundings, &identity, &added);
    slot_request(slot, argv, envp, &request);
    request.credential_fds = credential_fds;
    r = spawn_process(&request, slot_spawn_mode(slot, &request), &slot->pid, &held_up);
    if (r >= 0 && held_up)
        slot_note_holdup(slot, request.uid);
    return r;
}

static void slot_tell_not_enforced(Slot *slot)
{
    static bool warned;

    if (slot->not_enforced && !warned) {
        log_warning("Of the limits of task %" PRIu64 ", as of others later: %s.", slot->task->id, slot->not_enforced);
        warned = true;
    }
}

void slot_apply_limits(Slot *slot)
{
    const LeafLimits *limits = &slot->task->limits;

    g_free(slot->not_enforced);
    if (slot->leaf)
        slot->not_enforced = leaf_cgroup_limit(slot->leaf, limits);
    else
        slot->not_enforced = leaf_limits_any(limits) ? g_strdup(NO_CGROUP) : NULL;
    slot_tell_not_enforced(slot);
}

static int slot_prepare_leaf(Slot *slot)
{
    int r = 0;

    g_clear_pointer(&slot->not_enforced, g_free);
    if (slot->leaf)
        r = leaf_cgroup_prepare(slot->leaf, &slot->task->limits, &slot->not_enforced);
    else if (leaf_limits_any(&slot->task->limits))
        slot->not_enforced = g_strdup(NO_CGROUP);
    slot_tell_not_enforced(slot);
    return r;
}

/* The task's files, and their names for its environment. */
static int slot_prepare_files(Slot *slot, TaskIdentity *identity, const int **ret_credential_fds)
{
    const Surroundings *surroundings = slot->task->surroundings;
    TaskFileNames names;
    int r;

    r = task_files_prepare(slot->files, surroundings->context, slot->task->inputs, &slot->trouble);
    if (r < 0 && slot->trouble)
        return r;
    if (surroundings->n_credentials > 0) {
        r = task_files_make_credentials(slot->files, surroundings->context,
                                        (const char *const *) surroundings->credential_names,
                                        surroundings->n_credentials, ret_credential_fds);
        if (r < 0) {
            slot->trouble = g_strdup_printf("cannot make a folder for its credentials: %s", g_strerror(-r));
            return r;
        }
    }
    names = task_files_names(slot->files);
    identity->result = names.result;
    identity->inputs = names.inputs;
    identity->credentials = names.credentials;
    return 0;
}

static int slot_spawn(Slot *slot)
{
    const RunnerTask *task = slot->task;
    TaskIdentity identity = { .task = task->id, .batch = task->batch, .array_index = task->array_index,
                              .attempt = task->attempt, .worker = slot->site->record->id, .gpus = task->gpus };
    const int *credential_fds = NULL;
    gsize size;
    const void *data = g_bytes_get_data(task->argv, &size);
    g_autofree char **argv = strv_blob_pointers(data, size);
    int r;

    if (!argv[0])
        return -EINVAL;
    if (geteuid() != 0 && task->surroundings->context->uid != geteuid())
        return -EPERM;
    r = slot_prepare_files(slot, &identity, &credential_fds);
    if (r < 0)
        return r;
    r = slot_spawn_once(slot, argv, identity, credential_fds);
    if (slot->leaf && leaf_cgroup_is_spoilt(r)) {
        r = leaf_cgroup_replace(slot->leaf);
        if (r >= 0)
            r = slot_prepare_leaf(slot);
        if (r >= 0)
            r = slot_spawn_once(slot, argv, identity, credential_fds);
    }
    task_files_close_credentials(slot->files);
    return r;
}

static void slot_enter(Slot *slot, SlotState state)
{
    slot->state = state;
    if (state == SLOT_CLEARING) {
        slot->end_usec = (uint64_t) g_get_real_time();
        slot->clearing_since_usec = (uint64_t) g_get_monotonic_time();
    }
}

/* Where the task's stderr goes, if that is a file of ours; -EBADF. */
static int slot_error_fd(const Slot *slot)
{
    return slot->outputs[slot->task->surroundings->context->policy.merge ? STREAM_STDOUT : STREAM_STDERR];
}

/* Tells the user where he looks first, and in the record. */
static void slot_tell_failure(Slot *slot, SpawnStage stage, int error)
{
    g_autofree char *line = NULL;
    g_autofree char **argv = NULL;
    char *none[] = { (char *) "", NULL };
    SpawnRequest request;
    gsize size;
    const void *data = g_bytes_get_data(slot->task->argv, &size);

    argv = strv_blob_pointers(data, size);
    slot_request(slot, argv[0] ? argv : none, NULL, &request);
    if (!slot->trouble)
        slot->trouble = spawn_describe_failure(&request, stage, error);
    if (slot_error_fd(slot) < 0)
        return;
    line = g_strdup_printf("parexec: %s\n", slot->trouble);
    (void) !write(slot_error_fd(slot), line, strlen(line));
}

void slot_start(Slot *slot, RunnerTask *task)
{
    int r;

    slot->task = task;
    task->slot = slot;
    slot->pid = 0;
    slot->error = 0;
    slot->told = false;
    slot->oom_until_usec = slot->frozen_usec = 0;
    g_clear_pointer(&slot->trouble, g_free);
    g_clear_pointer(&slot->not_enforced, g_free);
    g_clear_pointer(&slot->victim, g_free);
    slot->start_usec = (uint64_t) g_get_real_time();
    slot->start_monotonic_usec = (uint64_t) g_get_monotonic_time();
    slot_time_begin(slot);
    slot_enter(slot, SLOT_RUNNING);
    r = slot->program ? 0 : slot_prepare_leaf(slot);
    if (r >= 0)
        r = slot_open_outputs(slot);
    if (r >= 0)
        r = slot->program ? program_ask(slot->program) : slot_spawn(slot);
    if (r >= 0) {
        if (slot->program && leaf_limits_any(&task->limits))
            slot_apply_limits(slot);
        /* the child has its own copies */
        for (int i = 0; i < _STREAM_MAX; i++)
            task->fds[i] = close_fd(task->fds[i]);
        return;
    }
    slot->error = -r;
    slot_tell_failure(slot, SPAWN_STAGE_NONE, slot->error);
    slot_enter(slot, SLOT_CLEARING);
}

void slot_ended(Slot *slot, int status, const struct rusage *usage)
{
    const SpawnReport *report = &slot->site->reports[slot->index];

    slot->status = status;
    slot->usage = *usage;
    if (slot->program && program_ended(slot->program)) {
        slot->pid = 0;
        return;
    }
    slot_enter(slot, SLOT_CLEARING);
    if (report->error) {
        slot->error = report->error;
        slot_tell_failure(slot, (SpawnStage) report->stage, report->error);
    }
}

void slot_answered(Slot *slot, int exit_status)
{
    slot->status = exit_status << 8; /* as wait(2) would give it */
    slot->usage = (struct rusage) { 0 };
    slot_enter(slot, SLOT_CLEARING);
}

void slot_ask_again(Slot *slot)
{
    int r;

    if (slot->ending != OUTCOME_NONE || slot->killing) {
        slot->status = SIGKILL; /* as wait(2) would give it */
        slot_enter(slot, SLOT_CLEARING);
        return;
    }
    r = program_ask(slot->program);
    if (r >= 0)
        return;
    slot->error = -r;
    slot_tell_failure(slot, SPAWN_STAGE_NONE, slot->error);
    slot_enter(slot, SLOT_CLEARING);
}

bool slot_is_ready(const Slot *slot)
{
    return slot->state == SLOT_FREE && (!slot->program || program_is_ready(slot->program));
}

static Outcome slot_outcome(const Slot *slot)
{
    if (slot->error)
        return OUTCOME_SPAWN_FAILED;
    if (slot->ending != OUTCOME_NONE)
        return slot->ending;
    return WIFSIGNALED(slot->status) ? OUTCOME_SIGNALLED : OUTCOME_EXITED;
}

static uint64_t rusage_cpu_nsec(const struct rusage *usage)
{
    const struct timeval *user = &usage->ru_utime, *system = &usage->ru_stime;

    return ((uint64_t) (user->tv_sec + system->tv_sec) * USEC_PER_SEC +
            (uint64_t) (user->tv_usec + system->tv_usec)) *
           NSEC_PER_USEC;
}

static void slot_settle_outputs(Slot *slot, TaskResult *result)
{
    for (int i = 0; i < _STREAM_MAX; i++) {
        OutputName name = slot_output_name(slot, (StdStream) i);

        if (slot->outputs[i] < 0)
            continue;
        output_store_settle(slot->site->output, &name, slot->outputs[i], &result->places[i],
                            &result->dropped_bytes[i]);
        slot->outputs[i] = close_fd(slot->outputs[i]);
    }
}

void slot_collect(Slot *slot, TaskResult *ret)
{
    LeafUsage usage = { UINT64_MAX, UINT64_MAX, 0 };
    bool born = slot->pid > 0;
    TaskResult result = { .task = slot->task->id, .fence = slot->task->fence, .error = slot->error,
                          .start_usec = slot->start_usec, .end_usec = slot->end_usec };

    if (slot->leaf && born)
        leaf_cgroup_usage(slot->leaf, &usage);
    result.outcome = slot_outcome(slot);
    if (born && !slot->error) {
        result.exit_status = WIFEXITED(slot->status) ? WEXITSTATUS(slot->status) : 0;
        result.signal = WIFSIGNALED(slot->status) ? WTERMSIG(slot->status) : 0;
    }
    if (born)
        result.cpu_nsec = usage.cpu_nsec != UINT64_MAX ? usage.cpu_nsec : rusage_cpu_nsec(&slot->usage);
    result.memory_peak_bytes = usage.memory_peak_bytes;
    if (slot->leaf && born && !slot->error && slot->ending == OUTCOME_NONE)
        slot_oom_judge(slot, usage.oom_kills, &result);
    if (!task_result_is_success(&result) && slot_error_fd(slot) >= 0)
        result.stderr_tail = output_tail(slot_error_fd(slot));
    task_files_collect(slot->files, &result);
    if (slot->program)
        program_collect(slot->program, &result);
    if (slot->trouble && !(result.note && strstr(result.note, slot->trouble))) /* a program has said it */
        result_add_note(&result, slot->trouble);
    if (slot->not_enforced)
        result_add_note(&result, slot->not_enforced);
    if (slot->program && slot->leaf && leaf_limits_any(&slot->task->limits)) {
        g_autofree char *why = leaf_cgroup_limit(slot->leaf, &LEAF_LIMITS_NONE); /* for the program's next task */
    }
    slot_settle_outputs(slot, &result);
    slot->task = runner_task_free(slot->task);
    slot->pid = 0;
    slot_enter(slot, SLOT_FREE);
    *ret = result;
}

static bool slot_kill_leaf(const Slot *slot)
{
    if (leaf_cgroup_is_empty(slot->leaf))
        return true;
    leaf_cgroup_kill(slot->leaf);
    return leaf_cgroup_is_empty(slot->leaf);
}

/* The program of the slot, which may have no task. */
static bool slot_kill_program(Slot *slot)
{
    const ProcessOwner owner = { .first = program_pid(slot->program) };
    bool gone = true;

    if (slot->state == SLOT_CLEARING && program_is_kept(slot->program))
        return true;
    if (slot->leaf)
        gone = slot_kill_leaf(slot);
    else if (owner.first > 0)
        gone = process_tree_kill(&owner) == 0;
    if (gone)
        program_gone(slot->program);
    return gone;
}

bool slot_kill(Slot *slot, const pid_t *known, size_t n_known, bool alone)
{
    ProcessOwner owner;

    if (slot->program)
        return slot_kill_program(slot);
    if (slot->leaf)
        return slot_kill_leaf(slot);
    if (slot->state == SLOT_CLEARING && !process_tree_has_strays(known, n_known))
        return true;
    owner = (ProcessOwner) { .task = slot->task->id, .first = slot->pid, .alone = alone };
    return process_tree_kill(&owner) == 0;
}
