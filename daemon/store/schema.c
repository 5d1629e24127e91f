/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables, and how an older database becomes one of today. PRAGMA user_version is the number of the last migration
 * that was applied. A migration that was released is never changed again: changes are new ones, at the end. */
#include "store/schema.h"

#include <inttypes.h>

#include "store/store-database.h"
#include "util/log.h"

/* The numbers of states are in the SQL, since a partial index takes only literals. */
G_STATIC_ASSERT(TASK_QUEUED == 2 && TASK_RUNNING == 3 && TASK_SUCCEEDED == 5 && TASK_CANCELLED == 7);

static const char schema_1[] =
    /* Numbers that must not be counted or searched for: how many tasks are in each state (ids as TaskState), what
     * the next ids are, whether tasks are given to workers. */
    "CREATE TABLE counters ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  value INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO counters VALUES"
    "  (0, 'held', 0), (1, 'blocked', 0), (2, 'queued', 0), (3, 'running', 0), (4, 'waiting', 0),"
    "  (5, 'succeeded', 0), (6, 'failed', 0), (7, 'cancelled', 0), (8, 'skipped', 0),"
    "  (100, 'next-task', 1), (101, 'next-batch', 1), (102, 'next-worker', 1), (103, 'enabled', 1);"

    /* Who, where and with which environment: one row for each distinct TaskContext. */
    "CREATE TABLE contexts ("
    "  id INTEGER PRIMARY KEY,"
    "  digest TEXT NOT NULL UNIQUE," /* SHA-256 of the rest */
    "  uid INTEGER NOT NULL,"
    "  gid INTEGER NOT NULL,"
    "  groups BLOB NOT NULL," /* 32-bit numbers of this machine's byte order */
    "  cwd BLOB,"
    "  environment BLOB,"
    "  stdin BLOB, stdout BLOB, stderr BLOB,"
    "  memory_max INTEGER" /* NULL: unlimited, here and everywhere */
    ") STRICT;"

    /* phase: 0 open (its tasks are hidden, more may come), 1 committed, 2 being discarded (hidden too). */
    "CREATE TABLE batches ("
    "  id INTEGER PRIMARY KEY,"
    "  uid INTEGER NOT NULL,"
    "  phase INTEGER NOT NULL,"
    "  count INTEGER NOT NULL DEFAULT 0,"
    "  succeeded INTEGER NOT NULL DEFAULT 0,"
    "  failed INTEGER NOT NULL DEFAULT 0,"
    "  cancelled INTEGER NOT NULL DEFAULT 0,"
    "  skipped INTEGER NOT NULL DEFAULT 0,"
    "  submitted INTEGER NOT NULL" /* by the latest call */
    ") STRICT;"
    "CREATE INDEX batches_hidden ON batches (phase) WHERE phase <> 1;"

    /* The ids of a batch: one row for each call that added tasks. */
    "CREATE TABLE segments ("
    "  batch INTEGER NOT NULL,"
    "  first INTEGER NOT NULL,"
    "  last INTEGER NOT NULL,"
    "  PRIMARY KEY (batch, first)"
    ") STRICT, WITHOUT ROWID;"

    /* What is to be run; never changes. The id is that of the task, or of the first element of an array. */
    "CREATE TABLE specs ("
    "  id INTEGER PRIMARY KEY,"
    "  context INTEGER NOT NULL,"
    "  has_fds INTEGER NOT NULL,"
    "  array_base INTEGER," /* index of the element with that id; NULL: no array */
    "  name TEXT NOT NULL,"
    "  tags TEXT,"
    "  argv BLOB NOT NULL"
    ") STRICT;"

    /* What becomes of it: small rows that keep their size while they go through their states, so that they are
     * overwritten in place. State 3 is a task that a worker holds: see assignments. */
    "CREATE TABLE tasks ("
    "  id INTEGER PRIMARY KEY,"
    "  spec INTEGER," /* NULL: the one with its own id */
    "  batch INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL DEFAULT 0,"
    "  lost INTEGER NOT NULL DEFAULT 0,"
    "  fence INTEGER NOT NULL DEFAULT 0,"
    "  since INTEGER NOT NULL," /* in this state; not kept while a worker holds it */
    "  reason TEXT"
    ") STRICT;"
    "CREATE INDEX tasks_ready ON tasks (uid, priority DESC) WHERE state = 2;"
    /* Held tasks are found through assignments, and those that succeeded are most of all. */
    "CREATE INDEX tasks_by_state ON tasks (state) WHERE state NOT IN (3, 5);"

    /* Elements of arrays that have no row in tasks: all those from first to last are in this state. An element that
     * is given to a worker leaves its range, which shrinks or breaks in two, and gets a row. Ranges never overlap;
     * the key is the end that stays while elements are taken from the front. */
    "CREATE TABLE ranges ("
    "  last INTEGER PRIMARY KEY,"
    "  first INTEGER NOT NULL,"
    "  spec INTEGER NOT NULL,"
    "  batch INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL,"
    "  since INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX ranges_ready ON ranges (uid, priority DESC) WHERE state = 2;"

    /* Tasks that a worker holds. */
    "CREATE TABLE assignments ("
    "  task INTEGER PRIMARY KEY,"
    "  worker INTEGER NOT NULL,"
    "  fence INTEGER NOT NULL,"
    "  batch INTEGER NOT NULL,"
    "  start INTEGER NOT NULL DEFAULT 0," /* 0: not known to have started */
    "  cancelled INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"

    /* Attempts that have ended. */
    "CREATE TABLE attempts ("
    "  task INTEGER NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  worker INTEGER NOT NULL,"
    "  outcome INTEGER NOT NULL,"
    "  exit_status INTEGER NOT NULL,"
    "  signal INTEGER NOT NULL,"
    "  errno INTEGER NOT NULL,"
    "  start INTEGER NOT NULL,"
    "  finish INTEGER NOT NULL,"
    "  cpu_nsec INTEGER NOT NULL,"
    "  memory_peak INTEGER,"
    "  stderr_tail BLOB,"
    "  PRIMARY KEY (task, attempt)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE workers ("
    "  number INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  memory_max INTEGER, memory_high INTEGER, cpu_quota INTEGER, cpu_weight INTEGER NOT NULL, tasks_max INTEGER,"
    "  allowed_cpus TEXT,"
    "  slots INTEGER NOT NULL,"
    "  engine TEXT NOT NULL,"
    "  user INTEGER NOT NULL,"
    "  forced INTEGER NOT NULL,"
    "  environment BLOB,"
    "  state TEXT NOT NULL,"
    "  pid INTEGER NOT NULL,"
    "  start_time INTEGER NOT NULL,"
    "  unit TEXT,"
    "  control_group TEXT,"
    "  token BLOB NOT NULL,"
    "  added INTEGER NOT NULL,"
    "  done INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL"
    ") STRICT;";

/* The queue: dependencies, delays, named queues, retries, results, retention. */
G_STATIC_ASSERT(STATE_GATED == 10);

static const char schema_2[] =
    "ALTER TABLE contexts ADD COLUMN credentials BLOB;"
    "ALTER TABLE contexts ADD COLUMN policy TEXT NOT NULL DEFAULT '';"

    "ALTER TABLE specs ADD COLUMN array_count INTEGER;" /* NULL: no array, or one of version 1 */
    "ALTER TABLE specs ADD COLUMN gated INTEGER NOT NULL DEFAULT 0;" /* has a row in gates */

    /* class: of the programs that do it, see classes. queue, lane: what limits how many run at once; 0: nothing. State 10 is
     * a queued task that waits for room in them. spent: attempts that count against the retries. */
    "ALTER TABLE tasks ADD COLUMN class INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tasks ADD COLUMN queue INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tasks ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tasks ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ranges ADD COLUMN class INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ranges ADD COLUMN queue INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ranges ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;"
    "UPDATE tasks SET spent = attempts - lost;"
    "DROP INDEX tasks_ready;"
    "DROP INDEX ranges_ready;"
    "CREATE INDEX tasks_ready ON tasks (class, uid, priority DESC) WHERE state = 2;"
    "CREATE INDEX ranges_ready ON ranges (class, uid, priority DESC) WHERE state = 2;"
    "CREATE INDEX tasks_gated ON tasks (queue, lane, priority DESC) WHERE state = 10;"
    "CREATE INDEX ranges_gated ON ranges (queue, lane, priority DESC) WHERE state = 10;"
    "CREATE INDEX tasks_in_queue ON tasks (queue) WHERE queue <> 0 AND state IN (2, 3);"
    "CREATE INDEX tasks_in_lane ON tasks (lane) WHERE lane <> 0 AND state IN (2, 3);"
    "CREATE INDEX ranges_in_queue ON ranges (queue) WHERE queue <> 0 AND state = 2;"
    "CREATE INDEX ranges_in_lane ON ranges (lane) WHERE lane <> 0 AND state = 2;"

    "CREATE TABLE classes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE queues (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, parallel INTEGER NOT NULL) STRICT;"
    /* An array that is throttled, or the tasks of one name of which one at a time may run. */
    "CREATE TABLE lanes (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, parallel INTEGER NOT NULL) STRICT;"

    /* What a task, or all elements of an array, wait for. pending: clauses that do not hold yet. */
    "CREATE TABLE gates ("
    "  spec INTEGER PRIMARY KEY,"
    "  last INTEGER NOT NULL,"
    "  pending INTEGER NOT NULL,"
    "  keep INTEGER NOT NULL,"           /* is not skipped when they can no longer hold */
    "  by_element INTEGER NOT NULL,"     /* aftercorr is among them */
    "  inputs INTEGER NOT NULL DEFAULT 0," /* one of those it waited for has a result */
    "  conditions TEXT NOT NULL,"        /* as dependency_parse() reads them */
    "  reason TEXT"                      /* why it was skipped */
    ") STRICT;"
    /* The same from the other end: who waits for this. target: as DependencyTarget, or 3: the elements of that array.
     * alone: the condition is a clause of its own. */
    "CREATE TABLE edges ("
    "  target INTEGER NOT NULL,"
    "  parent INTEGER NOT NULL,"
    "  spec INTEGER NOT NULL,"
    "  clause INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  alone INTEGER NOT NULL,"
    "  PRIMARY KEY (target, parent, spec, clause, kind, status)"
    ") STRICT, WITHOUT ROWID;"

    /* Tasks that wait for a time. wall: by CLOCK_REALTIME ("at eight"), else by CLOCK_BOOTTIME of that boot ("in an hour");
     * realtime is the same moment as it looked then, for after the next boot. */
    "CREATE TABLE waits ("
    "  first INTEGER PRIMARY KEY,"
    "  last INTEGER NOT NULL,"
    "  wall INTEGER NOT NULL,"
    "  due INTEGER NOT NULL,"
    "  realtime INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX waits_due ON waits (wall, due);"
    "CREATE TABLE boots (id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT NOT NULL) STRICT;"
    "INSERT INTO boots VALUES (1, '');"

    /* halted: it has been given up. ended: when its last task ended; NULL: not all have. */
    "ALTER TABLE batches ADD COLUMN gated INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE batches ADD COLUMN started INTEGER NOT NULL DEFAULT 0;" /* kept only of those that others wait for */
    "ALTER TABLE batches ADD COLUMN max_fails INTEGER;"
    "ALTER TABLE batches ADD COLUMN max_fails_percent REAL;"
    "ALTER TABLE batches ADD COLUMN max_successes INTEGER;"
    "ALTER TABLE batches ADD COLUMN halt_now INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE batches ADD COLUMN halted INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE batches ADD COLUMN ended INTEGER;"
    "UPDATE batches SET ended = submitted WHERE phase = 1 AND succeeded + failed + cancelled + skipped >= count;"
    "CREATE INDEX batches_ended ON batches (ended) WHERE ended IS NOT NULL;"
    "CREATE TABLE keys ("
    "  uid INTEGER NOT NULL,"
    "  key TEXT NOT NULL,"
    "  batch INTEGER NOT NULL,"
    "  PRIMARY KEY (uid, key)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX keys_by_batch ON keys (batch);"

    "ALTER TABLE attempts ADD COLUMN note TEXT;"
    "ALTER TABLE attempts ADD COLUMN stdout_dropped INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE attempts ADD COLUMN stderr_dropped INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE attempts ADD COLUMN stdout_at INTEGER;" /* in the pack; NULL: in a file of its own */
    "ALTER TABLE attempts ADD COLUMN stdout_size INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE attempts ADD COLUMN stderr_at INTEGER;"
    "ALTER TABLE attempts ADD COLUMN stderr_size INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE results (task INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"

    "ALTER TABLE workers ADD COLUMN exec BLOB;"
    "ALTER TABLE workers ADD COLUMN class TEXT;"
    "ALTER TABLE workers ADD COLUMN recycle INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE workers ADD COLUMN recycle_memory INTEGER;";

/* Capacity: what attempts take and get, where workers are, what is wanted of all of them. */
G_STATIC_ASSERT(STATE_PARKED == 11);

static const char schema_3[] =
    /* memory: the limit of the next attempt, where it is not that of the context. State 11 is a queued task that fits no
     * worker. */
    "ALTER TABLE tasks ADD COLUMN memory INTEGER;"
    "ALTER TABLE attempts ADD COLUMN memory_max INTEGER;" /* NULL: none, or not known */
    "CREATE INDEX ranges_parked ON ranges (last) WHERE state = 11;"
    "ALTER TABLE workers ADD COLUMN terms TEXT NOT NULL DEFAULT '';" /* of worker_spec_terms() */
    "CREATE TABLE wishes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    /* data: of learned_serialize(). used: when it last changed; the oldest are forgotten. */
    "CREATE TABLE learned ("
    "  uid INTEGER NOT NULL,"
    "  class TEXT NOT NULL,"
    "  used INTEGER NOT NULL,"
    "  data BLOB NOT NULL,"
    "  PRIMARY KEY (uid, class)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX learned_used ON learned (used);";

static const Migration migrations[] = {
    { 1, schema_1 },
    { 2, schema_2 },
    { 3, schema_3 },
};

static int pragma_number(Sql *sql, const char *literal, int64_t *ret)
{
    int r = sql_number(sql, literal, SQL_NO_VALUES, ret);

    return r == 0 ? -EIO : r;
}

static int migration_apply(Sql *sql, const Migration *migration)
{
    g_autofree char *script =
        g_strdup_printf("BEGIN EXCLUSIVE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                        migration->sql, SCHEMA_APPLICATION_ID, migration->version);
    int r = sql_script(sql, script);

    if (r < 0) {
        log_error_errno(r, "Failed to bring the database to version %d: %s", migration->version,
                        sql->message);
        if (!sqlite3_get_autocommit(sql->handle))
            (void) sqlite3_exec(sql->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}

/* Refuses what is newer or not ours before anything is written. */
static int version_check(Sql *sql, int newest, int64_t *ret)
{
    int64_t version = 0, application = 0, objects = 0;
    int r;

    r = pragma_number(sql, "PRAGMA user_version", &version);
    if (r >= 0)
        r = pragma_number(sql, "PRAGMA application_id", &application);
    if (r >= 0)
        r = pragma_number(sql, "SELECT count(*) FROM sqlite_schema", &objects);
    if (r < 0)
        return log_error_errno(r, "Failed to read the database's version: %s",
                               sql->message ? sql->message : "no answer");
    if (application != SCHEMA_APPLICATION_ID && (application != 0 || version != 0 || objects > 0))
        return log_error_errno(-EPROTONOSUPPORT, "The database belongs to another program");
    if (version < 0 || version > newest)
        return log_error_errno(-EPROTONOSUPPORT,
                               "The database is of version %" PRId64 ", this program knows versions up to %d",
                               version, newest);
    *ret = version;
    return 0;
}

int schema_migrate_with(Sql *sql, const Migration *table, size_t n)
{
    int64_t version = 0;
    int r;

    r = version_check(sql, n > 0 ? table[n - 1].version : 0, &version);
    if (r < 0)
        return r;
    /* Before the first write: a WAL database cannot be made one inside a transaction. */
    r = sql_script(sql, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    if (r < 0)
        return log_error_errno(r, "Failed to set the database up: %s", sql->message);
    for (size_t i = 0; i < n; i++) {
        if (table[i].version <= version)
            continue;
        r = migration_apply(sql, &table[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

int schema_migrate(Sql *sql)
{
    return schema_migrate_with(sql, migrations, G_N_ELEMENTS(migrations));
}
