/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Contexts in the database, each distinct one once, with those lately used in memory. The cache belongs to the
 * Database. Invariant: what is in the cache is in the table; contexts in it are not written to any more. */
#include "store/store-context.h"

#include <string.h>

#include "util/log.h"

#define CACHE_ENTRIES_MAX 256U
#define CACHE_BYTES_MAX ((size_t) 16 << 20)

typedef struct CacheEntry {
    GList link; /* in ContextCache.recent */
    uint64_t id;
    char *digest;
    size_t bytes;
    TaskContext *context;
} CacheEntry;

struct ContextCache {
    GHashTable *by_id; /* owns the entries */
    GHashTable *by_digest;
    GQueue recent; /* the latest first */
    size_t bytes;
};

static void entry_free(gpointer data)
{
    CacheEntry *entry = data;

    task_context_unref(entry->context);
    g_free(entry->digest);
    g_free(entry);
}

ContextCache *context_cache_new(void)
{
    ContextCache *cache = g_new0(ContextCache, 1);

    cache->by_id = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, entry_free);
    cache->by_digest = g_hash_table_new(g_str_hash, g_str_equal);
    g_queue_init(&cache->recent);
    return cache;
}

void context_cache_clear(ContextCache *cache)
{
    g_hash_table_remove_all(cache->by_digest);
    g_queue_init(&cache->recent);
    g_hash_table_remove_all(cache->by_id);
    cache->bytes = 0;
}

ContextCache *context_cache_free(ContextCache *cache)
{
    if (!cache)
        return NULL;
    g_hash_table_unref(cache->by_digest);
    g_hash_table_unref(cache->by_id);
    g_free(cache);
    return NULL;
}

static void cache_trim(ContextCache *cache)
{
    while (cache->recent.length > 1 &&
           (cache->recent.length > CACHE_ENTRIES_MAX || cache->bytes > CACHE_BYTES_MAX)) {
        CacheEntry *oldest = cache->recent.tail->data;
        g_queue_unlink(&cache->recent, &oldest->link);
        g_hash_table_remove(cache->by_digest, oldest->digest);
        cache->bytes -= oldest->bytes;
        g_hash_table_remove(cache->by_id, &oldest->id);
    }
}

static void cache_add(ContextCache *cache, const char *digest, TaskContext *context)
{
    CacheEntry *entry = g_new0(CacheEntry, 1);

    entry->link.data = entry;
    entry->id = context->id;
    entry->digest = g_strdup(digest);
    entry->context = task_context_ref(context);
    entry->bytes = sizeof(*entry) + context->n_groups * sizeof(uint32_t);
    if (context->environment)
        entry->bytes += g_bytes_get_size(context->environment);
    g_queue_push_head_link(&cache->recent, &entry->link);
    g_hash_table_insert(cache->by_id, &entry->id, entry);
    g_hash_table_insert(cache->by_digest, entry->digest, entry);
    cache->bytes += entry->bytes;
    cache_trim(cache);
}

static void cache_use(ContextCache *cache, CacheEntry *entry)
{
    g_queue_unlink(&cache->recent, &entry->link);
    g_queue_push_head_link(&cache->recent, &entry->link);
}

/* ------------------------------------------------------------------ rows */

static int context_insert(Database *database, const TaskContext *context, const char *digest, uint64_t *ret)
{
    g_autofree char *terms = task_context_terms(context);
    int r;

    r = sql_run(
        &database->sql,
        "INSERT INTO contexts (digest, uid, gid, groups, cwd, environment, stdin, stdout, stderr, memory_max,"
        " credentials, policy) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        SQL_VALUES(sql_text(digest), sql_int(context->uid), sql_int(context->gid),
                   sql_blob(context->groups, context->n_groups * sizeof(uint32_t)), sql_bytes(context->cwd),
                   sql_bytes(context->environment), sql_bytes(context->streams[STREAM_STDIN]),
                   sql_bytes(context->streams[STREAM_STDOUT]), sql_bytes(context->streams[STREAM_STDERR]),
                   sql_limit(context->memory_max_bytes), sql_bytes(context->credentials), sql_text(terms)));
    if (r >= 0)
        *ret = (uint64_t) sqlite3_last_insert_rowid(database->sql.handle);
    return r;
}

int context_save(Database *database, TaskContext *context)
{
    CacheEntry *known = g_hash_table_lookup(database->contexts->by_id, &context->id);
    g_autofree char *digest = NULL;
    int64_t id;
    int r;

    if (known && known->context == context) { /* of an earlier submission, the very object */
        cache_use(database->contexts, known);
        return 0;
    }
    digest = task_context_digest(context);
    known = g_hash_table_lookup(database->contexts->by_digest, digest);
    if (known) {
        cache_use(database->contexts, known);
        /* Others may be reading it: nothing is written unless it changes. */
        if (context->id != known->id)
            context->id = known->id;
        return 0;
    }
    r = sql_number(&database->sql, "SELECT id FROM contexts WHERE digest = ?1", SQL_VALUES(sql_text(digest)),
                   &id);
    if (r == 0) {
        uint64_t inserted = 0;
        r = context_insert(database, context, digest, &inserted);
        id = (int64_t) inserted;
    }
    if (r < 0)
        return r;
    if (context->id != (uint64_t) id)
        context->id = (uint64_t) id;
    cache_add(database->contexts, digest, context);
    return 0;
}

static TaskContext *context_read(sqlite3_stmt *statement)
{
    TaskContext *context = task_context_new();
    size_t size;

    context->uid = (uint32_t) sql_column_int(statement, 1);
    context->gid = (uint32_t) sql_column_int(statement, 2);
    size = (size_t) sqlite3_column_bytes(statement, 3);
    context->n_groups = size / sizeof(uint32_t);
    context->groups = g_memdup2(sqlite3_column_blob(statement, 3), size);
    context->cwd = sql_column_bytes(statement, 4);
    context->environment = sql_column_bytes(statement, 5);
    for (int i = 0; i < _STREAM_MAX; i++)
        context->streams[i] = sql_column_bytes(statement, 6 + i);
    context->memory_max_bytes = sql_column_limit(statement, 9);
    context->credentials = sql_column_bytes(statement, 10);
    if (task_context_read_terms(context, (const char *) sqlite3_column_text(statement, 11)) < 0)
        log_warning("A task's policy in the database makes no sense, ignoring a part of it.");
    return context;
}

int context_load(Database *database, uint64_t id, TaskContext **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    g_autoptr(TaskContext) context = NULL;
    CacheEntry *known = g_hash_table_lookup(database->contexts->by_id, &id);
    int r;

    if (known) {
        cache_use(database->contexts, known);
        *ret = task_context_ref(known->context);
        return 0;
    }
    r = sql_query(
        &database->sql,
        "SELECT digest, uid, gid, groups, cwd, environment, stdin, stdout, stderr, memory_max, credentials, policy"
        " FROM contexts WHERE id = ?1",
        SQL_VALUES(sql_int((int64_t) id)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    context = context_read(statement);
    context->id = id;
    cache_add(database->contexts, (const char *) sqlite3_column_text(statement, 0), context);
    *ret = g_steal_pointer(&context);
    return 0;
}
