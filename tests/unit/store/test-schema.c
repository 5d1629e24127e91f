/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Versions of the database: made anew, brought up to date step by step, refused when newer or foreign or broken. */
#include "store/schema.h"

#include <fcntl.h>
#include <glib/gstdio.h>

#include "tests/unit/store/store-fixture.h"

typedef struct File {
    char *directory, *path;
} File;

static File file_new(void)
{
    File file = { .directory = g_dir_make_tmp("parexec-schema-XXXXXX", NULL) };
    int fd;

    file.path = g_build_filename(file.directory, "parexec.db", NULL);
    fd = open(file.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    close_fd(fd);
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
    g_test_add_func("/schema/newer", test_newer);
    g_test_add_func("/schema/foreign", test_foreign);
    g_test_add_func("/schema/no-database", test_no_database);
    g_test_add_func("/schema/in-use", test_in_use);
    return g_test_run();
}
