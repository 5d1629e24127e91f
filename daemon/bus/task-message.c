/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks on the wire. No state. */
#include "bus/task-message.h"

#include <string.h>

#include "bus/options.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/sd-bus-util.h"
#include "util/strv-blob.h"

#define FILTER_IDS_MAX 100000U

int task_message_append_blob(sd_bus_message *m, GBytes *blob)
{
    size_t size = 0;
    const void *data = blob ? g_bytes_get_data(blob, &size) : NULL;
    const char *cursor = NULL;
    int r = sd_bus_message_open_container(m, 'a', "ay");

    while (r >= 0 && strv_blob_next(data, size, &cursor))
        r = sd_bus_message_append_array(m, 'y', cursor, strlen(cursor));
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int task_message_append_string(sd_bus_message *m, GBytes *string)
{
    size_t size = 0;
    const char *data = string ? g_bytes_get_data(string, &size) : NULL;

    return sd_bus_message_append_array(m, 'y', data, size > 0 ? size - 1 : 0);
}

int task_message_append_bytes(sd_bus_message *m, GBytes *bytes)
{
    size_t size = 0;
    const void *data = bytes ? g_bytes_get_data(bytes, &size) : NULL;

    return sd_bus_message_append_array(m, 'y', data, size);
}

static int append_variant(sd_bus_message *m, const char *key, const char *type,
                          int (*append)(sd_bus_message *, GBytes *), GBytes *bytes)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', key);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', type);
    if (r >= 0)
        r = append(m, bytes);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_tags(sd_bus_message *m, const char *tags)
{
    g_auto(GStrv) strv = g_strsplit(tags, "\n", -1);
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', "tags");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_append_strv(m, strv);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_worker(sd_bus_message *m, uint32_t worker)
{
    char id[WORKER_ID_MAX];

    if (worker == 0)
        return 0;
    worker_id_format(id, worker);
    return sd_bus_message_append(m, "{sv}", "worker", "s", id);
}

/* How an attempt ended; nothing while it has not. */
static int append_result(sd_bus_message *m, const TaskResult *result)
{
    int r = 0;

    if (result->outcome == OUTCOME_NONE)
        return 0;
    r = sd_bus_message_append(m, "{sv}{sv}", "outcome", "s", outcome_to_string(result->outcome), "finished",
                              "t", result->end_usec);
    if (r >= 0 && result->outcome == OUTCOME_EXITED)
        r = sd_bus_message_append(m, "{sv}", "exit-status", "i", result->exit_status);
    if (r >= 0 && result->signal > 0)
        r = sd_bus_message_append(m, "{sv}", "signal", "i", result->signal);
    if (r >= 0 && result->outcome == OUTCOME_OOM)
        r = sd_bus_message_append(m, "{sv}", "oom-cause", "s", oom_cause_to_string(result->oom_cause));
    if (r >= 0 && result->outcome == OUTCOME_SPAWN_FAILED)
        r = sd_bus_message_append(m, "{sv}", "errno", "i", result->error);
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}{sv}", "cpu-usage-nsec", "t", result->cpu_nsec, "memory-peak", "t",
                                  result->memory_peak_bytes);
    return r;
}

/* What else is known of an ended attempt; to those who listen to every change it is not told. */
static int append_details(sd_bus_message *m, const TaskResult *result, bool private)
{
    bool failed = result->outcome != OUTCOME_NONE && !task_result_is_success(result);
    int r = 0;

    /* why it was not started names what was to be */
    if (result->note && (private || result->outcome != OUTCOME_SPAWN_FAILED))
        r = sd_bus_message_append(m, "{sv}", "note", "s", result->note);
    if (r >= 0 && result->dropped_bytes[STREAM_STDOUT] > 0)
        r = sd_bus_message_append(m, "{sv}", "stdout-dropped", "t", result->dropped_bytes[STREAM_STDOUT]);
    if (r >= 0 && result->dropped_bytes[STREAM_STDERR] > 0)
        r = sd_bus_message_append(m, "{sv}", "stderr-dropped", "t", result->dropped_bytes[STREAM_STDERR]);
    if (r >= 0 && private && failed && result->stderr_tail)
        r = append_variant(m, "stderr-tail", "ay", task_message_append_bytes, result->stderr_tail);
    return r;
}

static int append_terms(sd_bus_message *m, const TaskRow *row)
{
    /* the last failure may have found none left */
    uint32_t spent = MIN(row->spec->spent, row->spec->context->policy.retries);
    int r = 0;

    if (row->queue)
        r = sd_bus_message_append(m, "{sv}", "queue", "s", row->queue);
    if (r >= 0 && row->spec->class)
        r = sd_bus_message_append(m, "{sv}", "class", "s", row->spec->class);
    if (r >= 0 && row->not_before_usec > 0)
        r = sd_bus_message_append(m, "{sv}", "not-before", "t", row->not_before_usec);
    if (r >= 0 && row->frozen)
        r = sd_bus_message_append(m, "{sv}", "frozen", "b", 1);
    if (r >= 0 && spent > 0)
        r = sd_bus_message_append(m, "{sv}", "retries-spent", "u", spent);
    return r;
}

/* What it takes of its worker, as far as it says so. */
static int append_demand(sd_bus_message *m, const TaskSpec *spec)
{
    const TaskDemand *demand = &spec->context->demand;
    g_autofree char *resources = resources_format(demand->resources);
    uint64_t memory = task_spec_memory(spec);
    int r = 0;

    if (memory != LIMIT_INFINITY)
        r = sd_bus_message_append(m, "{sv}", "memory-max", "t", memory);
    if (r >= 0 && demand->memory_auto)
        r = sd_bus_message_append(m, "{sv}", "memory-auto", "b", 1);
    if (r >= 0 && demand->cpu_quota_usec_per_sec != LIMIT_INFINITY)
        r = sd_bus_message_append(m, "{sv}", "cpu-quota", "t", demand->cpu_quota_usec_per_sec);
    if (r >= 0 && demand->gpus > 0)
        r = sd_bus_message_append(m, "{sv}", "gpus", "u", demand->gpus);
    if (r >= 0 && *resources)
        r = sd_bus_message_append(m, "{sv}", "resources", "s", resources);
    return r;
}

static int append_optional(sd_bus_message *m, const TaskRow *row, bool private)
{
    const TaskSpec *spec = row->spec;
    int r = 0;

    if (spec->array_index != ARRAY_INDEX_NONE)
        r = sd_bus_message_append(m, "{sv}", "array-index", "t", spec->array_index);
    if (r >= 0 && row->attempt > 0)
        r = sd_bus_message_append(m, "{sv}", "attempt", "u", row->attempt);
    if (r >= 0)
        r = append_worker(m, row->worker);
    if (r >= 0 && row->start_usec > 0)
        r = sd_bus_message_append(m, "{sv}", "started", "t", row->start_usec);
    if (r >= 0)
        r = append_result(m, &row->result);
    if (r >= 0)
        r = append_details(m, &row->result, private);
    if (r >= 0)
        r = append_terms(m, row);
    if (r >= 0)
        r = append_demand(m, spec);
    if (r >= 0 && spec->tags)
        r = append_tags(m, spec->tags);
    if (r >= 0 && row->reason)
        r = sd_bus_message_append(m, "{sv}", "reason", "s", row->reason);
    return r;
}

int task_message_append_row(sd_bus_message *m, const TaskRow *row, bool private)
{
    const TaskSpec *spec = row->spec;
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "id", "t", spec->id, "batch", "t",
                                  spec->batch, "name", "s", spec->name, "state", "s",
                                  task_state_to_string(row->state), "priority", "i", spec->priority, "owner",
                                  "u", spec->context->uid, "submitted", "t", row->submitted_usec);
    if (r >= 0)
        r = append_optional(m, row, private);
    if (r >= 0 && private)
        r = append_variant(m, "argv", "aay", task_message_append_blob, spec->argv);
    if (r >= 0 && private)
        r = append_variant(m, "cwd", "ay", task_message_append_string, spec->context->cwd);
    if (r >= 0 && private && row->result.data)
        r = append_variant(m, "result", "ay", task_message_append_bytes, row->result.data);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int task_message_append_attempts(sd_bus_message *m, const TaskRow *row, bool private)
{
    int r = sd_bus_message_open_container(m, 'a', "a{sv}");

    for (guint i = 0; r >= 0 && row->attempts && i < row->attempts->len; i++) {
        const AttemptRow *attempt = row->attempts->pdata[i];
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
            r = sd_bus_message_append(m, "{sv}{sv}", "attempt", "u", attempt->attempt, "started", "t",
                                      attempt->result.start_usec);
        if (r >= 0)
            r = append_worker(m, attempt->worker);
        if (r >= 0 && attempt->result.memory_max_bytes != LIMIT_INFINITY)
            r = sd_bus_message_append(m, "{sv}", "memory-max", "t", attempt->result.memory_max_bytes);
        if (r >= 0)
            r = append_result(m, &attempt->result);
        if (r >= 0)
            r = append_details(m, &attempt->result, private);
        if (r >= 0)
            r = sd_bus_message_close_container(m);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int task_message_append_change(sd_bus_message *m, const TaskChange *change)
{
    int r = sd_bus_message_open_container(m, 'r', "tta{sv}");

    if (r >= 0)
        r = sd_bus_message_append(m, "tt", change->task, change->batch);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}", "state", "s", task_state_to_string(change->state));
    if (r >= 0 && change->attempt > 0)
        r = sd_bus_message_append(m, "{sv}", "attempt", "u", change->attempt);
    if (r >= 0)
        r = append_worker(m, change->worker);
    if (r >= 0 && change->start_usec > 0)
        r = sd_bus_message_append(m, "{sv}", "started", "t", change->start_usec);
    if (r >= 0 && change->result)
        r = append_result(m, change->result);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int task_message_append_batch_end(sd_bus_message *m, const BatchEnd *end)
{
    int r = sd_bus_message_append(m, "t", end->batch);

    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}", "count", "t", end->count, "succeeded", "t",
                                  end->succeeded, "failed", "t", end->failed, "cancelled", "t",
                                  end->cancelled, "skipped", "t", end->skipped);
    if (r >= 0 && end->single > 0)
        r = sd_bus_message_append(m, "{sv}", "task", "t", end->single);
    if (r >= 0 && end->single > 0)
        r = append_worker(m, end->worker);
    if (r >= 0 && end->single > 0)
        r = append_result(m, &end->result);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* ---- filters */

static int read_ids(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    TaskFilter *filter = target;
    const void *ids;
    size_t size;
    int r = sd_bus_message_read_array(m, 't', &ids, &size);

    if (r < 0)
        return r;
    if (size / sizeof(uint64_t) > FILTER_IDS_MAX)
        return sd_bus_error_setf(error, PAREXEC_ERROR_TOO_LARGE, "A filter takes at most %u ids, not %zu.",
                                 FILTER_IDS_MAX, size / sizeof(uint64_t));
    g_clear_pointer(&filter->ids, g_array_unref);
    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    if (size > 0)
        g_array_append_vals(filter->ids, ids, (guint) (size / sizeof(uint64_t)));
    return r;
}

/* In a TaskFilter 0 means "any"; a client that says it means a batch that cannot be. */
static int read_batch(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    TaskFilter *filter = target;
    int r = sd_bus_message_read_basic(m, 't', &filter->batch);

    if (r >= 0 && filter->batch == 0)
        return options_invalid(error, "batch is 0; batches are numbered from 1.");
    return r;
}

static int read_states(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    TaskFilter *filter = target;
    const char *word;
    int r = sd_bus_message_enter_container(m, 'a', "s");

    while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &word)) > 0) {
        int state = task_state_from_string(word);
        if (state < 0)
            return sd_bus_error_set(
                error, PAREXEC_ERROR_INVALID_ARGUMENT,
                "A state is one of held, blocked, queued, running, waiting, succeeded, failed, cancelled, skipped.");
        filter->states |= 1U << state;
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define FILTER_OPTIONS                                                                                       \
    { "ids", "at", .read = read_ids }, { "batch", "t", .read = read_batch },                                 \
        { "states", "as", .read = read_states }, { "name", "s", offsetof(TaskFilter, name) },                \
        { "tag", "s", offsetof(TaskFilter, tag) },                                                           \
    {                                                                                                        \
        "owner", "u", offsetof(TaskFilter, owner)                                                            \
    }

static const Option filter_options[] = { FILTER_OPTIONS, { NULL } };

static const Option listing_options[] = {
    FILTER_OPTIONS,
    { "limit", "u", offsetof(TaskFilter, limit) },
    { "cursor", "t", offsetof(TaskFilter, cursor) },
    { "reverse", "b", offsetof(TaskFilter, reverse) },
    { NULL },
};

int task_message_read_filter(sd_bus_message *m, bool paging, TaskFilter **ret, sd_bus_error *error)
{
    g_autoptr(TaskFilter) filter = task_filter_new();
    int r = options_read(m, paging ? listing_options : filter_options, filter, error);

    if (r < 0)
        return r;
    if (filter->limit == 0 || filter->limit > TASK_PAGE_MAX)
        return sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                 "limit is %u; a page has from 1 to %u rows.", filter->limit, TASK_PAGE_MAX);
    for (guint i = 0; !paging && filter->ids && i < filter->ids->len; i++)
        if (g_array_index(filter->ids, uint64_t, i) == 0)
            return sd_bus_error_set(error, PAREXEC_ERROR_NO_SUCH_TASK, "There is no task 0.");
    *ret = g_steal_pointer(&filter);
    return 0;
}

int task_message_read_some(sd_bus_message *m, const char *what, TaskFilter **ret, sd_bus_error *error)
{
    g_autoptr(TaskFilter) filter = NULL;
    int r = sd_bus_message_rewind(m, true); /* it may be the second time */

    if (r >= 0)
        r = task_message_read_filter(m, false, &filter, error);
    if (r < 0)
        return r;
    if (task_filter_is_empty(filter))
        return options_invalid(
            error,
            "An empty filter would %s everything; name ids, a batch, states, a name, a tag or an owner.",
            what);
    *ret = g_steal_pointer(&filter);
    return 0;
}
