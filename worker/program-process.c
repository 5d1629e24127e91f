/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting a program that does tasks, and what it is asked. It runs as the worker's user, whose tasks
 * alone it is given, with what the user database says of him; where that knows nothing, with the groups
 * of the task at hand. */
#include "worker/program-process.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "model/worker-spec.h"
#include "util/strv-blob.h"
#include "worker/kernel-file.h"
#include "worker/program-protocol.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

typedef struct Pipes {
    int ours[_STREAM_MAX], theirs[_STREAM_MAX];
} Pipes;

static void pipes_done(Pipes *pipes)
{
    for (int i = 0; i < _STREAM_MAX; i++) {
        pipes->ours[i] = close_fd(pipes->ours[i]);
        pipes->theirs[i] = close_fd(pipes->theirs[i]);
    }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pipes, pipes_done)

static int pipes_open(Pipes *pipes)
{
    for (int i = 0; i < _STREAM_MAX; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        pipes->ours[i] = ends[i == STREAM_STDIN ? 1 : 0];
        pipes->theirs[i] = ends[i == STREAM_STDIN ? 0 : 1];
        if (fcntl(pipes->ours[i], F_SETFL, O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

/* ------------------------------------------------------------------ who it runs as */

static void find_groups(TaskContext *context, const char *name)
{
    int n = 0;

    (void) getgrouplist(name, context->gid, NULL, &n);
    if (n <= 0 || n > GROUPS_MAX)
        return;
    g_free(context->groups);
    context->groups = g_new(uint32_t, (size_t) n);
    context->n_groups = getgrouplist(name, context->gid, context->groups, &n) >= 0 ? (size_t) n : 0;
}

/* The surroundings of the program: those of the worker's user, not of the task. */
static TaskContext *program_context(const TaskContext *task)
{
    TaskContext *context = task_context_new();
    char buffer[4096];
    struct passwd entry, *found = NULL;

    context->uid = task->uid;
    context->gid = task->gid;
    context->groups = g_memdup2(task->groups, task->n_groups * sizeof *task->groups);
    context->n_groups = task->n_groups;
    if (getpwuid_r(task->uid, &entry, buffer, sizeof buffer, &found) == 0 && found) {
        context->gid = entry.pw_gid;
        find_groups(context, entry.pw_name);
    }
    return context;
}

static int check_user(const Slot *slot, char **ret_why)
{
    uint32_t task_uid = slot->task->surroundings->context->uid, uid = slot->site->record->user;

    if (uid == UID_ANYBODY && geteuid() == 0)
        *ret_why = g_strdup("the worker has a program, but no user that it runs as");
    else if (task_uid != (uid == UID_ANYBODY ? geteuid() : uid) || (geteuid() != 0 && task_uid != geteuid()))
        *ret_why = g_strdup_printf("the worker's program does not do tasks of user %" PRIu32, task_uid);
    else
        return 0;
    return -EPERM;
}

/* ------------------------------------------------------------------ its start */

static int spawn_in(Slot *slot, const Surroundings *surroundings, const Pipes *pipes, pid_t *ret_pid)
{
    gsize size;
    const void *data = g_bytes_get_data(slot->site->record->exec, &size);
    g_autofree char **argv = strv_blob_pointers(data, size);
    g_autofree char *added = NULL, *pressure = slot_pressure_file(slot, surroundings);
    /* it is told of no task: it stays for others */
    TaskIdentity identity = { .worker = slot->site->record->id, .array_index = ARRAY_INDEX_NONE, .pressure = pressure,
                              .gpus = slot->task->gpus };
    g_autofree char **envp = surroundings_environment(surroundings, &identity, &added);
    SpawnRequest request;
    bool held_up;

    slot_spawn_request(slot, surroundings, argv, envp, &request);
    for (int i = 0; i < _STREAM_MAX; i++)
        request.fds[i] = pipes->theirs[i];
    return spawn_process(&request, SPAWN_FORK, ret_pid, &held_up); /* rare: better slow than held up */
}

static int spawn_in_leaf(Slot *slot, const Surroundings *surroundings, const Pipes *pipes, pid_t *ret_pid)
{
    g_autofree char *not_enforced = NULL; /* nothing is asked for, as long as it has no task */
    int r = slot->leaf ? leaf_cgroup_prepare(slot->leaf, &LEAF_LIMITS_NONE, &not_enforced) : 0;

    if (r < 0)
        return r;
    r = spawn_in(slot, surroundings, pipes, ret_pid);
    if (slot->leaf && leaf_cgroup_is_spoilt(r)) {
        r = leaf_cgroup_replace(slot->leaf);
        if (r >= 0)
            r = spawn_in(slot, surroundings, pipes, ret_pid);
    }
    return r;
}

int program_process_start(Slot *slot, ProgramProcess *ret, char **ret_why)
{
    g_autoptr(TaskContext) context = NULL;
    g_autoptr(Surroundings) surroundings = NULL;
    g_auto(Pipes) pipes = { { -EBADF, -EBADF, -EBADF }, { -EBADF, -EBADF, -EBADF } };
    pid_t pid = 0;
    int r;

    r = check_user(slot, ret_why);
    if (r < 0)
        return r;
    context = program_context(slot->task->surroundings->context);
    surroundings = surroundings_new(context, slot->site->record->environment);
    r = pipes_open(&pipes);
    if (r >= 0)
        r = spawn_in_leaf(slot, surroundings, &pipes, &pid);
    if (r < 0) {
        *ret_why = g_strdup_printf("cannot start the worker's program: %s", g_strerror(-r));
        return r;
    }
    *ret = (ProgramProcess){ pid, steal_fd(&pipes.ours[STREAM_STDIN]), steal_fd(&pipes.ours[STREAM_STDOUT]),
                             steal_fd(&pipes.ours[STREAM_STDERR]) };
    return 0;
}

/* ------------------------------------------------------------------ what it is asked */

/* The protocol has no place for them. */
static int refuse_redirections(const Slot *slot, char **ret_why)
{
    const RunnerTask *task = slot->task;

    for (int i = 0; i < _STREAM_MAX; i++)
        if (task->fds[i] >= 0 || task->surroundings->streams[i]) {
            *ret_why = g_strdup(
                "a task that a program does has no standard input, and its output goes nowhere else");
            return -EOPNOTSUPP;
        }
    return 0;
}

int program_process_question(Slot *slot, GString **ret)
{
    const RunnerTask *task = slot->task;
    ProgramQuestion question = { .task = task->id,
                                 .batch = task->batch,
                                 .array_index = task->array_index,
                                 .attempt = task->attempt,
                                 .argv = task->argv,
                                 .context = task->surroundings->context };
    int r;

    r = refuse_redirections(slot, &slot->trouble);
    if (r < 0)
        return r;
    if (task->inputs) {
        r = task_files_prepare(slot->files, question.context, task->inputs, &slot->trouble);
        if (r < 0)
            return r;
        question.inputs = task_files_names(slot->files).inputs;
    }
    *ret = program_question_format(&question);
    return 0;
}

void program_process_close(ProgramProcess *process)
{
    process->in_fd = close_fd(process->in_fd);
    process->out_fd = close_fd(process->out_fd);
    process->err_fd = close_fd(process->err_fd);
}

char *program_process_describe_failure(const Slot *slot)
{
    const SpawnReport *report = &slot->site->reports[slot->index];
    gsize size;
    const void *data = g_bytes_get_data(slot->site->record->exec, &size);
    g_autofree char **argv = strv_blob_pointers(data, size);
    SpawnRequest request = { .argv = argv, .cwd = "/", .uid = slot->site->record->user };

    return spawn_describe_failure(&request, (SpawnStage) report->stage, report->error);
}

uint64_t program_process_memory(const ProgramProcess *process)
{
    g_autofree char *name = g_strdup_printf("/proc/%d/statm", (int) process->pid), *text = NULL;
    uint64_t pages;

    if (process->pid <= 0 || kernel_file_read(AT_FDCWD, name, &text) < 0 ||
        sscanf(text, "%*u %" SCNu64, &pages) != 1)
        return 0;
    return pages * (uint64_t) sysconf(_SC_PAGESIZE);
}
