/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's memory of what tasks took, as structs. Owned by who asked. */

#include "client/class-statistics.h"

#include "client/bus-dict.h"
#include "client/connection.h"
#include "dbus/parexec-dbus.h"

static const DictField class_fields[] = {
    DICT_FIELD("class", "s", ClassStatistics, class),
    DICT_FIELD("owner", "u", ClassStatistics, owner),
    DICT_FIELD("count", "t", ClassStatistics, count),
    DICT_FIELD("memory-median", "t", ClassStatistics, memory_median_bytes),
    DICT_FIELD("memory-p95", "t", ClassStatistics, memory_p95_bytes),
    DICT_FIELD("memory-max", "t", ClassStatistics, memory_max_bytes),
    DICT_FIELD("next-memory", "t", ClassStatistics, next_memory_bytes),
    DICT_FIELD("time-median", "t", ClassStatistics, time_median_usec),
    DICT_FIELD("time-p95", "t", ClassStatistics, time_p95_usec),
    DICT_FIELD("time-max", "t", ClassStatistics, time_max_usec),
    DICT_FIELD("order", "t", ClassStatistics, order),
};

static void row_free(void *row)
{
    dict_clear(class_fields, G_N_ELEMENTS(class_fields), row);
    g_free(row);
}

GPtrArray *class_statistics_new(void)
{
    return g_ptr_array_new_with_free_func(row_free);
}

static int call_statistics(Client *client, const char *name, bool all, uint64_t before, sd_bus_message **ret)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r = connection_new_call(client, "Statistics", &call);

    if (r < 0)
        return r;
    r = sd_bus_message_open_container(call, 'a', "{sv}");
    if (r >= 0 && name)
        r = dict_append(call, "name", "s", name);
    if (r >= 0 && all)
        r = dict_append(call, "all", "b", 1);
    if (r >= 0 && before < UINT64_MAX)
        r = dict_append(call, "before", "t", before);
    if (r >= 0)
        r = dict_append(call, "limit", "u", PAREXEC_STATISTICS_ROWS_MAX);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    return r < 0 ? connection_report_message(client, r) : connection_call(client, call, ret);
}

static int read_row(sd_bus_message *m, void *rows)
{
    ClassStatistics *row = g_new(ClassStatistics, 1);

    *row = (ClassStatistics){ .memory_median_bytes = UINT64_MAX,
                              .memory_p95_bytes = UINT64_MAX,
                              .memory_max_bytes = UINT64_MAX,
                              .next_memory_bytes = UINT64_MAX };
    g_ptr_array_add(rows, row);
    return dict_read(m, class_fields, G_N_ELEMENTS(class_fields), row);
}

static int add_json(sd_bus_message *m, JsonOutput *json)
{
    int r = sd_bus_message_rewind(m, /* complete= */ true);

    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'a', "a{sv}");
    while (r >= 0 && (r = sd_bus_message_at_end(m, /* complete= */ false)) == 0)
        r = json_output_message(json, m);
    return r;
}

/* *before: of the page, and then of the next one; 0: that was the last. */
static int get_page(Client *client, const char *name, bool all, uint64_t *before, GPtrArray *rows, JsonOutput *json)
{
    g_autoptr(sd_bus_message) reply = NULL;
    guint had = rows->len;
    int r = call_statistics(client, name, all, *before, &reply);

    if (r < 0)
        return r;
    r = dict_read_each(reply, read_row, rows);
    if (r >= 0 && json)
        r = add_json(reply, json);
    if (r < 0)
        return connection_report_message(client, r);
    const ClassStatistics *last = rows->len > had ? rows->pdata[rows->len - 1] : NULL;
    bool more = last && rows->len - had >= PAREXEC_STATISTICS_ROWS_MAX && last->order < *before;
    *before = more ? last->order : 0;
    return 0;
}

int class_statistics_get(Client *client, const char *name, bool all, GPtrArray *rows, JsonOutput *json)
{
    uint64_t before = UINT64_MAX;
    int r;

    do
        r = get_page(client, name, all, &before, rows, json);
    while (r >= 0 && before > 0);
    return r;
}
