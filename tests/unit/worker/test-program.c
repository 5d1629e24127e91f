/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* program.c: programs that do tasks, good ones and bad ones, in the real worker. Each is a shell script that reads one
 * task a line and finds its number in $id. */
#include "worker-fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "util/strv-blob.h"

#define LOOP(body) "while IFS= read -r line; do id=${line#*:}; id=${id%%,*}; " body "; done"
#define SAY(members) "printf '{\"id\":%s" members "}\\n' $id"
#define SAY_PID "printf '{\"id\":%s,\"exit\":0,\"stdout\":\"%s\"}\\n' $id $$"
/* Good from the second start on, which a file in the working directory tells. */
#define ONCE(bad) "if mkdir $MARK 2>/dev/null; then " bad "; fi"

/* Starts the worker; $MARK is a name for the script's use. */
static void start(Fixture *f, const char *script)
{
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    g_autofree char *mark = g_strdup_printf("MARK=%s/mark", f->fake->directory);
    char *const environment[] = { mark, NULL };

    f->fake->record->exec = strv_blob_new((char *const *) argv);
    f->fake->record->class = g_strdup("scripts");
    f->fake->record->user = getuid();
    g_clear_pointer(&f->fake->record->environment, g_bytes_unref);
    f->fake->record->environment = strv_blob_new(environment);
    f->fake->record->slots = 1;
    fixture_launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
}

static const TaskResult *run_task(Fixture *f, uint64_t id)
{
    return run_one(f, id, ARGV("do", "it"));
}

static void assert_note(const TaskResult *result, const char *expected)
{
    g_assert_cmpstr(result->note, ==, expected);
}

/* The next task is done as if nothing had been. */
static void assert_goes_on(Fixture *f, uint64_t id)
{
    assert_outcome(run_task(f, id), OUTCOME_EXITED, 0, 0, 0);
}

static char *output_of(Fixture *f, uint64_t id)
{
    char *text = fake_daemon_output(f->fake, id, 1, "out");

    g_assert_nonnull(text);
    return text;
}

static void test_answer(Fixture *f, const void *slots)
{
    const TaskResult *result;

    start(f, LOOP("echo aloud >&2; "
                  SAY(",\"exit\":7,\"stdout\":\"a\\\\nb\",\"stderr\":\"wrong\\\\n\",\"result\":{\"x\":[1.0]},\"else\":null")));
    result = run_task(f, 17);
    assert_outcome(result, OUTCOME_EXITED, 7, 0, 0);
    assert_note(result, NULL);
    g_assert_cmpmem(g_bytes_get_data(result->data, NULL), g_bytes_get_size(result->data), "{\"x\":[1.0]}", 11);
    assert_output(f, 17, "out", "a\nb");
    assert_output(f, 17, "err", "aloud\nwrong\n");
    g_assert_cmpmem(g_bytes_get_data(result->stderr_tail, NULL), g_bytes_get_size(result->stderr_tail),
                    "aloud\nwrong\n", 12);
}

static void test_question(Fixture *f, const void *slots)
{
    const char *const environment[] = { "A=\"quoted\"\n", "B=\xff", "nonsense", NULL };
    const FakeContext context = { .id = 5, .cwd = "/tmp", .environment = environment };
    const FakeTask task = { .id = 3, .batch = 2, .attempt = 4, .array_index = 6, .context = 5,
                            .argv = ARGV("\xc3\xa4", "b\\") },
                   bytes = { .id = 4, .batch = 2, .context = 5, .argv = ARGV("\xff") };
    g_autofree char *first = NULL, *second = NULL, *path = g_build_filename(f->fake->directory, "mark", NULL);

    start(f, LOOP("printf '%s\\n' \"$line\" >$MARK; " SAY(",\"exit\":0")));
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    g_assert_true(g_file_get_contents(path, &first, NULL, NULL));
    g_assert_cmpstr(first, ==,
                    "{\"id\":3,\"attempt\":4,\"batch\":2,\"array_index\":5,\"argv\":[\"\xc3\xa4\",\"b\\\\\"],"
                    "\"cwd\":\"/tmp\",\"env\":{\"A\":\"\\\"quoted\\\"\\n\"}}\n");
    fake_daemon_run(f->fake, NULL, 0, &bytes, 1);
    fake_daemon_wait(f->fake, fake_has_results, 2);
    g_assert_true(g_file_get_contents(path, &second, NULL, NULL));
    g_assert_nonnull(strstr(second, "\"argv_base64\":[\"/w==\"]"));
}

static void test_stays(Fixture *f, const void *slots)
{
    g_autofree char *first = NULL, *second = NULL;

    start(f, LOOP(SAY_PID));
    assert_goes_on(f, 1);
    assert_goes_on(f, 2);
    first = output_of(f, 1);
    second = output_of(f, 2);
    g_assert_cmpstr(first, ==, second);
    g_assert_true(process_lives((pid_t) g_ascii_strtoll(first, NULL, 10)));
}

/* A line of any length below the limit, and a task of megabytes. */
static void test_large(Fixture *f, const void *slots)
{
    g_autofree char *argument = g_strnfill(100000, 'x'), *text = NULL;
    const char *argv[] = { argument, argument, argument, argument, argument, argument, argument, argument, NULL };

    start(f, LOOP("printf '{\"id\":%s,\"exit\":0,\"stdout\":\"' $id; head -c 3000000 /dev/zero | tr '\\0' y; echo '\"}'"));
    assert_outcome(run_one(f, 1, argv), OUTCOME_EXITED, 0, 0, 0);
    text = output_of(f, 1);
    g_assert_cmpuint(strlen(text), ==, 3000000);
}

static void fail_with(Fixture *f, const char *bad, const char *note)
{
    g_autofree char *script = g_strdup_printf(LOOP(ONCE("%s") "; " "%s"), bad, SAY(",\"exit\":0"));
    const TaskResult *result;

    start(f, script);
    result = run_task(f, 1);
    assert_outcome(result, OUTCOME_EXITED, 1, 0, 0);
    assert_note(result, note);
    assert_goes_on(f, 2);
    assert_goes_on(f, 3);
}

static void test_nonsense(Fixture *f, const void *slots)
{
    fail_with(f, "echo hello; read x", "its program answered with what is no JSON object");
}

static void test_binary(Fixture *f, const void *slots)
{
    fail_with(f, "printf '\\377\\000\\n'; read x", "its program answered with what is no UTF-8");
}

static void test_deep(Fixture *f, const void *slots)
{
    fail_with(f, "printf '{\"x\":'; head -c 2000000 /dev/zero | tr '\\0' '['; echo; read x",
              "its program answered with JSON that is nested too deeply");
}

static void test_wrong_task(Fixture *f, const void *slots)
{
    fail_with(f, "echo '{\"id\":99,\"exit\":0}'; read x", "its program answered for task 99");
}

static void test_no_status(Fixture *f, const void *slots)
{
    fail_with(f, SAY("") "; read x", "its program answered with an object without \"exit\"");
}

static void test_twice(Fixture *f, const void *slots)
{
    fail_with(f, "printf '{\"id\":%s,\"exit\":0}\\n{\"id\":%s,\"exit\":0}\\n' $id $id; read x",
              "its program said more than one answer");
}

static void test_endless_line(Fixture *f, const void *slots)
{
    fail_with(f, "exec tr '\\0' x </dev/zero", "its program answered with a line over 4.0M");
}

static void test_closed_output(Fixture *f, const void *slots)
{
    fail_with(f, "exec >/dev/null; read x", "its program closed its input or output and did not answer");
}

static void test_ends_silently(Fixture *f, const void *slots)
{
    fail_with(f, "exit 0", "its program ended before it answered");
}

static void test_dies(Fixture *f, const void *slots)
{
    const TaskResult *result;

    start(f, LOOP("case $id in 1) kill -9 $$;; 2) exit 3;; esac; " SAY(",\"exit\":0")));
    result = run_task(f, 1);
    assert_outcome(result, OUTCOME_SIGNALLED, 0, SIGKILL, 0);
    assert_note(result, "its program ended before it answered");
    assert_outcome(run_task(f, 2), OUTCOME_EXITED, 3, 0, 0);
    assert_goes_on(f, 3);
}

/* An answer counts although its program ends at once after it. */
static void test_one_shot(Fixture *f, const void *slots)
{
    start(f, "read line; id=${line#*:}; id=${id%%,*}; " SAY_PID "; exit 5");
    for (uint64_t id = 1; id <= 5; id++)
        assert_goes_on(f, id);
}

/* And a task that it has not read any more goes to the next. */
static void test_unread(Fixture *f, const void *slots)
{
    start(f, "read line; id=${line#*:}; id=${id%%,*}; " SAY_PID "; sleep 0.2; exit 5");
    for (uint64_t id = 1; id <= 3; id++)
        assert_goes_on(f, id);
}

/* Idle talk costs the program its life, but no task. */
static void test_late(Fixture *f, const void *slots)
{
    g_autofree char *first = NULL, *second = NULL;

    start(f, LOOP(SAY_PID "; sleep 0.1; echo late"));
    assert_goes_on(f, 1);
    fake_daemon_pass(f->fake, 400 * MSEC);
    assert_goes_on(f, 2);
    first = output_of(f, 1);
    second = output_of(f, 2);
    g_assert_cmpstr(first, !=, second);
}

/* Said twice, the second time when another task is at hand: that one is done, and the program replaced. */
static void test_repeats(Fixture *f, const void *slots)
{
    g_autofree char *second = NULL, *third = NULL;

    start(f, LOOP("if [ $id = 2 ]; then echo '{\"id\":1,\"exit\":0}'; sleep 0.1; fi; " SAY_PID));
    for (uint64_t id = 1; id <= 3; id++)
        assert_goes_on(f, id);
    second = output_of(f, 2);
    third = output_of(f, 3);
    g_assert_cmpstr(second, !=, third);
}

static void test_stopped(Fixture *f, const void *slots)
{
    const uint64_t id = 1;
    const TaskResult *result;

    start(f, LOOP("if [ $id = 1 ]; then sleep 100; fi; " SAY_PID));
    fake_daemon_run_command(f->fake, id, ARGV("x"));
    fake_daemon_wait(f->fake, fake_has_started, id);
    fake_daemon_stop(f->fake, id, "aborted");
    fake_daemon_wait(f->fake, fake_has_results, 1);
    result = fake_daemon_result(f->fake, id);
    g_assert_cmpint(result->outcome, ==, OUTCOME_ABORTED);
    assert_goes_on(f, 2);
}

static void test_recycled(Fixture *f, const void *slots)
{
    g_autofree char *pids[5] = { 0 };

    f->fake->record->recycle = 2;
    start(f, LOOP(SAY_PID));
    for (uint64_t id = 1; id <= 4; id++) {
        assert_goes_on(f, id);
        pids[id] = output_of(f, id);
    }
    g_assert_cmpstr(pids[1], ==, pids[2]);
    g_assert_cmpstr(pids[2], !=, pids[3]);
    g_assert_cmpstr(pids[3], ==, pids[4]);
    for (size_t i = 1; i < G_N_ELEMENTS(pids); i++)
        g_clear_pointer(&pids[i], g_free);
}

static void test_too_large(Fixture *f, const void *slots)
{
    g_autofree char *first = NULL, *second = NULL;

    f->fake->record->recycle_memory_bytes = 1;
    start(f, LOOP(SAY_PID));
    assert_goes_on(f, 1);
    assert_goes_on(f, 2);
    first = output_of(f, 1);
    second = output_of(f, 2);
    g_assert_cmpstr(first, !=, second);
}

/* One that does not go when its input ends is killed; its result did not wait for that. */
static void test_lingers(Fixture *f, const void *slots)
{
    gint64 begin;

    f->fake->record->recycle = 1;
    start(f, LOOP(SAY_PID) "; sleep 100");
    begin = g_get_monotonic_time();
    assert_goes_on(f, 1);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 3 * G_TIME_SPAN_SECOND);
    assert_goes_on(f, 2);
    g_assert_cmpint(g_get_monotonic_time() - begin, >, 4 * G_TIME_SPAN_SECOND);
}

/* It is told of its GPUs and of its worker, and of no task: it does others, too. */
static void test_told_once(Fixture *f, const void *slots)
{
    const FakeContext context = { .id = 1 };
    const FakeTask task = { .id = 1, .gpus = "0,2", .argv = ARGV("do", "it") };

    start(f, LOOP("printf '{\"id\":%s,\"exit\":0,\"stdout\":\"%s\"}\\n' $id "
                  "\"$PAREXEC_GPUS $CUDA_VISIBLE_DEVICES $PAREXEC_WORKER_ID ${PAREXEC_TASK_ID-none}\""));
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_output(f, 1, "out", "0,2 0,2 w1 none");
}

static void test_missing(Fixture *f, const void *slots)
{
    const char *const argv[] = { "/nonexistent/program", NULL };

    f->fake->record->exec = strv_blob_new((char *const *) argv);
    f->fake->record->user = getuid();
    f->fake->record->slots = 1;
    fixture_launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
    assert_outcome(run_task(f, 1), OUTCOME_SPAWN_FAILED, 0, 0, ENOENT);
    assert_output(f, 1, "err", "parexec: cannot execute '/nonexistent/program': No such file or directory\n");
}

/* It is started again and again, but not for ever without a pause, and the tasks hear of it. */
static void test_dies_at_once(Fixture *f, const void *slots)
{
    gint64 begin;

    start(f, "echo no model >&2; exit 4");
    assert_outcome(run_task(f, 1), OUTCOME_EXITED, 4, 0, 0);
    assert_output(f, 1, "err", "no model\n");
    assert_outcome(run_task(f, 2), OUTCOME_EXITED, 4, 0, 0);
    assert_outcome(run_task(f, 3), OUTCOME_SPAWN_FAILED, 0, 0, ECHILD);
    assert_note(fake_daemon_result(f->fake, 3), "its program has died at once 3 times in a row");
    begin = g_get_monotonic_time();
    assert_outcome(run_task(f, 4), OUTCOME_SPAWN_FAILED, 0, 0, ECHILD);
    g_assert_cmpint(g_get_monotonic_time() - begin, >, 800 * G_TIME_SPAN_MILLISECOND);
}

static void test_killed_while_idle(Fixture *f, const void *slots)
{
    g_autofree char *first = NULL;
    pid_t pid;

    start(f, LOOP(SAY_PID));
    assert_goes_on(f, 1);
    first = output_of(f, 1);
    pid = (pid_t) g_ascii_strtoll(first, NULL, 10);
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    fake_daemon_pass(f->fake, 100 * MSEC);
    g_assert_false(process_lives(pid));
    assert_goes_on(f, 2);
}

static void test_redirected(Fixture *f, const void *slots)
{
    const int fds[] = { 0, -1, -1 };
    const FakeContext context = { .id = 1 };
    const FakeTask task = { .id = 1, .context = 1, .argv = ARGV("x"), .fds = fds };

    start(f, LOOP(SAY_PID));
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_SPAWN_FAILED, 0, 0, EOPNOTSUPP);
}

static void test_end_of_worker(Fixture *f, const void *slots)
{
    g_autofree char *first = NULL;
    pid_t pid;

    start(f, "trap '' TERM; " LOOP(SAY_PID) "; sleep 100");
    assert_goes_on(f, 1);
    first = output_of(f, 1);
    pid = (pid_t) g_ascii_strtoll(first, NULL, 10);
    fake_daemon_send(f->fake, "Exit", "");
    fake_daemon_wait(f->fake, fake_worker_has_ended, 0);
    for (int i = 0; i < 100 && process_lives(pid); i++)
        fake_daemon_pass(f->fake, 10 * MSEC);
    g_assert_false(process_lives(pid));
}

int main(int argc, char **argv)
{
    static const WorkerTest tests[] = {
        { "answer", 1, fixture_set_up_unstarted, test_answer },
        { "question", 1, fixture_set_up_unstarted, test_question },
        { "stays", 1, fixture_set_up_unstarted, test_stays },
        { "large", 1, fixture_set_up_unstarted, test_large },
        { "nonsense", 1, fixture_set_up_unstarted, test_nonsense },
        { "binary", 1, fixture_set_up_unstarted, test_binary },
        { "deep", 1, fixture_set_up_unstarted, test_deep },
        { "wrong-task", 1, fixture_set_up_unstarted, test_wrong_task },
        { "no-status", 1, fixture_set_up_unstarted, test_no_status },
        { "twice", 1, fixture_set_up_unstarted, test_twice },
        { "endless-line", 1, fixture_set_up_unstarted, test_endless_line },
        { "closed-output", 1, fixture_set_up_unstarted, test_closed_output },
        { "ends-silently", 1, fixture_set_up_unstarted, test_ends_silently },
        { "dies", 1, fixture_set_up_unstarted, test_dies },
        { "one-shot", 1, fixture_set_up_unstarted, test_one_shot },
        { "unread", 1, fixture_set_up_unstarted, test_unread },
        { "late", 1, fixture_set_up_unstarted, test_late },
        { "repeats", 1, fixture_set_up_unstarted, test_repeats },
        { "stopped", 1, fixture_set_up_unstarted, test_stopped },
        { "recycled", 1, fixture_set_up_unstarted, test_recycled },
        { "too-large", 1, fixture_set_up_unstarted, test_too_large },
        { "lingers", 1, fixture_set_up_unstarted, test_lingers },
        { "told-once", 1, fixture_set_up_unstarted, test_told_once },
        { "missing", 1, fixture_set_up_unstarted, test_missing },
        { "dies-at-once", 1, fixture_set_up_unstarted, test_dies_at_once },
        { "killed-while-idle", 1, fixture_set_up_unstarted, test_killed_while_idle },
        { "redirected", 1, fixture_set_up_unstarted, test_redirected },
        { "end-of-worker", 1, fixture_set_up_unstarted, test_end_of_worker },
    };

    return fixture_run(argc, argv, "program", tests, G_N_ELEMENTS(tests));
}
