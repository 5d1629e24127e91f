/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a task reads and writes: files that OpenOutput hands back, files that were named, descriptors that were passed. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "calls.h"

/* ---- OpenOutput */

static void test_open_output(Harness *h)
{
    uint64_t task = task_submit_shell(h->bus, "echo out; echo err >&2");
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("NoOutput"), "OpenOutput", "(uint64 1, 'stdout', @a{sv} {})");
    g_autofree char *id = worker_add(h->bus, NULL);

    g_assert_nonnull(strstr(sentence, "not started"));
    task_wait(h, task, "succeeded");
    g_autofree char *output = task_output(h->bus, task, "stdout"),
                    *errors = task_output(h->bus, task, "stderr");
    g_assert_cmpstr(output, ==, "out\n");
    g_assert_cmpstr(errors, ==, "err\n");
    manager_do(h->bus, "OpenOutput", "(uint64 1, 'stdout', {'attempt': <uint32 1>})");
    manager_refuses(h->bus, ERROR("NoOutput"), "OpenOutput", "(uint64 1, 'stdout', {'attempt': <uint32 2>})");
    manager_refuses(h->bus, ERROR("NoOutput"), "OpenOutput",
                    "(uint64 1, 'stdout', {'attempt': <uint32 4294967295>})");
    harness_restart_daemon(h);
    g_autofree char *again = task_output(h->bus, task, "stdout");
    g_assert_cmpstr(again, ==, "out\n");
}

static void test_bad_requests(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);

    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "OpenOutput", "(uint64 99, 'stdout', @a{sv} {})");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "OpenOutput", "(uint64 0, 'stdout', @a{sv} {})");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "OpenOutput",
                    "(uint64 18446744073709551615, 'stdout', @a{sv} {})");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "OpenOutput", "(uint64 1, 'stdin', @a{sv} {})");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "OpenOutput", "(uint64 1, '', @a{sv} {})");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "OpenOutput",
                    "(uint64 1, '../../../etc/passwd', @a{sv} {})");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "OpenOutput", "(uint64 1, 'stdout', {'attempt': <1>})");
    manager_refuses(h->bus, ERROR("UnknownOption"), "OpenOutput", "(uint64 1, 'stdout', {'follow': <true>})");
}

/* The descriptor is for reading only, and follows what is still being written. */
static void test_read_only(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    g_autoptr(sd_bus_message) reply = NULL;
    uint64_t task = task_submit_shell(h->bus, "echo one; sleep 0.3; echo two");
    char buffer[64] = "";
    int fd;

    task_wait(h, task, "running");
    g_assert_cmpint(sd_bus_call_method(h->bus, "org.parexec", "/org/parexec", MANAGER, "OpenOutput", NULL,
                                       &reply, "tsa{sv}", task, "stdout", 0),
                    >=, 0);
    g_assert_cmpint(sd_bus_message_read(reply, "h", &fd), >=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
    g_assert_cmpint(write(fd, "x", 1), <, 0);
    task_wait(h, task, "succeeded");
    g_assert_cmpint(pread(fd, buffer, sizeof buffer - 1, 0), ==, 8);
    g_assert_cmpstr(buffer, ==, "one\ntwo\n");
}

/* Of what has ended, too, each by itself, whatever was written next to it. */
static void test_read_only_later(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t tasks[3];

    for (size_t i = 0; i < G_N_ELEMENTS(tasks); i++)
        tasks[i] = task_submit_shell(h->bus, "echo this is %zu; echo error %zu >&2; exit %zu", i, i, i % 2);
    for (size_t i = 0; i < G_N_ELEMENTS(tasks); i++)
        task_wait(h, tasks[i], i % 2 == 0 ? "succeeded" : "failed");
    for (size_t i = 0; i < G_N_ELEMENTS(tasks); i++) {
        g_autofree char *output = task_output(h->bus, tasks[i], "stdout"),
                        *errors = task_output(h->bus, tasks[i], "stderr"),
                        *wanted = g_strdup_printf("this is %zu\n", i),
                        *wanted_errors = g_strdup_printf("error %zu\n", i);
        g_autoptr(sd_bus_message) reply = NULL;
        int fd;
        g_assert_cmpstr(output, ==, wanted);
        g_assert_cmpstr(errors, ==, wanted_errors);
        g_assert_cmpint(sd_bus_call_method(h->bus, "org.parexec", "/org/parexec", MANAGER, "OpenOutput", NULL,
                                           &reply, "tsa{sv}", tasks[i], "stdout", 0),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_read(reply, "h", &fd), >=, 0);
        g_assert_cmpint(fcntl(fd, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
        g_assert_cmpint(write(fd, "x", 1), <, 0);
    }
}

/* Each attempt has files of its own. */
static void test_attempts(Harness *h)
{
    g_autofree char *first = worker_add(h->bus, NULL);
    uint64_t task =
        task_submit_shell(h->bus, "echo attempt $PAREXEC_ATTEMPT; [ $PAREXEC_ATTEMPT = 2 ] || sleep 60");

    task_wait(h, task, "running");
    manager_do(h->bus, "Abort", "('%s',)", first);
    HARNESS_WAIT(h, worker_is(h->bus, first, ""));
    g_autofree char *second = worker_add(h->bus, NULL);
    task_wait(h, task, "succeeded");
    g_autofree char *latest = task_output(h->bus, task, "stdout");
    g_assert_cmpstr(latest, ==, "attempt 2\n");
    manager_do(h->bus, "OpenOutput", "(uint64 1, 'stdout', {'attempt': <uint32 1>})");
}

/* ---- named files */

static void test_files(Harness *h)
{
    g_autofree char *input = harness_path(h, "input"), *output = harness_path(h, "output"),
                    *id = worker_add(h->bus, NULL);

    g_assert_true(g_file_set_contents(input, "some words\n", -1, NULL));
    uint64_t task = task_submit(
        h->bus, "'argv': <[b'tr', b'a-z', b'A-Z']>, 'stdin': <b'%s'>, 'stdout': <b'%s'>", input, output);
    task_wait(h, task, "succeeded");
    g_autofree char *text = harness_read(h, "output");
    g_assert_cmpstr(text, ==, "SOME WORDS\n");
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("NoOutput"), "OpenOutput", "(uint64 1, 'stdout', @a{sv} {})");
    g_assert_nonnull(strstr(sentence, "a file that was named"));
}

/* ---- descriptors */

static int memory_file(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t) strlen(text));
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    return fd;
}

static void test_descriptors(Harness *h)
{
    _cleanup_close_ int input = memory_file("in\n"), output = memory_file(""), errors = memory_file("");
    g_autofree char *id = worker_add(h->bus, NULL);
    char buffer[64] = "";
    uint64_t task = task_submit(
        h->bus,
        "'argv': <[b'sh', b'-c', b'cat; echo err >&2']>, 'stdin': <handle %d>, 'stdout': <handle %d>,"
        "'stderr': <handle %d>",
        input, output, errors);

    task_wait(h, task, "succeeded");
    g_assert_cmpint(pread(output, buffer, sizeof buffer, 0), ==, 3);
    g_assert_cmpstr(buffer, ==, "in\n");
    g_assert_cmpint(pread(errors, buffer, sizeof buffer, 0), ==, 4);
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("NoOutput"), "OpenOutput", "(uint64 1, 'stdout', @a{sv} {})");
    g_assert_nonnull(strstr(sentence, "the submitter's own file"));
}

/* A pipe ends when the task does: nobody else holds its end. */
static void test_pipe(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    char buffer[64] = "";
    int ends[2];

    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    uint64_t task = task_submit(h->bus, "'argv': <[b'echo', b'hello']>, 'stdout': <handle %d>", ends[1]);
    (void) close(ends[1]);
    task_wait(h, task, "succeeded");
    g_assert_cmpint(read(ends[0], buffer, sizeof buffer), ==, 6);
    g_assert_cmpstr(buffer, ==, "hello\n");
    g_assert_cmpint(fcntl(ends[0], F_SETFL, O_NONBLOCK), ==, 0);
    HARNESS_WAIT(h, read(ends[0], buffer, sizeof buffer) == 0);
    (void) close(ends[0]);
}

/* They wait with their task, and go with it. */
static void test_descriptors_cancelled(Harness *h)
{
    char buffer[8];
    int ends[2];

    g_assert_cmpint(pipe2(ends, O_CLOEXEC | O_NONBLOCK), ==, 0);
    uint64_t task = task_submit(h->bus, "'argv': <[b'echo', b'hello']>, 'stdout': <handle %d>", ends[1]);
    (void) close(ends[1]);
    harness_pause(h, 50);
    g_assert_cmpint(read(ends[0], buffer, sizeof buffer), <, 0); /* open still */
    manager_do(h->bus, "Cancel", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)", task);
    HARNESS_WAIT(h, read(ends[0], buffer, sizeof buffer) == 0);
    (void) close(ends[0]);
}

static void test_bad_descriptors(Harness *h)
{
    _cleanup_close_ int reads = open("/dev/null", O_RDONLY | O_CLOEXEC),
                        writes = open("/dev/null", O_WRONLY | O_CLOEXEC);
    _cleanup_close_ int path = open("/dev/null", O_PATH | O_CLOEXEC);
    const struct {
        const char *stream;
        int fd;
    } cases[] = {
        { "stdin", writes }, { "stdout", reads }, { "stderr", reads }, { "stdin", path }, { "stdout", path }
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        manager_refuses(h->bus, ERROR("InvalidArgument"), "Submit",
                        "([{'argv': <[b'true']>, '%s': <handle %d>}], @a{sv} {})", cases[i].stream,
                        cases[i].fd);
    manager_refuses(
        h->bus, ERROR("InvalidArgument"), "Submit",
        "([{'argv': <[b'true']>, 'array': <(uint64 0, uint64 1)>, 'stdin': <handle %d>}], @a{sv} {})", reads);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 0);
}

/* A task with descriptors is not started again when its worker is lost. */
static void test_not_again(Harness *h)
{
    _cleanup_close_ int output = memory_file("");
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(h->bus, "'argv': <[b'sleep', b'60']>, 'stdout': <handle %d>", output);
    g_autofree char *path = task_path(task);

    task_wait(h, task, "running");
    manager_do(h->bus, "Abort", "('%s',)", id);
    task_wait(h, task, "failed");
    g_autofree char *reason = bus_property_string(h->bus, path, TASK, "Reason");
    g_assert_nonnull(strstr(reason, "file descriptors"));
}

static void add(void)
{
    harness_add("/output/open", NULL, test_open_output);
    harness_add("/output/bad-requests", NULL, test_bad_requests);
    harness_add("/output/read-only", NULL, test_read_only);
    harness_add("/output/read-only-later", NULL, test_read_only_later);
    harness_add("/output/attempts", NULL, test_attempts);
    harness_add("/output/files", NULL, test_files);
    harness_add("/output/descriptors", NULL, test_descriptors);
    harness_add("/output/pipe", NULL, test_pipe);
    harness_add("/output/descriptors-cancelled", NULL, test_descriptors_cancelled);
    harness_add("/output/bad-descriptors", NULL, test_bad_descriptors);
    harness_add("/output/not-again", NULL, test_not_again);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
