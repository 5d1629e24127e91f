/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tasks took before, by class: their name, else their program. Kept in memory, bounded: the one not used for the longest
 * time goes first. Each class that changed is written some seconds later, all of them when the service ends: what a crash
 * loses is learned again. A class of one task is not written: often each task of a batch has a name of its own. */
#include <string.h>

#include "core/manager-internal.h"
#include "util/strv-blob.h"

#define PROGRAM_MAX 80U /* bytes of its name that count; some more where they are no text */
#define SAVE_USEC (10 * USEC_PER_SEC)
#define SHARE_OF_ONE_USER (LEARNED_ROWS_MAX / 8) /* of the classes that are kept, when there is room for no more */

typedef struct Class {
    uint32_t uid;
    char *name;
    Learned *learned;
    LearnedFigures figures; /* of learned; count 0: to be worked out */
    uint64_t order;         /* larger than that of all that were used before */
    bool dirty, stored;
    GList link; /* in recent */
    GList own;  /* in that of its user */
} Class;

static guint class_hash(gconstpointer key)
{
    const Class *class = key;

    return g_str_hash(class->name) ^ class->uid;
}

static gboolean class_equal(gconstpointer a, gconstpointer b)
{
    const Class *x = a, *y = b;

    return x->uid == y->uid && strcmp(x->name, y->name) == 0;
}

static void class_free(gpointer data)
{
    Class *class = data;

    g_free(class->name);
    learned_free(class->learned);
    g_free(class);
}

void learning_init(Learning *learning)
{
    learning->classes = g_hash_table_new_full(class_hash, class_equal, NULL, class_free);
    learning->of_users = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_queue_init(&learning->recent);
    learning->save_usec = UINT64_MAX;
}

void learning_done(Learning *learning)
{
    g_hash_table_unref(learning->classes);
    g_hash_table_unref(learning->of_users);
}

/* "sim" of /opt/sim/bin/sim; what cannot be shown as text is not told apart. */
static char *class_name(const TaskSpec *spec)
{
    size_t size;
    const char *program = g_bytes_get_data(spec->argv, &size), *slash;

    if (*spec->name)
        return g_strdup(spec->name);
    slash = strrchr(program, '/');
    program = slash && slash[1] ? slash + 1 : program;
    return g_utf8_make_valid(program, (gssize) strnlen(program, PROGRAM_MAX));
}

static Class *class_find(Learning *learning, uint32_t uid, const char *name)
{
    const Class key = { .uid = uid, .name = (char *) name };

    return g_hash_table_lookup(learning->classes, &key);
}

static void class_enter(Learning *learning, Class *class)
{
    GQueue *own = g_hash_table_lookup(learning->of_users, GUINT_TO_POINTER(class->uid));

    if (!own) {
        own = g_new(GQueue, 1);
        g_queue_init(own);
        g_hash_table_insert(learning->of_users, GUINT_TO_POINTER(class->uid), own);
    }
    const Class *latest = g_queue_peek_head(&learning->recent);
    class->order = latest ? latest->order + 1 : 1;
    g_queue_push_head_link(own, &class->own);
    g_queue_push_head_link(&learning->recent, &class->link);
}

static void class_leave(Learning *learning, Class *class)
{
    GQueue *own = g_hash_table_lookup(learning->of_users, GUINT_TO_POINTER(class->uid));

    g_queue_unlink(own, &class->own);
    g_queue_unlink(&learning->recent, &class->link);
    if (own->length == 0)
        g_hash_table_remove(learning->of_users, GUINT_TO_POINTER(class->uid));
}

/* Who has more than a share of them gives up one's own: nobody makes the others' be forgotten with names without end. */
static Class *find_oldest(const Learning *learning, uint32_t uid)
{
    const GQueue *own = g_hash_table_lookup(learning->of_users, GUINT_TO_POINTER(uid));

    return own && own->length > SHARE_OF_ONE_USER ? own->tail->data : learning->recent.tail->data;
}

/* Their number is bounded: names are what anybody submits. */
static void forget_oldest(Manager *manager, uint32_t uid)
{
    Class *oldest = find_oldest(&manager->learning, uid);

    if (oldest->stored)
        manager->ports.store->save_learned(manager->ports.store, &(LearnedRow){ oldest->uid, oldest->name, NULL });
    class_leave(&manager->learning, oldest);
    g_hash_table_remove(manager->learning.classes, oldest);
}

static Class *class_add(Learning *learning, uint32_t uid, char *name, Learned *learned)
{
    Class *class = g_new0(Class, 1);

    *class = (Class){ .uid = uid, .name = name, .learned = learned, .link.data = class, .own.data = class };
    g_hash_table_add(learning->classes, class);
    class_enter(learning, class);
    return class;
}

static void class_use(Learning *learning, Class *class)
{
    class_leave(learning, class);
    class_enter(learning, class);
}

void learning_load(Learning *learning, const GPtrArray *rows)
{
    for (guint i = 0; rows && i < rows->len; i++) {
        const LearnedRow *row = rows->pdata[i];
        size_t size;
        const void *data = g_bytes_get_data(row->data, &size);
        Learned *learned;
        if (learned_parse(data, size, &learned) >= 0)
            class_add(learning, row->uid, g_strdup(row->class), learned)->stored = true;
    }
}

void manager_learn(Manager *manager, const TaskSpec *spec, const TaskResult *result)
{
    Learning *learning = &manager->learning;
    g_autofree char *name = NULL;
    Class *class;

    if (!task_result_is_success(result) || result->end_usec < result->start_usec || result->start_usec == 0)
        return;
    name = class_name(spec);
    class = class_find(learning, spec->context->uid, name);
    if (!class && g_hash_table_size(learning->classes) >= LEARNED_ROWS_MAX)
        forget_oldest(manager, spec->context->uid);
    if (!class)
        class = class_add(learning, spec->context->uid, g_steal_pointer(&name), learned_new());
    learned_add(class->learned, result->memory_peak_bytes, result->end_usec - result->start_usec);
    class->figures.count = 0;
    class->dirty = true;
    class_use(learning, class);
    if (learning->save_usec == UINT64_MAX) {
        learning->save_usec = usec_add(manager_now(manager), SAVE_USEC);
        manager_rearm(manager);
    }
}

/* Asked for by the thousand, and sorted for: kept until it learns more. */
static const LearnedFigures *class_figures(Class *class)
{
    if (class->figures.count == 0)
        learned_figures(class->learned, &class->figures);
    return &class->figures;
}

uint64_t manager_learned_memory(Manager *manager, const TaskSpec *spec)
{
    g_autofree char *name = class_name(spec);
    Class *class = class_find(&manager->learning, spec->context->uid, name);
    uint64_t usual = manager->settings.memory_default_bytes;

    return class ? learned_memory(class_figures(class), usual) : usual;
}

uint64_t manager_learned_time(Manager *manager, const TaskSpec *spec)
{
    g_autofree char *name = class_name(spec);
    Class *class = class_find(&manager->learning, spec->context->uid, name);

    return class ? class_figures(class)->time_median_usec : 0;
}

void manager_save_learned(Manager *manager)
{
    GHashTableIter iter;
    gpointer value;

    manager->learning.save_usec = UINT64_MAX;
    g_hash_table_iter_init(&iter, manager->learning.classes);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Class *class = value;
        if (!class->dirty || (!class->stored && learned_count(class->learned) < 2))
            continue;
        g_autoptr(GBytes) data = learned_serialize(class->learned);
        manager->ports.store->save_learned(manager->ports.store, &(LearnedRow){ class->uid, class->name, data });
        class->dirty = false;
        class->stored = true;
    }
}

void manager_tick_learning(Manager *manager, uint64_t now)
{
    if (manager->learning.save_usec <= now)
        manager_save_learned(manager);
}

/* ---- what is shown */

static void statistics_row_free(gpointer data)
{
    StatisticsRow *row = data;

    g_free(row->class);
    g_free(row);
}

static StatisticsRow *statistics_row_new(const Manager *manager, Class *class)
{
    StatisticsRow *row = g_new(StatisticsRow, 1);

    *row = (StatisticsRow){
        .class = g_strdup(class->name),
        .owner = class->uid,
        .figures = *class_figures(class),
        .next_memory_bytes = learned_memory(class_figures(class), manager->settings.memory_default_bytes),
        .order = class->order,
    };
    return row;
}

static const GQueue *classes_of(const Learning *learning, uint32_t only_uid)
{
    return only_uid == UID_ANYBODY ? &learning->recent
                                   : g_hash_table_lookup(learning->of_users, GUINT_TO_POINTER(only_uid));
}

GPtrArray *manager_statistics(Manager *manager, const StatisticsFilter *filter)
{
    const GQueue *classes = classes_of(&manager->learning, filter->only_uid);
    GPtrArray *rows = g_ptr_array_new_with_free_func(statistics_row_free);

    for (GList *link = classes ? classes->head : NULL; link && rows->len < filter->limit; link = link->next) {
        Class *class = link->data;
        if (class->order < filter->before && (!filter->class || strcmp(filter->class, class->name) == 0))
            g_ptr_array_add(rows, statistics_row_new(manager, class));
    }
    return rows;
}
