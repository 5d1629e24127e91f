/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Versions of the database: made anew, brought up to date step by step, refused when newer or foreign or broken. */
#include "store/schema.h"

#include <fcntl.h>
#include <glib/gstdio.h>

#include "tests/unit/store/store-fixture.h"
#include "tests/unit/store/version-1.h"

typedef struct File {
    char *directory, *path;
} File;

static void file_create(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    close_fd(fd);
}

static File file_new(void)
{
    File file = { .directory = g_dir_make_tmp("parexec-schema-XXXXXX", NULL) };

    file.path = g_build_filename(file.directory, "parexec.db", NULL);
    file_create(file.path);
    return file;
}

static void file_free(File *file)
{
    static const char *const names[] = { "parexec.db", "parexec.db-wal", "parexec.db-shm",
                                         "parexec.db-journal" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(file->directory, names[i], NULL);
        (void) g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(file->directory), ==, 0);
    g_free(file->directory);
    g_free(file->path);
}

static int64_t file_query(const File *file, const char *literal)
{
    Sql sql = { 0 };
    int64_t number = -1;

    g_assert_cmpint(sql_open(&sql, file->path), ==, 0);
    g_assert_cmpint(sql_number(&sql, literal, SQL_NO_VALUES, &number), >=, 0);
    sql_done(&sql);
    return number;
}

static void file_execute(const File *file, const char *text)
{
    Sql sql = { 0 };

    g_assert_cmpint(sql_open(&sql, file->path), ==, 0);
    g_assert_cmpint(sql_script(&sql, text), ==, 0);
    sql_done(&sql);
}

static int file_migrate(const File *file, const Migration *migrations, size_t n)
{
    Sql sql = { 0 };
    int r;

    g_assert_cmpint(sql_open(&sql, file->path), ==, 0);
    r = schema_migrate_with(&sql, migrations, n);
    sql_done(&sql);
    return r;
}

static int file_open_store(const File *file)
{
    StoreEvents events = { 0 };
    g_autoptr(StoreSnapshot) snapshot = NULL;
    g_autoptr(Store) store = NULL;

    return store_open(file->directory, &events, &store, &snapshot);
}

static char *file_digest(const File *file)
{
    g_autofree char *contents = NULL;
    gsize size;

    g_assert_true(g_file_get_contents(file->path, &contents, &size, NULL));
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *) contents, size);
}

/* ------------------------------------------------------------------ */

static const Migration steps[] = {
    { 1, "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)" },
    { 2, "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7; UPDATE a SET x = x + 1" },
    { 3, "UPDATE a SET x = x * 10" },
};

/* From each version that there ever was to the last. */
static void test_steps(void)
{
    for (size_t from = 0; from <= G_N_ELEMENTS(steps); from++) {
        File file = file_new();
        g_assert_cmpint(file_migrate(&file, steps, from), ==, 0);
        g_assert_cmpint(file_query(&file, "PRAGMA user_version"), ==, (int64_t) from);
        g_assert_cmpint(file_migrate(&file, steps, G_N_ELEMENTS(steps)), ==, 0);
        g_assert_cmpint(file_query(&file, "PRAGMA user_version"), ==, 3);
        g_assert_cmpint(file_query(&file, "SELECT x FROM a"), ==, 20);
        g_assert_cmpint(file_query(&file, "SELECT y FROM a"), ==, 7);
        file_free(&file);
    }
}

/* The step that fails leaves no trace, those before it stay. */
static void test_failing_step(void)
{
    static const Migration broken[] = {
        { 1, "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)" },
        { 2, "UPDATE a SET x = 5; INSERT INTO nowhere VALUES (1)" },
    };
    File file = file_new();

    g_assert_cmpint(file_migrate(&file, broken, 2), ==, -EINVAL);
    g_assert_cmpint(file_query(&file, "PRAGMA user_version"), ==, 1);
    g_assert_cmpint(file_query(&file, "SELECT x FROM a"), ==, 1);
    g_assert_cmpint(file_migrate(&file, steps, 3), ==, 0);
    g_assert_cmpint(file_query(&file, "SELECT x FROM a"), ==, 20);
    file_free(&file);
}

static const Migration first_version[] = { { 1, version_1 } };

/* Batch 1: task 1 failed after 3 attempts of which one was lost; 2 is queued; 3-7 are an array whose element 4 a worker has.
 * Batch 2: 8 has ended. */
static const char rows_of_version_1[] =
    "INSERT INTO contexts VALUES (1, 'digest', 1000, 1000, x'', x'2f00', x'', NULL, NULL, NULL, NULL);"
    "INSERT INTO batches VALUES (1, 1000, 1, 7, 0, 1, 0, 0, 50), (2, 1000, 1, 1, 1, 0, 0, 0, 60);"
    "INSERT INTO segments VALUES (1, 1, 7), (2, 8, 8);"
    "INSERT INTO specs VALUES (1, 1, 0, NULL, 'one', NULL, x'6100'), (2, 1, 0, NULL, 'two', NULL, x'6200'),"
    " (3, 1, 0, 0, 'array', NULL, x'6300'), (8, 1, 0, NULL, 'eight', NULL, x'6400');"
    "INSERT INTO tasks VALUES (1, NULL, 1, 1000, 6, 0, 3, 1, 3, 70, NULL), (2, NULL, 1, 1000, 2, 5, 0, 0, 0, 70, NULL),"
    " (4, 3, 1, 1000, 3, 0, 0, 0, 1, 70, NULL), (8, NULL, 2, 1000, 5, 0, 1, 0, 1, 70, NULL);"
    "INSERT INTO ranges VALUES (3, 3, 3, 1, 1000, 2, 0, 70), (7, 5, 3, 1, 1000, 2, 0, 70);"
    "INSERT INTO assignments VALUES (4, 1, 1, 1, 90, 0);"
    "INSERT INTO attempts VALUES (1, 1, 1, 1, 3, 0, 0, 10, 20, 5, NULL, NULL), (1, 2, 1, 6, 0, 0, 0, 10, 20, 5, NULL, NULL),"
    " (1, 3, 1, 1, 3, 0, 0, 10, 20, 5, 99, x'6f6f7073'), (8, 1, 1, 1, 0, 0, 0, 10, 20, 5, NULL, NULL);"
    "UPDATE counters SET value = 5 WHERE id = 2; UPDATE counters SET value = 1 WHERE id IN (3, 5, 6);"
    "UPDATE counters SET value = 9 WHERE id = 100; UPDATE counters SET value = 3 WHERE id = 101;";

/* What the first version stored is there and goes on. */
static void test_from_1(void)
{
    Fixture *f = fixture_new();
    File file = { .directory = f->directory, .path = g_build_filename(f->directory, "parexec.db", NULL) };

    fixture_close(f);
    g_assert_cmpint(g_unlink(file.path), ==, 0);
    file_create(file.path);
    g_assert_cmpint(file_migrate(&file, first_version, 1), ==, 0);
    file_execute(&file, rows_of_version_1);
    fixture_open(f);
    assert_states(f, 1, 8, "FqqrqqqS");
    assert_text(window_of(f, UID_ANYBODY, 10), "2 3 5 6 7");
    g_assert_cmpuint(f->snapshot->held->len, ==, 1);
    g_autoptr(TaskRow) one = get_row(f, 1);
    g_assert_cmpuint(one->spec->spent, ==, 2);
    g_assert_cmpuint(one->spec->lost, ==, 1);
    g_assert_cmpuint(one->attempts->len, ==, 3);
    g_assert_cmpint(one->spec->context->policy.stop_signal, ==, 15); /* as where nothing is said */
    g_autoptr(TaskRow) seven = get_row(f, 7);
    g_assert_cmpuint(seven->spec->array_index, ==, 4);
    fixture_verify(f);
    submit_after(f, "afterok:batch:1?afterok:8"); /* 9 */
    submit_after(f, "afterany:1,after:4");        /* 10 */
    assert_states(f, 9, 10, "qq");
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    run_again(f, 7, TASK_SUCCEEDED);
    g_assert_cmpuint(prune(f, 61), ==, 1); /* batch 2, by when it was submitted */
    assert_states(f, 1, 8, "qqqrqqS-");
    fixture_verify(f);
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "PRAGMA user_version"), ==, 3);
    g_free(file.path);
    fixture_free(f);
}

static void test_newer(void)
{
    File file = file_new();
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    g_assert_cmpint(file_open_store(&file), ==, 0);
    file_execute(&file, "PRAGMA user_version = 1000");
    before = file_digest(&file);
    g_assert_cmpint(file_open_store(&file), ==, -EPROTONOSUPPORT);
    after = file_digest(&file);
    g_assert_cmpstr(before, ==, after);
    file_execute(&file, "PRAGMA user_version = -1");
    g_assert_cmpint(file_open_store(&file), ==, -EPROTONOSUPPORT);
    file_free(&file);
}

static void test_foreign(void)
{
    File file = file_new();
    File other = file_new();

    file_execute(&file, "CREATE TABLE theirs (x); PRAGMA user_version = 1");
    g_assert_cmpint(file_open_store(&file), ==, -EPROTONOSUPPORT);
    file_execute(&file, "PRAGMA user_version = 0");
    g_assert_cmpint(file_open_store(&file), ==, -EPROTONOSUPPORT);
    g_assert_cmpint(file_query(&file, "SELECT count(*) FROM sqlite_schema"), ==, 1);
    file_execute(&other, "PRAGMA application_id = 4711");
    g_assert_cmpint(file_open_store(&other), ==, -EPROTONOSUPPORT);
    file_free(&file);
    file_free(&other);
}

static void test_no_database(void)
{
    File file = file_new();
    StoreEvents events = { 0 };
    g_autoptr(StoreSnapshot) snapshot = NULL;
    g_autoptr(Store) store = NULL;
    g_autofree char *contents = NULL;

    g_assert_true(g_file_set_contents(
        file.path, "this is not a database, but long enough to be taken for one", -1, NULL));
    g_assert_cmpint(file_open_store(&file), ==, -EIO);
    g_assert_true(g_file_get_contents(file.path, &contents, NULL, NULL));
    g_assert_true(g_str_has_prefix(contents, "this is not"));
    g_assert_cmpint(store_open("/nonexistent/directory", &events, &store, &snapshot), ==, -ENOENT);
    g_assert_null(store);
    g_assert_null(snapshot);
    file_free(&file);
}

static void test_in_use(void)
{
    Fixture *f = fixture_new();
    StoreEvents events = { 0 };
    g_autoptr(StoreSnapshot) snapshot = NULL;
    g_autoptr(Store) store = NULL;

    submit_tasks(f, 1, 0);
    g_assert_cmpint(store_open(f->directory, &events, &store, &snapshot), ==, -EBUSY);
    submit_tasks(f, 1, 0);
    fixture_verify(f);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schema/steps", test_steps);
    g_test_add_func("/schema/failing-step", test_failing_step);
    g_test_add_func("/schema/from-1", test_from_1);
    g_test_add_func("/schema/newer", test_newer);
    g_test_add_func("/schema/foreign", test_foreign);
    g_test_add_func("/schema/no-database", test_no_database);
    g_test_add_func("/schema/in-use", test_in_use);
    return g_test_run();
}
