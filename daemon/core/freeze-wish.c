/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody has frozen, remembered over a restart of the service, as one wish: "w2" for a worker, "17.3" for the third
 * time that task 17 was handed out. What pressure has stopped is not among it: it goes on when the pressure ends, or with the
 * service that stopped it. Words of what has ended meanwhile do no harm, since neither numbers nor fences come again. */
#include <inttypes.h>

#include "core/manager-internal.h"

#define WISH "frozen"

static void append_word(GString *text, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void append_word(GString *text, const char *format, ...)
{
    va_list arguments;

    if (text->len > 0)
        g_string_append_c(text, ' ');
    va_start(arguments, format);
    g_string_append_vprintf(text, format, arguments);
    va_end(arguments);
}

/* By itself; what its worker does is remembered of that, and one that drains lets everything go. */
static bool is_wished_for(const ActiveTask *task)
{
    return task->frozen && !task->frozen_by_pressure && task->worker && !task->worker->frozen &&
           task->worker->state != WORKER_DRAINING;
}

static char *wish_text(Manager *manager)
{
    GString *text = g_string_new(NULL);
    GHashTableIter iter;
    gpointer value;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (worker->frozen)
            append_word(text, "w%" PRIu32, worker->number);
    }
    g_hash_table_iter_init(&iter, manager->active);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const ActiveTask *task = value;
        if (is_wished_for(task))
            append_word(text, "%" PRIu64 ".%" PRIu64, task->spec->id, task->spec->fence);
    }
    return g_string_free(text, FALSE);
}

void manager_remember_frozen(Manager *manager)
{
    g_autofree char *text = wish_text(manager);

    manager_keep_wish(manager, WISH, *text ? text : NULL, &manager->frozen_wish);
}

/* ---- the next service */

static void freeze_worker(Manager *manager, uint64_t number)
{
    Worker *worker = number <= UINT32_MAX ? manager_find_worker(manager, (uint32_t) number) : NULL;

    if (worker && worker->state != WORKER_DRAINING)
        worker->frozen = true;
}

static void freeze_task(Manager *manager, uint64_t id, uint64_t fence)
{
    ActiveTask *task = manager_find_active(manager, id);

    if (!task || task->spec->fence != fence)
        return;
    task->frozen = true;
    task->frozen_usec = manager_now(manager);
}

/* As it was told last; its worker says whether it is so when it is back: see manager_freeze_returned(). */
void manager_recall_frozen(Manager *manager, const char *wish)
{
    g_auto(GStrv) words = g_strsplit(wish ? wish : "", " ", -1);

    for (char **word = words; *word; word++) {
        char *end;
        if (**word == 'w') {
            freeze_worker(manager, g_ascii_strtoull(*word + 1, NULL, 10));
            continue;
        }
        uint64_t id = g_ascii_strtoull(*word, &end, 10);
        if (*end == '.')
            freeze_task(manager, id, g_ascii_strtoull(end + 1, NULL, 10));
    }
    manager->frozen_wish = g_strdup(wish);
}
