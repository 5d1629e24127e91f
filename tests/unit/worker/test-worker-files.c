/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tasks find and leave in files: results, inputs, credentials; and stderr that goes where stdout goes. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "worker-fixture.h"

#define NOBODY 65534

static char *file_in(Fixture *f, const char *name)
{
    return g_build_filename(f->fake->directory, name, NULL);
}

static void open_to_all(Fixture *f)
{
    g_assert_cmpint(chmod(f->fake->directory, 0711), ==, 0);
}

static void assert_data(const TaskResult *result, const char *expected)
{
    if (!expected) {
        g_assert_null(result->data);
        return;
    }
    g_assert_nonnull(result->data);
    g_assert_cmpmem(g_bytes_get_data(result->data, NULL), g_bytes_get_size(result->data), expected,
                    strlen(expected));
}

/* Nothing of a task is in the folder of its slot (the folder may be gone, too). */
static void assert_nothing_left(Fixture *f)
{
    static const char *const names[] = { "slots/w1-0", "slots/.gone", "credentials/w1-0", "credentials/.gone" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = file_in(f, names[i]);
        g_autoptr(GDir) folder = NULL;

        for (int tries = 0; tries < 2000; tries++) {
            g_clear_pointer(&folder, g_dir_close);
            folder = g_dir_open(path, 0, NULL);
            if (!folder || !g_dir_read_name(folder))
                break;
            g_dir_rewind(folder);
            fake_daemon_pass(f->fake, MSEC);
        }
        if (folder)
            g_dir_rewind(folder);
        g_assert_null(folder ? g_dir_read_name(folder) : NULL);
    }
}

static void test_result(Fixture *f, const void *data)
{
    g_autofree char *most = g_strnfill(RESULT_BYTES_MAX, 'x');

    assert_data(run_one(f, 1, SHELL("printf 42 > $PAREXEC_RESULT")), "42");
    assert_data(run_one(f, 2, ARGV("true")), NULL); /* nothing of the one before */
    assert_data(run_one(f, 3, SHELL(": > $PAREXEC_RESULT")), NULL);
    assert_data(run_one(f, 4, SHELL("echo half > $PAREXEC_RESULT; exit 1")), "half\n");
    assert_data(run_one(f, 5, SHELL("head -c 65536 /dev/zero | tr '\\0' x > $PAREXEC_RESULT")), most);
    g_assert_null(fake_daemon_result(f->fake, 5)->note);
    assert_nothing_left(f);
}

static void assert_refused(Fixture *f, uint64_t id, const char *script, const char *note)
{
    const TaskResult *result = run_one(f, id, SHELL(script));

    assert_outcome(result, OUTCOME_EXITED, 0, 0, 0);
    g_assert_null(result->data);
    g_assert_cmpstr(result->note, ==, note);
}

static void test_hostile_result(Fixture *f, const void *data)
{
    assert_refused(f, 1, "truncate -s 1G $PAREXEC_RESULT", "its result has 1.0G, over 64.0K, and was dropped");
    assert_refused(f, 2, "head -c 65537 /dev/zero > $PAREXEC_RESULT",
                   "its result has 64.0K, over 64.0K, and was dropped");
    assert_refused(f, 3, "ln -s /etc/shadow $PAREXEC_RESULT", "its result is a symbolic link and was dropped");
    assert_refused(f, 4, "mkfifo $PAREXEC_RESULT", "its result is not a regular file and was dropped");
    assert_refused(f, 5, "mkdir $PAREXEC_RESULT; echo > $PAREXEC_RESULT/x",
                   "its result is not a regular file and was dropped");
    assert_data(run_one(f, 6, SHELL("echo good > $PAREXEC_RESULT")), "good\n");
    assert_nothing_left(f);
}

/* What is not the user's is not read for it. */
static void test_foreign_result(Fixture *f, const void *data)
{
    g_autofree char *secret = file_in(f, "secret");
    g_autofree char *script = g_strdup_printf("mv %s $PAREXEC_RESULT", secret);
    const TaskResult *result;

    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    g_assert_true(g_file_set_contents(secret, "secret\n", -1, NULL));
    g_assert_cmpint(chown(secret, NOBODY, NOBODY), ==, 0);
    result = run_one(f, 1, SHELL(script));
    g_assert_null(result->data);
    g_assert_cmpstr(result->note, ==, "its result belongs to another user and was dropped");
}

/* More files, and deeper, than are removed at once; modes that forbid it; other names than the result. */
static void test_rubbish(Fixture *f, const void *data)
{
    static const char *const scripts[] = {
        "touch a b c .hidden; mkdir d; touch d/x",
        "for i in $(seq 1000); do : > f$i; done",
        "mkdir -p a/b/c; touch a/b/c/x a/x; chmod 000 a/b/c; chmod 000 a/b; chmod 500 a",
        "for i in $(seq 300); do mkdir d; cd d; : > f; done",
        "ln -s / root; ln -s ../../output out; mkfifo p; mkdir -p result/x/y",
        "chmod 000 .",
        "cd ..; rmdir w1-0",
    };
    g_autofree char *kept = file_in(f, "output");

    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_autofree char *script = g_strdup_printf("cd ${PAREXEC_RESULT%%/*}; %s", scripts[i]);
        const uint64_t id = 2 * i + 1;

        run_one(f, id, SHELL(script));
        assert_nothing_left(f);
        assert_data(run_one(f, id + 1, SHELL("ls -A ${PAREXEC_RESULT%/*} > $PAREXEC_RESULT")), "result\n");
    }
    g_assert_true(g_file_test(kept, G_FILE_TEST_IS_DIR));
}

/* A task of root's may mount something in its folder, which is not to be emptied with it. */
static void test_mount(Fixture *f, const void *data)
{
    g_autofree char *precious = file_in(f, "precious"), *file = g_build_filename(precious, "file", NULL);
    g_autofree char *script = g_strdup_printf("cd ${PAREXEC_RESULT%%/*}; mkdir -p d e/d; mount --bind %s d; "
                                              "mount --bind %s e/d; touch x result; mount --bind x result || exit 9",
                                              precious, precious);

    if (!fixture_in_scope()) {
        g_test_skip("needs PAREXEC_TEST_SCOPE=1, root and systemd");
        return;
    }
    g_assert_cmpint(mkdir(precious, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, "x", -1, NULL));
    assert_refused(f, 1, script, "its result cannot be read: Invalid cross-device link");
    assert_data(run_one(f, 2, SHELL("cd ${PAREXEC_RESULT%/*}; ls -A > result")), "result\n");
    fake_daemon_pass(f->fake, 100 * MSEC);
    g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
    g_free(g_steal_pointer(&script));
    script = g_strdup_printf("for i in 1 2 3; do umount $(findmnt -rno TARGET | grep %s/slots/) || true; done",
                             f->fake->directory);
    run_one(f, 3, SHELL(script));
}

/* A folder passes from one user to the next. */
static void test_users(Fixture *f, const void *data)
{
    const FakeContext other = { .id = 2, .uid = NOBODY, .gid = NOBODY };
    const TaskResult *result;

    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    open_to_all(f);
    for (uint64_t id = 1; id < 7; id += 2) {
        assert_data(run_one(f, id, SHELL("cd ${PAREXEC_RESULT%/*}; stat -c '%a %u' . > result")), "700 0\n");
        run_in(f, &other, id + 1, SHELL("cd ${PAREXEC_RESULT%/*}; stat -c '%a %u' . > result; mkdir -p a/b; ls /proc/self/fd"));
        result = fake_daemon_result(f->fake, id + 1);
        assert_outcome(result, OUTCOME_EXITED, 0, 0, 0);
        assert_data(result, "700 65534\n");
    }
    run_in(f, &other, 7, SHELL("chmod 000 ${PAREXEC_RESULT%/*}"));
    run_in(f, &other, 8, SHELL("echo after > $PAREXEC_RESULT"));
    assert_data(fake_daemon_result(f->fake, 8), "after\n");
    assert_nothing_left(f);
}

static void make_folder(Fixture *f, const char *name)
{
    g_autofree char *path = file_in(f, name), *file = g_build_filename(path, "secret", NULL);

    g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, "x", -1, NULL));
}

static bool exists(Fixture *f, const char *name)
{
    g_autofree char *path = file_in(f, name);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* What workers that were killed have left; and what one has that lives, by its lock. */
static void test_dead_workers(Fixture *f, const void *data)
{
    static const char *const sites[] = { "slots", "credentials" };
    int fds[2];

    for (int i = 0; i < 2; i++) {
        g_autofree char *dead = g_strconcat(sites[i], "/w7-0", NULL), *other = g_strconcat(sites[i], "/w8-1.2", NULL);
        g_autofree char *living = g_strconcat(sites[i], "/w9-0", NULL), *strange = g_strconcat(sites[i], "/mine", NULL);
        g_autofree char *held = g_strconcat(f->fake->directory, "/", sites[i], "/.w9", NULL);
        g_autofree char *free = g_strconcat(f->fake->directory, "/", sites[i], "/.w8", NULL);

        make_folder(f, dead);
        make_folder(f, other);
        make_folder(f, living);
        make_folder(f, strange);
        fds[i] = open(held, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        g_assert_cmpint(flock(fds[i], LOCK_EX), ==, 0);
        g_assert_true(g_file_set_contents(free, "", -1, NULL));
    }
    fixture_launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
    run_one(f, 1, ARGV("true"));
    assert_nothing_left(f); /* of the dead ones, too, by and by */
    for (int i = 0; i < 2; i++) {
        static const struct { const char *name; bool there; } cases[] = {
            { "w7-0", false }, { "w8-1.2", false }, { ".w8", false }, { "w9-0/secret", true },
            { ".w9", true },   { "mine", true },    { ".w1", true },
        };

        for (size_t j = 0; j < G_N_ELEMENTS(cases); j++) {
            g_autofree char *name = g_strconcat(sites[i], "/", cases[j].name, NULL);

            g_assert_cmpint(exists(f, name), ==, cases[j].there);
        }
        close_fd(fds[i]);
    }
    g_assert_cmpint(kill(f->fake->worker, SIGTERM), ==, 0);
    fake_daemon_wait(f->fake, fake_worker_has_ended, 0);
    g_assert_false(exists(f, "slots/w1-0"));
    g_assert_false(exists(f, "slots/.w1"));
}

/* ------------------------------------------------------------------ inputs */

static void test_inputs(Fixture *f, const void *data)
{
    const FakeInput inputs[] = { { "one", "1\n" }, { ".odd name", "" }, { NULL } };
    const FakeInput twice[] = { { "same", "1" }, { "same", "2" }, { NULL } };
    bool root = geteuid() == 0;
    const FakeContext context = { .id = 1, .uid = root ? NOBODY : 0, .gid = root ? NOBODY : 0 };
    const FakeTask tasks[] = {
        { .id = 1, .argv = SHELL("cd $PAREXEC_INPUTS && ls -A && cat one && stat -c %a one . && stat -c %u one"),
          .inputs = inputs },
        { .id = 2, .argv = SHELL("echo ${PAREXEC_INPUTS-none}") },
        { .id = 3, .argv = SHELL("cat $PAREXEC_INPUTS/*"), .inputs = twice },
    };
    g_autofree char *expected = g_strdup_printf(".odd name\none\n1\n400\n700\n%u\n", root ? NOBODY : getuid());

    open_to_all(f);
    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    fake_daemon_wait(f->fake, fake_has_results, G_N_ELEMENTS(tasks));
    assert_output(f, 1, "out", expected);
    assert_output(f, 2, "out", "none\n");
    assert_output(f, 3, "out", "1");
    assert_nothing_left(f);
}

/* Where no folder can be made, tasks run that can do without. */
static void test_no_folder(Fixture *f, const void *data)
{
    g_autofree char *slots = file_in(f, "slots");
    const FakeInput inputs[] = { { "one", "1\n" }, { NULL } };
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL("echo ${PAREXEC_RESULT-none}") },
                               { .id = 2, .argv = ARGV("true"), .inputs = inputs } };

    g_assert_true(g_file_set_contents(slots, "in the way", -1, NULL));
    fixture_launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    fake_daemon_wait(f->fake, fake_has_results, G_N_ELEMENTS(tasks));
    assert_output(f, 1, "out", "none\n");
    assert_outcome(fake_daemon_result(f->fake, 2), OUTCOME_SPAWN_FAILED, 0, 0, ENOTDIR);
    assert_output(f, 2, "err", "parexec: cannot make a folder for its inputs: Not a directory\n");
}

static void test_many_inputs(Fixture *f, const void *data)
{
    g_autofree FakeInput *inputs = g_new0(FakeInput, 3001);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const FakeContext context = { .id = 1 };
    const FakeTask task = { .id = 1, .argv = SHELL("cat $PAREXEC_INPUTS/* | wc -c"), .inputs = inputs };

    for (int i = 0; i < 3000; i++) {
        g_ptr_array_add(names, g_strdup_printf("input-%d", i));
        inputs[i] = (FakeInput) { names->pdata[i], "0123456789" };
    }
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_output(f, 1, "out", "30000\n");
    assert_nothing_left(f);
}

/* ------------------------------------------------------------------ credentials */

static char *make_file(Fixture *f, const char *name, const char *text, uint32_t uid)
{
    char *path = file_in(f, name);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(chmod(path, 0400), ==, 0);
    if (geteuid() == 0)
        g_assert_cmpint(chown(path, uid, uid), ==, 0);
    return path;
}

static void run_with_credentials(Fixture *f, uint64_t id, const char *const *credentials, const char *script)
{
    uint32_t uid = geteuid() == 0 ? NOBODY : 0;
    const FakeContext context = { .id = 100 + id, .uid = uid, .gid = uid, .credentials = credentials };

    run_in(f, &context, id, SHELL(script));
}

static void test_credentials(Fixture *f, const void *data)
{
    g_autofree char *token = make_file(f, "token", "hush\n", NOBODY), *large = NULL;
    g_autofree char *first = g_strconcat("token=", token, NULL), *second = g_strconcat("again=", token, NULL);
    g_autofree char *text = g_strnfill(1 << 20, 's');

    open_to_all(f);
    run_with_credentials(f, 1, ARGV(first, second),
                         "cd $CREDENTIALS_DIRECTORY && ls && cat token again && ! echo x > new");
    assert_output(f, 1, "out", "again\ntoken\nhush\nhush\n");
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_EXITED, geteuid() == 0 ? 0 : 1, 0, 0);
    assert_nothing_left(f);
    large = make_file(f, "large", text, NOBODY); /* as large as may be */
    g_free(g_steal_pointer(&first));
    first = g_strconcat("large=", large, NULL);
    run_with_credentials(f, 2, ARGV(first), "wc -c < $CREDENTIALS_DIRECTORY/large");
    assert_output(f, 2, "out", "1048576\n");
    run_with_credentials(f, 3, NULL, "echo ${CREDENTIALS_DIRECTORY-none}");
    assert_output(f, 3, "out", "none\n");
    assert_nothing_left(f);
}

static void assert_no_credential(Fixture *f, uint64_t id, const char *path, const char *why)
{
    g_autofree char *credential = g_strconcat("x=", path, NULL);
    g_autofree char *line = g_strdup_printf("parexec: cannot read credential 'x' from %s: %s\n", path, why);

    run_with_credentials(f, id, ARGV(credential), "echo never");
    g_assert_cmpstr(outcome_to_string(fake_daemon_result(f->fake, id)->outcome), ==, "spawn-failed");
    assert_output(f, id, "out", NULL);
    assert_output(f, id, "err", line);
}

static void test_bad_credentials(Fixture *f, const void *data)
{
    g_autofree char *text = g_strnfill((1 << 20) + 1, 's'), *fifo = file_in(f, "fifo");
    g_autofree char *large = make_file(f, "large", text, NOBODY);
    g_autofree char *secret = make_file(f, "secret", "root's\n", 0);

    open_to_all(f);
    g_assert_cmpint(mkfifo(fifo, 0666), ==, 0);
    assert_no_credential(f, 1, "/no/such", "No such file or directory");
    assert_no_credential(f, 2, large, "it is over 1M");
    g_assert_cmpint(chmod(fifo, 0666), ==, 0);
    assert_no_credential(f, 3, fifo, "not a regular file");
    assert_no_credential(f, 4, "/etc", "not a regular file");
    if (geteuid() == 0)
        assert_no_credential(f, 5, secret, "Permission denied");
    assert_outcome(run_one(f, 6, ARGV("true")), OUTCOME_EXITED, 0, 0, 0);
    assert_nothing_left(f);
}

/* ------------------------------------------------------------------ merged output */

static void test_merge(Fixture *f, const void *data)
{
    g_autofree char *path = file_in(f, "both"), *text = NULL;
    const FakeContext merged = { .id = 2, .policy = "merge=1" };
    const FakeContext named = { .id = 3, .policy = "merge=1", .streams = { NULL, path, "/dev/full" } };
    const TaskResult *result;

    run_in(f, &merged, 1, SHELL("echo 1; echo 2 >&2; echo 3; echo 4 >&2; exit 1"));
    assert_output(f, 1, "out", "1\n2\n3\n4\n");
    assert_output(f, 1, "err", NULL);
    result = fake_daemon_result(f->fake, 1);
    g_assert_cmpmem(g_bytes_get_data(result->stderr_tail, NULL), g_bytes_get_size(result->stderr_tail),
                    "1\n2\n3\n4\n", 8);
    run_in(f, &named, 2, SHELL("echo 1; echo 2 >&2"));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "1\n2\n");
    run_in(f, &merged, 3, ARGV("/no/such"));
    assert_output(f, 3, "out", "parexec: cannot execute '/no/such': No such file or directory\n");
}

static const WorkerTest tests[] = {
    { "result", 1, fixture_set_up, test_result },
    { "hostile-result", 1, fixture_set_up, test_hostile_result },
    { "foreign-result", 1, fixture_set_up, test_foreign_result },
    { "rubbish", 1, fixture_set_up, test_rubbish },
    { "mount", 1, fixture_set_up, test_mount },
    { "users", 1, fixture_set_up, test_users },
    { "dead-workers", 1, fixture_set_up_unstarted, test_dead_workers },
    { "inputs", 1, fixture_set_up, test_inputs },
    { "no-folder", 1, fixture_set_up_unstarted, test_no_folder },
    { "many-inputs", 1, fixture_set_up, test_many_inputs },
    { "credentials", 1, fixture_set_up, test_credentials },
    { "bad-credentials", 1, fixture_set_up, test_bad_credentials },
    { "merge", 1, fixture_set_up, test_merge },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "worker-files", tests, G_N_ELEMENTS(tests));
}
