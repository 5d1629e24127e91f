/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tasks of a worker. Owned by main. Tasks ahead stand in a list, in the order they came; a slot that
 * falls free takes the next at once. Every child is reaped in one place (on_child), whether it was ours or
 * an orphan we are the subreaper of. What the daemon
 * wants of tasks is in runner-orders.c. Six things happen later than they could, each by one source for
 * all slots:
 *
 *   time   what slot-time.h has to do next in any slot; set when a slot is earlier than it, so that it costs
 *          nothing where no task has a timeout, and little where all have
 *   tick   results are handed over in groups, at most 5 ms old; a start is told of if the task still runs
 *   sweep  slots whose processes would not die at once are looked at again, less and less often
 *   more   a loop iteration starts a few tasks at most, the rest in the next one
 *   tidy   what tasks have left in their folders, when there is nothing else to do
 *   reclaim  memory of frozen tasks is taken back, likewise
 */
#include "worker/runner-internal.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "util/log.h"
#include "util/sd-bus-util.h"
#include "worker/program.h"
#include "worker/slot-control.h"
#include "worker/slot-oom.h"
#include "worker/slot-time.h"

#define TICK_USEC (5 * USEC_PER_MSEC)
#define SWEEP_FIRST_USEC USEC_PER_MSEC
#define SWEEP_LONGEST_USEC (100 * USEC_PER_MSEC)
#define CLEARING_MAX_USEC (10 * USEC_PER_SEC)
#define STARTS_AT_ONCE 8
#define CONTEXTS_KEPT 64 /* unused ones: the next message may name them again */

static void task_slot_free(void *data)
{
    (void) runner_task_free(data);
}

/* ------------------------------------------------------------------ timers */

static void arm(sd_event_source *timer, uint64_t usec, bool *armed)
{
    if (*armed)
        return;
    if (sd_event_source_set_time_relative(timer, usec) >= 0 &&
        sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT) >= 0)
        *armed = true;
}

static bool has_untold(const Runner *runner)
{
    return held_rows_has_untold(runner->slots, runner->n_slots);
}

/* Sends results at once if a slot has nothing to do, since the daemon may have something for it; else
 * soon. */
void runner_report(Runner *runner)
{
    bool idle_slot = runner->n_running < runner->n_slots && runner->ahead.length == 0;

    if (result_queue_unsent_length(runner->results) > 0 && idle_slot)
        runner->events.flush(runner->events.userdata);
    if (result_queue_unsent_length(runner->results) > 0 || has_untold(runner))
        arm(runner->tick, TICK_USEC, &runner->tick_armed);
    if (runner->n_running == 0 && runner->ahead.length == 0)
        runner->events.idle(runner->events.userdata);
}

static void tell_started(Runner *runner)
{
    uint64_t since = (uint64_t) g_get_monotonic_time() - TICK_USEC;
    g_autoptr(GArray) rows = held_rows_tell_started(runner->slots, runner->n_slots, since);

    if (rows->len > 0)
        runner->events.started((const HeldRow *) (void *) rows->data, rows->len, runner->events.userdata);
}

void runner_tell_again(Runner *runner)
{
    for (uint32_t i = 0; i < runner->n_slots; i++)
        runner->slots[i].told = false;
    if (has_untold(runner))
        arm(runner->tick, TICK_USEC, &runner->tick_armed);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    Runner *runner = userdata;

    runner->tick_armed = false;
    tell_started(runner);
    if (result_queue_unsent_length(runner->results) > 0)
        runner->events.flush(runner->events.userdata);
    if (has_untold(runner))
        arm(runner->tick, TICK_USEC, &runner->tick_armed);
    return 0;
}

/* ------------------------------------------------------------------ the end of a task */

static void runner_finish(Runner *runner, Slot *slot)
{
    TaskResult result;

    g_hash_table_remove(runner->tasks, &slot->task->id);
    slot_collect(slot, &result);
    if (file_site_is_pending(runner->site->files))
        (void) sd_event_source_set_enabled(runner->tidy, SD_EVENT_ONESHOT);
    runner->n_running--;
    if (!runner->stopping)
        result_queue_push(runner->results, &result);
    task_result_done(&result);
}

/* Kills the slot's processes; true: there is none left. */
static bool runner_kill(Runner *runner, Slot *slot)
{
    g_autofree pid_t *known = NULL;
    size_t n_known = 0;

    slot_thaw(slot);
    if (!slot->leaf) {
        known = g_new(pid_t, runner->n_slots);
        for (uint32_t i = 0; i < runner->n_slots; i++)
            if (runner->slots[i].state == SLOT_RUNNING)
                known[n_known++] = runner->slots[i].pid;
    }
    return slot_kill(slot, known, n_known, runner->n_running == 1);
}

static void runner_sweep_soon(Runner *runner)
{
    runner->sweep_usec = SWEEP_FIRST_USEC;
    if (runner->sweep_armed) /* maybe only in 100 ms */
        (void) sd_event_source_set_time_relative(runner->sweep, SWEEP_FIRST_USEC);
    arm(runner->sweep, SWEEP_FIRST_USEC, &runner->sweep_armed);
}

static bool took_too_long(const Slot *slot)
{
    return (uint64_t) g_get_monotonic_time() - slot->clearing_since_usec > CLEARING_MAX_USEC;
}

/* What sits in the kernel and does not die (a dead disk or file server) must not cost the slot as well. */
static void abandon(Slot *slot)
{
    int r = 0;

    log_warning("Processes of task %" PRIu64 " could not be killed in %" PRIu64 " s; leaving them alone%s%s.",
                slot->task->id, CLEARING_MAX_USEC / USEC_PER_SEC, slot->leaf ? " in " : "",
                slot->leaf ? leaf_cgroup_name(slot->leaf) : "");
    if (slot->leaf)
        r = leaf_cgroup_replace(slot->leaf);
    if (r < 0)
        (void) log_error_errno(r, "Cannot make a new cgroup for slot %" PRIu32 ": %m", slot->index);
}

/* Brings a slot that is clearing to its end, if it can be by now. */
static bool runner_clear(Runner *runner, Slot *slot)
{
    if (!runner_kill(runner, slot)) {
        if (!took_too_long(slot))
            return false;
        abandon(slot);
    }
    runner_finish(runner, slot);
    return true;
}

/* Looks at the slots that are clearing, and kills on where a task that is to be killed still runs; true:
 * there is something to come back for. */
static bool runner_sweep(Runner *runner)
{
    bool again = false;

    for (uint32_t i = 0; i < runner->n_slots; i++) {
        Slot *slot = &runner->slots[i];

        if (slot->state == SLOT_RUNNING && slot_oom_happened(slot, &again))
            slot->killing = true;
        if (slot->state == SLOT_RUNNING && slot->program && program_is_dying(slot->program) &&
            runner_kill(runner, slot))
            slot_ask_again(slot);
        if (slot->state == SLOT_CLEARING)
            again |= !runner_clear(runner, slot);
        else if (slot->state == SLOT_RUNNING && slot->killing)
            again |= !runner_kill(runner, slot) || slot->pid > 0;
        else if (slot->program && program_is_dying(slot->program))
            again |= !runner_kill(runner, slot);
    }
    return again;
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *userdata)
{
    Runner *runner = userdata;

    runner->sweep_armed = false;
    if (runner_sweep(runner)) {
        runner->sweep_usec = MIN(runner->sweep_usec * 2, SWEEP_LONGEST_USEC);
        arm(runner->sweep, runner->sweep_usec, &runner->sweep_armed);
    }
    runner_dispatch(runner);
    return 0;
}

/* ------------------------------------------------------------------ time */

void runner_watch_time(Runner *runner, const Slot *slot)
{
    uint64_t next = slot_time_next(slot);

    if (next >= runner->time_usec)
        return;
    if (sd_event_source_set_time(runner->time, next) >= 0 &&
        sd_event_source_set_enabled(runner->time, SD_EVENT_ONESHOT) >= 0)
        runner->time_usec = next;
}

void runner_kill_on(Runner *runner, Slot *slot)
{
    (void) runner_kill(runner, slot);
    runner_sweep_soon(runner);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    Runner *runner = userdata;
    uint64_t now = (uint64_t) g_get_monotonic_time();

    runner->time_usec = UINT64_MAX;
    for (uint32_t i = 0; i < runner->n_slots; i++) {
        if (slot_time_pass(&runner->slots[i], now, runner->n_running == 1))
            runner_kill_on(runner, &runner->slots[i]);
        runner_watch_time(runner, &runner->slots[i]);
    }
    return 0;
}

/* ------------------------------------------------------------------ what has ended */

static Slot *slot_of_process(Runner *runner, pid_t pid)
{
    for (uint32_t i = 0; i < runner->n_slots; i++)
        if (runner->slots[i].state == SLOT_RUNNING && runner->slots[i].pid == pid)
            return &runner->slots[i];
    return NULL;
}

/* A program may die when it does no task. */
static void runner_reap_program(Runner *runner, pid_t pid)
{
    for (uint32_t i = 0; i < runner->n_slots; i++)
        if (runner->slots[i].program && program_reaped(runner->slots[i].program, pid))
            return;
}

static void on_attention(void *userdata)
{
    Runner *runner = userdata;

    if (runner_sweep(runner))
        runner_sweep_soon(runner);
    runner_dispatch(runner);
}

static int on_child(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    Runner *runner = userdata;
    siginfo_t dead = { 0 };
    struct rusage usage;
    int status;

    while (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 && dead.si_pid > 0) {
        Slot *slot = slot_of_process(runner, dead.si_pid);

        if (slot && dead.si_code == CLD_KILLED && dead.si_status == SIGKILL)
            slot_oom_note_victim(slot);
        if (wait4(dead.si_pid, &status, WNOHANG, &usage) != dead.si_pid)
            break;
        if (slot)
            slot_ended(slot, status, &usage);
        else
            runner_reap_program(runner, dead.si_pid);
    }
    on_attention(runner);
    return 0;
}

/* ------------------------------------------------------------------ the beginning of a task */

static Slot *free_slot(Runner *runner)
{
    for (uint32_t i = 0; i < runner->n_slots && runner->n_running < runner->n_slots; i++)
        if (slot_is_ready(&runner->slots[i]))
            return &runner->slots[i];
    return NULL;
}

static void runner_start(Runner *runner, Slot *slot)
{
    RunnerTask *task = g_queue_pop_head(&runner->ahead);

    task->link = NULL;
    runner->n_running++;
    slot_start(slot, task);
    runner_watch_time(runner, slot);
    if (slot->state == SLOT_CLEARING && !runner_clear(runner, slot))
        runner_sweep_soon(runner);
}

static gboolean is_unused_context(void *key, void *value, void *userdata)
{
    Surroundings *surroundings = value;

    return g_atomic_ref_count_compare(&surroundings->refs, 1);
}

void runner_dispatch(Runner *runner)
{
    Slot *slot = NULL;
    int n = 0;

    while (runner->ahead.length > 0 && n++ < STARTS_AT_ONCE && (slot = free_slot(runner)))
        runner_start(runner, slot);
    if (runner->ahead.length > 0 && slot)
        (void) sd_event_source_set_enabled(runner->more, SD_EVENT_ONESHOT);
    if (g_hash_table_size(runner->contexts) > CONTEXTS_KEPT)
        g_hash_table_foreach_remove(runner->contexts, is_unused_context, NULL);
    runner_report(runner);
}

static int on_tidy(sd_event_source *source, void *userdata)
{
    Runner *runner = userdata;

    if (file_site_remove_some(runner->site->files))
        (void) sd_event_source_set_enabled(runner->tidy, SD_EVENT_ONESHOT);
    return 0;
}

/* One portion, of one slot. */
static int on_reclaim(sd_event_source *source, void *userdata)
{
    Runner *runner = userdata;

    for (uint32_t i = 0; i < runner->n_slots; i++)
        if (runner->slots[i].leaf && leaf_cgroup_reclaim_some(runner->slots[i].leaf)) {
            (void) sd_event_source_set_enabled(runner->reclaim, SD_EVENT_ONESHOT);
            return 0;
        }
    return 0;
}

static int on_more(sd_event_source *source, void *userdata)
{
    runner_dispatch(userdata);
    return 0;
}

void runner_stop(Runner *runner)
{
    runner->stopping = true;
    runner_drop_ahead(runner);
    for (uint32_t i = 0; i < runner->n_slots; i++)
        if (runner->slots[i].state == SLOT_RUNNING) {
            runner->slots[i].killing = true;
            (void) runner_kill(runner, &runner->slots[i]);
        } else if (runner->slots[i].program) {
            program_stop(runner->slots[i].program);
        }
    runner_sweep_soon(runner);
}

/* ------------------------------------------------------------------ life */

uint32_t runner_n_running(const Runner *runner)
{
    return runner->n_running;
}

uint32_t runner_n_ahead(const Runner *runner)
{
    return runner->ahead.length;
}

GArray *runner_held(const Runner *runner)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(HeldRow));
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, runner->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const RunnerTask *task = value;
        HeldRow row = { task->id, task->fence, task->slot ? task->slot->start_usec : 0 };

        g_array_append_val(rows, row);
    }
    return rows;
}

ResultQueue *runner_results(Runner *runner)
{
    return runner->results;
}

static int runner_add_sources(Runner *runner, sd_event *event)
{
    sd_event_source **const sources[] = { &runner->tick, &runner->sweep, &runner->time, &runner->more,
                                          &runner->tidy, &runner->reclaim };
    int r;

    if ((r = sd_event_add_signal(event, &runner->child, SIGCHLD, on_child, runner)) < 0 ||
        (r = sd_event_add_time(event, &runner->tick, CLOCK_MONOTONIC, 0, 1, on_tick, runner)) < 0 ||
        (r = sd_event_add_time(event, &runner->sweep, CLOCK_MONOTONIC, 0, 1, on_sweep, runner)) < 0 ||
        (r = sd_event_add_time(event, &runner->time, CLOCK_MONOTONIC, 0, 1, on_time, runner)) < 0 ||
        (r = sd_event_add_defer(event, &runner->more, on_more, runner)) < 0 ||
        (r = sd_event_add_defer(event, &runner->tidy, on_tidy, runner)) < 0 ||
        (r = sd_event_add_defer(event, &runner->reclaim, on_reclaim, runner)) < 0)
        return r;
    for (size_t i = 0; i < G_N_ELEMENTS(sources) && r >= 0; i++)
        r = sd_event_source_set_enabled(*sources[i], SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_source_set_priority(runner->tidy, SD_EVENT_PRIORITY_IDLE);
    return r < 0 ? r : sd_event_source_set_priority(runner->reclaim, SD_EVENT_PRIORITY_IDLE);
}

/* All slots have a leaf, or none has. */
static void runner_drop_leaves(Runner *runner)
{
    for (uint32_t i = 0; i < runner->n_slots; i++)
        slot_drop_leaf(&runner->slots[i]);
    runner->site->tree = NULL;
}

static int runner_add_slots(Runner *runner)
{
    void *reports;

    reports = mmap(NULL, runner->n_slots * sizeof(SpawnReport), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (reports == MAP_FAILED)
        return -errno;
    runner->site->reports = reports;
    for (uint32_t i = 0; i < runner->n_slots; i++)
        slot_init(&runner->slots[i], runner->site, i);
    for (uint32_t i = 0; i < runner->n_slots && runner->site->tree; i++) {
        int r = slot_make_leaf(&runner->slots[i]);

        if (r < 0) {
            (void) log_warning_errno(
                r, "Cannot make a cgroup for slot %" PRIu32 ", going on without cgroups: %m", i);
            runner_drop_leaves(runner);
        }
    }
    return 0;
}

int runner_new(sd_event *event, SlotSite *site, const RunnerEvents *events, Runner **ret)
{
    g_autoptr(Runner) runner = g_new0(Runner, 1);
    int r;

    runner->events = *events;
    runner->site = site;
    runner->n_slots = site->record->slots;
    runner->time_usec = UINT64_MAX;
    runner->slots = g_new0(Slot, runner->n_slots);
    site->event = event;
    site->attention = on_attention;
    site->attention_userdata = runner;
    g_queue_init(&runner->ahead);
    runner->tasks = g_hash_table_new(g_int64_hash, g_int64_equal);
    runner->contexts =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) surroundings_unref);
    runner->results = result_queue_new();
    site->held_up = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    r = runner_add_slots(runner);
    if (r < 0)
        return r;
    r = runner_add_sources(runner, event);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&runner);
    return 0;
}

Runner *runner_free(Runner *runner)
{
    if (!runner)
        return NULL;
    sd_event_source_disable_unref(runner->child);
    sd_event_source_disable_unref(runner->tick);
    sd_event_source_disable_unref(runner->sweep);
    sd_event_source_disable_unref(runner->time);
    sd_event_source_disable_unref(runner->more);
    sd_event_source_disable_unref(runner->tidy);
    sd_event_source_disable_unref(runner->reclaim);
    for (uint32_t i = 0; i < runner->n_slots; i++)
        slot_done(&runner->slots[i]);
    g_free(runner->slots);
    g_queue_clear_full(&runner->ahead, task_slot_free);
    g_hash_table_unref(runner->tasks);
    g_hash_table_unref(runner->contexts);
    g_clear_pointer(&runner->site->held_up, g_hash_table_unref);
    if (runner->site->reports)
        (void) munmap(runner->site->reports, runner->n_slots * sizeof(SpawnReport));
    runner->site->reports = NULL;
    (void) result_queue_free(runner->results);
    g_free(runner);
    return NULL;
}
