/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listings of tasks: a TaskFilter goes out, rows come in, a page at a time. */

#include "client/task-list.h"

#include <inttypes.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/output.h"

static int add_state(const char *word, uint32_t *states)
{
    int state = task_state_from_string(word);

    if (state >= 0)
        *states |= 1U << state;
    else if (strcmp(word, "unfinished") == 0)
        *states |= TASK_STATES_UNFINISHED;
    else if (strcmp(word, "finished") == 0)
        *states |= TASK_STATES_ENDED;
    else
        return -EINVAL;
    return 0;
}

int task_states_parse(Client *client, const GPtrArray *given, uint32_t otherwise, uint32_t *ret)
{
    uint32_t states = 0;

    for (guint i = 0; given && i < given->len; i++) {
        g_auto(GStrv) words = g_strsplit(given->pdata[i], ",", -1);
        for (size_t w = 0; words[w]; w++)
            if (add_state(words[w], &states) < 0)
                return output_usage_error(
                    client, _("\"%s\" is no state of a task: parctl tasks --help names them"), words[w]);
    }
    *ret = states > 0 ? states : otherwise;
    return 0;
}

static int append_states(sd_bus_message *m, uint32_t states)
{
    char *words[_TASK_STATE_MAX + 1];
    size_t n = 0;

    for (int i = 0; i < _TASK_STATE_MAX; i++)
        if (states & 1U << i)
            words[n++] = (char *) task_state_to_string((TaskState) i);
    words[n] = NULL;
    return dict_append_strings(m, "states", words);
}

static int append_paging(const TaskFilter *filter, sd_bus_message *m)
{
    int r = dict_append(m, "limit", "u", filter->limit);

    if (r >= 0 && filter->cursor > 0)
        r = dict_append(m, "cursor", "t", filter->cursor);
    if (r >= 0 && filter->reverse)
        r = dict_append(m, "reverse", "b", 1);
    return r;
}

int task_filter_append(const TaskFilter *filter, bool paging, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0 && filter->ids)
        r = dict_append_numbers(m, "ids", (const uint64_t *) (void *) filter->ids->data, filter->ids->len);
    if (r >= 0 && filter->batch > 0)
        r = dict_append(m, "batch", "t", filter->batch);
    if (r >= 0 && filter->states > 0)
        r = append_states(m, filter->states);
    if (r >= 0 && filter->name)
        r = dict_append(m, "name", "s", filter->name);
    if (r >= 0 && filter->tag)
        r = dict_append(m, "tag", "s", filter->tag);
    if (r >= 0 && filter->owner != UID_ANYBODY)
        r = dict_append(m, "owner", "u", filter->owner);
    if (r >= 0 && paging)
        r = append_paging(filter, m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

GPtrArray *task_rows_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify) task_info_free);
}

int task_list_new_call(Client *client, const TaskFilter *filter, sd_bus_message **ret)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r = connection_new_call(client, "ListTasks", &call);

    if (r < 0)
        return r;
    r = task_filter_append(filter, /* paging= */ true, call);
    if (r < 0)
        return connection_report_message(client, r);
    *ret = g_steal_pointer(&call);
    return 0;
}

static int read_row(sd_bus_message *m, void *userdata)
{
    g_autoptr(TaskInfo) info = task_info_new();
    int r = task_info_read(m, info);

    if (r < 0)
        return r;
    g_ptr_array_add(userdata, g_steal_pointer(&info));
    return 0;
}

int task_list_read(sd_bus_message *m, GPtrArray *rows, uint64_t *ret_cursor)
{
    int r = dict_read_each(m, read_row, rows);

    return r < 0 ? r : sd_bus_message_read_basic(m, 't', ret_cursor);
}

int task_list_page(Client *client, const TaskFilter *filter, GPtrArray *rows, uint64_t *ret_cursor)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    int r = task_list_new_call(client, filter, &call);

    if (r >= 0)
        r = connection_call(client, call, &reply);
    if (r < 0)
        return r;
    r = task_list_read(reply, rows, ret_cursor);
    return r < 0 ? connection_report_message(client, r) : 0;
}

/* Into rows; without an answer what is known already will do. */
static void ask_for(Client *client, uint64_t task, GPtrArray *rows)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(TaskFilter) filter = task_filter_new();
    uint64_t cursor;

    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_array_append_val(filter->ids, task);
    if (task_list_new_call(client, filter, &call) < 0 || connection_try_call(client, call, &error, &reply) < 0)
        return;
    if (task_list_read(reply, rows, &cursor) < 0)
        g_ptr_array_set_size(rows, 0);
}

char *task_list_describe_end(Client *client, const TaskInfo *info)
{
    g_autoptr(GPtrArray) rows = task_rows_new();

    if (info->outcome == OUTCOME_SPAWN_FAILED && !info->note)
        ask_for(client, info->id, rows);
    return task_info_describe_end(rows->len == 1 ? rows->pdata[0] : info);
}

char *task_list_end_note(Client *client, const TaskInfo *info)
{
    g_autofree char *how = task_list_describe_end(client, info);

    return g_strdup_printf(_("task %" PRIu64 ": %s"), info->id, how);
}

int task_list_all(Client *client, TaskFilter *filter, uint64_t max, GPtrArray *rows, bool *ret_more)
{
    uint64_t cursor = 0;

    do {
        uint64_t room = max - rows->len;
        if (room == 0)
            break;
        filter->limit = (uint32_t) MIN(room, TASK_PAGE_MAX);
        int r = task_list_page(client, filter, rows, &cursor);
        if (r < 0)
            return r;
        filter->cursor = cursor;
    } while (cursor > 0);
    if (ret_more)
        *ret_more = cursor > 0;
    return 0;
}
