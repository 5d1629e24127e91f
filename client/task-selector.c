/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Selectors of tasks: parsing is pure; "last" is looked up once and becomes a batch. Whether a task exists
 * is the daemon's to know. */

#include "client/task-selector.h"

#include <inttypes.h>
#include <string.h>

#include "client/output.h"
#include "client/task-list.h"
#include "util/parse-util.h"

void task_selector_init(TaskSelector *selector)
{
    *selector = (TaskSelector){
        .spans = g_array_new(FALSE, FALSE, sizeof(IdSpan)),
        .batches = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
    };
}

void task_selector_done(TaskSelector *selector)
{
    g_clear_pointer(&selector->spans, g_array_unref);
    g_clear_pointer(&selector->batches, g_array_unref);
}

uint64_t task_selector_ids(const TaskSelector *selector)
{
    uint64_t sum = 0;

    if (selector->batches->len > 0 || selector->last || selector->mine)
        return 0;
    for (guint i = 0; i < selector->spans->len; i++) {
        const IdSpan *span = &g_array_index(selector->spans, IdSpan, i);
        sum += span->last - span->first + 1;
    }
    return sum;
}

static int parse_id(const char *word, uint64_t *ret)
{
    uint64_t id;
    int r = parse_uint64(word, &id);

    if (r < 0 || id == 0)
        return -EINVAL;
    *ret = id;
    return 0;
}

static int add_span(TaskSelector *selector, const char *word)
{
    g_auto(GStrv) ends = g_strsplit(word, "-", 3);
    IdSpan span;

    if (g_strv_length(ends) > 2 || parse_id(ends[0], &span.first) < 0)
        return -EINVAL;
    span.last = span.first;
    if (ends[1] && (parse_id(ends[1], &span.last) < 0 || span.last < span.first))
        return -EINVAL;
    if (span.last - span.first >= TASK_SELECTOR_IDS_MAX)
        return -ERANGE;
    g_array_append_val(selector->spans, span);
    return 0;
}

static int add_word(TaskSelector *selector, const char *word)
{
    uint64_t batch;

    if (strcmp(word, "last") == 0) {
        selector->last = true;
        return 0;
    }
    if (strcmp(word, "mine") == 0) {
        selector->mine = true;
        return 0;
    }
    if (!g_str_has_prefix(word, "batch:"))
        return add_span(selector, word);
    if (parse_id(word + strlen("batch:"), &batch) < 0)
        return -EINVAL;
    g_array_append_val(selector->batches, batch);
    return 0;
}

int task_selector_add(TaskSelector *selector, const char *argument)
{
    g_auto(GStrv) words = g_strsplit(argument, ",", -1);

    if (!words[0])
        return -EINVAL;
    for (size_t i = 0; words[i]; i++) {
        int r = add_word(selector, words[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

int task_selector_parse(TaskSelector *selector, Client *client, char *const *arguments)
{
    for (size_t i = 0; arguments[i]; i++) {
        int r = task_selector_add(selector, arguments[i]);
        if (r == -ERANGE)
            return output_usage_error(client, _("\"%s\" is more than %d tasks"), arguments[i],
                                      (int) TASK_SELECTOR_IDS_MAX);
        if (r < 0)
            return output_usage_error(
                client, _("\"%s\" names no task: 17, 17-30, 17,19, last, batch:4 or mine do"), arguments[i]);
    }
    return 0;
}

int task_selector_resolve(TaskSelector *selector, Client *client)
{
    g_autoptr(TaskFilter) filter = task_filter_new();
    g_autoptr(GPtrArray) rows = task_rows_new();
    uint64_t cursor;

    if (!selector->last)
        return 0;
    filter->owner = getuid();
    filter->reverse = true;
    filter->limit = 1;
    int r = task_list_page(client, filter, rows, &cursor);
    if (r < 0)
        return r;
    if (rows->len == 0)
        return output_failure(client, ENOENT,
                              _("there is no \"last\" task: you have submitted none, or all are forgotten"));
    const TaskInfo *newest = rows->pdata[0];
    g_array_append_val(selector->batches, newest->batch);
    selector->last = false;
    return 0;
}

static void filter_destroy(gpointer filter)
{
    (void) task_filter_free(filter);
}

static void add_ids(GPtrArray *filters, const IdSpan *span)
{
    for (uint64_t id = span->first; id <= span->last; id++) {
        TaskFilter *filter = filters->len > 0 ? filters->pdata[filters->len - 1] : NULL;
        if (!filter || filter->ids->len >= TASK_PAGE_MAX) {
            filter = task_filter_new();
            filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
            g_ptr_array_add(filters, filter);
        }
        g_array_append_val(filter->ids, id);
    }
}

GPtrArray *task_selector_filters(const TaskSelector *selector)
{
    GPtrArray *filters = g_ptr_array_new_with_free_func(filter_destroy);

    for (guint i = 0; i < selector->spans->len; i++)
        add_ids(filters, &g_array_index(selector->spans, IdSpan, i));
    for (guint i = 0; i < selector->batches->len; i++) {
        TaskFilter *filter = task_filter_new();
        filter->batch = g_array_index(selector->batches, uint64_t, i);
        g_ptr_array_add(filters, filter);
    }
    if (selector->mine) {
        TaskFilter *filter = task_filter_new();
        filter->owner = getuid();
        filter->states = TASK_STATES_UNFINISHED;
        g_ptr_array_add(filters, filter);
    }
    return filters;
}

/* Did every id that was asked for come back? Both lists are from one filter; rows come by id. */
static int check_ids(Client *client, const TaskFilter *filter, const GPtrArray *rows, guint from)
{
    g_autoptr(GHashTable) found = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (guint i = from; i < rows->len; i++)
        g_hash_table_add(found, &((TaskInfo *) rows->pdata[i])->id);
    for (guint i = 0; i < filter->ids->len; i++) {
        uint64_t *id = &g_array_index(filter->ids, uint64_t, i);
        if (g_hash_table_contains(found, id))
            continue;
        int r = output_failure(client, ENOENT, _("there is no task %" PRIu64), *id);
        output_hint(_("To see the tasks: parctl tasks --all"));
        return r;
    }
    return 0;
}

int task_selector_list(const TaskSelector *selector, Client *client, GPtrArray *rows)
{
    g_autoptr(GPtrArray) filters = task_selector_filters(selector);

    for (guint i = 0; i < filters->len; i++) {
        TaskFilter *filter = filters->pdata[i];
        guint before = rows->len;
        int r = task_list_all(client, filter, UINT32_MAX, rows, NULL);
        if (r >= 0 && filter->ids)
            r = check_ids(client, filter, rows, before);
        if (r < 0)
            return r;
        if (filter->batch > 0 && rows->len == before)
            return output_failure(client, ENOENT, _("there is no batch %" PRIu64), filter->batch);
    }
    return 0;
}
