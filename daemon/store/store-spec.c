/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Specs are shared by the elements of an array: who is changed alone gets a copy under its own id. Stateless. */
#include "store/store-spec.h"

#include "store/store-context.h"
#include "store/store-range.h"

/* The elements as a range of their own, with what is in task. */
static int range_rewrite(Database *database, const StoredTask *task)
{
    StoredRange range;
    int r = row_find_range(database, task->id, &range);

    if (r <= 0)
        return r < 0 ? r : -EIO;
    r = range_remove(database, &range, task->id, task->last);
    if (r < 0)
        return r;
    range.first = task->id;
    range.last = task->last;
    range.spec = task->spec;
    range.priority = task->priority;
    range.queue = task->queue;
    return range_insert(database, &range);
}

int spec_set_priority(Database *database, const StoredTask *task)
{
    if (task->virtual)
        return range_rewrite(database, task);
    return sql_run(&database->sql, "UPDATE tasks SET priority = ?2 WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) task->id), sql_int(task->priority)));
}

int spec_set_queue(Database *database, const StoredTask *task)
{
    if (task->virtual)
        return range_rewrite(database, task);
    return sql_run(&database->sql, "UPDATE tasks SET queue = ?2 WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) task->id), sql_int(task->queue)));
}

int spec_set_memory(Database *database, const StoredTask *task, uint64_t memory_bytes)
{
    return sql_run(&database->sql, "UPDATE tasks SET memory = nullif(?2, 0) WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) task->id), sql_int((int64_t) memory_bytes)));
}

int spec_may_change(Database *database, const StoredTask *task)
{
    int64_t together = 0;
    int r = sql_number(
        &database->sql,
        "SELECT array_count > 1 AND (gated OR EXISTS (SELECT 1 FROM edges WHERE target = 3 AND parent = ?1))"
        " FROM specs WHERE id = ?1",
        SQL_VALUES(sql_int((int64_t) task->spec)), &together);

    return r < 0 ? r : together == 0;
}

/* A copy of the spec for the elements from first on, up to last. */
static int spec_copy_part(Database *database, uint64_t spec, uint64_t first, uint64_t last)
{
    return sql_run(
        &database->sql,
        "INSERT INTO specs (id, context, has_fds, array_base, name, tags, argv, array_count, gated)"
        " SELECT ?1, context, has_fds, array_base + (?1 - id), name, tags, argv, ?3, 0 FROM specs WHERE id = ?2",
        SQL_VALUES(sql_int((int64_t) first), sql_int((int64_t) spec), sql_int((int64_t) (last - first + 1))));
}

/* The first element behind this one that has the same spec; 0: there is none. Those between may have one of their own. */
static int spec_next_user(Database *database, const StoredTask *task, uint64_t last, uint64_t *ret)
{
    int64_t id = 0;
    int r = sql_number(&database->sql,
                       "SELECT ifnull(min(id), 0) FROM ("
                       " SELECT min(id) AS id FROM tasks WHERE id > ?1 AND id <= ?2 AND spec = ?3"
                       " UNION ALL SELECT min(first) FROM ranges WHERE last > ?1 AND first <= ?2 AND spec = ?3)",
                       SQL_VALUES(sql_int((int64_t) task->last), sql_int((int64_t) last),
                                  sql_int((int64_t) task->spec)),
                       &id);

    *ret = (uint64_t) id;
    return MIN(r, 0);
}

/* The spec belongs to the first element: when that is changed, the others get one of their own. */
static int spec_leave_first(Database *database, const StoredTask *task)
{
    uint64_t first = 0, last;
    int64_t count = 0;
    int r = sql_number(&database->sql, "SELECT ifnull(array_count, 1) FROM specs WHERE id = ?1",
                       SQL_VALUES(sql_int((int64_t) task->spec)), &count);

    last = task->spec + (uint64_t) count - 1;
    if (r >= 0 && last > task->last)
        r = spec_next_user(database, task, last, &first);
    if (r < 0 || first == 0)
        return MIN(r, 0);
    r = spec_copy_part(database, task->spec, first, last);
    if (r >= 0)
        r = sql_run(
            &database->sql, "UPDATE tasks SET spec = nullif(?1, id) WHERE id BETWEEN ?1 AND ?2 AND spec = ?3",
            SQL_VALUES(sql_int((int64_t) first), sql_int((int64_t) last), sql_int((int64_t) task->spec)));
    if (r >= 0)
        r = sql_run(
            &database->sql, "UPDATE ranges SET spec = ?1 WHERE last BETWEEN ?1 AND ?2 AND spec = ?3",
            SQL_VALUES(sql_int((int64_t) first), sql_int((int64_t) last), sql_int((int64_t) task->spec)));
    return r < 0
               ? r
               : sql_run(&database->sql, "UPDATE specs SET array_count = ?2 WHERE id = ?1",
                         SQL_VALUES(sql_int((int64_t) task->spec), sql_int((int64_t) (task->last + 1 - task->spec))));
}

/* A spec for these elements alone. */
static int spec_part(Database *database, StoredTask *task)
{
    uint64_t whole = task->spec;
    int r = 0;

    if (task->virtual) /* they part from the rest of their range first */
        r = range_rewrite(database, task);
    if (r < 0 || task->id == whole)
        return r < 0 ? r : spec_leave_first(database, task);
    task->spec = task->id;
    r = spec_copy_part(database, whole, task->id, task->last);
    if (r < 0)
        return r;
    if (task->virtual)
        return range_rewrite(database, task);
    return sql_run(&database->sql, "UPDATE tasks SET spec = NULL WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) task->id)));
}

static void context_limit(TaskContext *context, const TaskLimits *limits)
{
    if (limits->set_memory) {
        context->memory_max_bytes = limits->memory_max_bytes;
        context->demand.memory_auto = false;
    }
    if (limits->set_cpu)
        context->demand.cpu_quota_usec_per_sec = limits->cpu_quota_usec_per_sec;
    if (limits->set_tasks)
        context->demand.tasks_max = limits->tasks_max;
    if (limits->set_io)
        context->demand.io_weight = limits->io_weight;
}

static int set_limits(Database *database, const StoredTask *task, const TaskLimits *limits)
{
    g_autoptr(TaskContext) context = NULL, changed = NULL;
    int64_t id;
    int r = sql_number(&database->sql, "SELECT context FROM specs WHERE id = ?1",
                       SQL_VALUES(sql_int((int64_t) task->spec)), &id);

    if (r >= 0)
        r = context_load(database, (uint64_t) id, &context);
    if (r < 0)
        return r;
    changed = task_context_copy(context);
    context_limit(changed, limits);
    r = context_save(database, changed);
    return r < 0 ? r
                 : sql_run(&database->sql, "UPDATE specs SET context = ?2 WHERE id = ?1",
                           SQL_VALUES(sql_int((int64_t) task->spec), sql_int((int64_t) changed->id)));
}

int spec_change(Database *database, StoredTask *task, GBytes *argv, const TaskLimits *limits)
{
    int r = spec_part(database, task);

    if (r >= 0 && argv)
        r = sql_run(&database->sql, "UPDATE specs SET argv = ?2 WHERE id = ?1",
                    SQL_VALUES(sql_int((int64_t) task->spec), sql_bytes(argv)));
    if (r >= 0 && limits->set_memory && !task->virtual)
        r = spec_set_memory(database, task, 0);
    return r >= 0 && task_limits_say_something(limits) ? set_limits(database, task, limits) : r;
}
