/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that fit no worker there is. They leave the queue at once, whether a worker looks for something to do or not, and
 * whoever listens is told; they are blocked until there is a worker that may have room. */
#include "core/fitting.h"
#include "core/manager-internal.h"

#define KINDS_MAX 32U /* so many kinds of tasks are remembered: what asks for the same as one of them is judged with it */
#define TOLD_MAX 16U  /* an array of a million elements is one piece of news */
#define REMEMBERED_MAX 1024U
#define OFFERED_MAX 64U /* so many new ones are looked at one by one, more with all others */

/* Tasks that ask for the same are judged once. */
typedef struct Kind {
    const TaskSpec *spec;
    bool hopeless;
} Kind;

typedef struct Judging {
    Manager *manager;
    Kind kinds[KINDS_MAX];
    unsigned n_kinds;
    GPtrArray *hopeless; /* TaskSpec, taken out of the windows */
} Judging;

static bool is_hopeless(Judging *judging, const TaskSpec *spec)
{
    if (!fitting_is_demanding(spec))
        return false;
    for (unsigned i = judging->n_kinds; i > 0; i--)
        if (fitting_is_alike(judging->kinds[i - 1].spec, spec))
            return judging->kinds[i - 1].hopeless;
    bool hopeless = fitting_is_hopeless(judging->manager, spec, NULL);
    if (judging->n_kinds < KINDS_MAX)
        judging->kinds[judging->n_kinds++] = (Kind){ spec, hopeless };
    return hopeless;
}

static void judge(Judging *judging, TaskWindow *window, const TaskSpec *spec)
{
    if (!is_hopeless(judging, spec))
        return;
    g_ptr_array_add(judging->hopeless, task_window_take(window, spec));
    windows_remove(judging->manager, spec->id);
}

static void judge_all(Judging *judging, TaskWindow *window)
{
    for (const TaskSpec *next, *spec = task_window_first(window); spec; spec = next) {
        next = task_window_next(window, spec);
        judge(judging, window, spec);
    }
}

/* Those that have come since. */
static void judge_new(Judging *judging, TaskWindow *window, const GArray *ids)
{
    for (guint i = 0; i < ids->len; i++) {
        const TaskSpec *spec = task_window_find(window, g_array_index(ids, uint64_t, i));
        if (spec)
            judge(judging, window, spec);
    }
}

/* Once, though it is judged anew with every worker that may have room for it; unless the reason is another one. */
static void tell(Manager *manager, const TaskSpec *spec)
{
    g_autofree char *why = NULL;

    if (!fitting_is_hopeless(manager, spec, &why) ||
        g_strcmp0(g_hash_table_lookup(manager->unplaceable, &spec->id), why) == 0)
        return;
    NOTIFY(manager, task_unplaceable, spec->id, why);
    if (g_hash_table_size(manager->unplaceable) >= REMEMBERED_MAX)
        g_hash_table_remove_all(manager->unplaceable);
    g_hash_table_insert(manager->unplaceable, g_memdup2(&spec->id, sizeof spec->id), g_steal_pointer(&why));
}

static void park(Manager *manager, const GPtrArray *hopeless)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    unsigned n = 0; /* of one kind, one after another */

    if (hopeless->len == 0)
        return;
    for (guint i = 0; i < hopeless->len; i++) {
        const TaskSpec *spec = hopeless->pdata[i];
        g_array_append_val(ids, spec->id);
        windows_note_parked(manager, spec->id);
        n = i > 0 && fitting_is_alike(hopeless->pdata[i - 1], spec) ? n + 1 : 0;
        if (n < TOLD_MAX)
            tell(manager, spec);
    }
    manager->has_parked = true;
    manager->ports.store->park(manager->ports.store, (uint64_t *) ids->data, ids->len);
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

void parking_offered(Manager *manager, const TaskSpec *spec)
{
    if (manager->has_unjudged || !fitting_is_demanding(spec))
        return;
    g_array_append_val(manager->unjudged, spec->id);
    manager->has_unjudged = manager->unjudged->len == OFFERED_MAX;
}

void parking_judge(Manager *manager)
{
    Judging judging = { .manager = manager };

    if (!manager->has_unjudged && manager->unjudged->len == 0)
        return;
    judging.hopeless = g_ptr_array_new_with_free_func(spec_free);
    for (guint i = 0; i < manager->windows->len; i++) {
        if (manager->has_unjudged)
            judge_all(&judging, manager->windows->pdata[i]);
        else
            judge_new(&judging, manager->windows->pdata[i], manager->unjudged);
    }
    manager->has_unjudged = false;
    g_array_set_size(manager->unjudged, 0);
    park(manager, judging.hopeless);
    g_ptr_array_unref(judging.hopeless);
}

void parking_look_again(Manager *manager)
{
    if (!manager->has_parked)
        return;
    manager->has_parked = false;
    manager->ports.store->unpark(manager->ports.store);
}

void parking_workers_changed(Manager *manager)
{
    manager->has_unjudged = true;
    windows_widen(manager);
}

void parking_room_changed(Manager *manager, const Worker *worker)
{
    parking_workers_changed(manager);
    if (!fitting_is_covered(manager, worker))
        parking_look_again(manager);
}
