/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's end of the worker protocol, for tests. Any failure of its own ends the test program. */
#include "fake-daemon.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-id128.h>

#include "dbus/parexec-dbus.h"
#include "util/strv-blob.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)

#define must(expression)                                                                                     \
    ({                                                                                                       \
        int must_r = (expression);                                                                           \
        if (must_r < 0)                                                                                      \
            g_error("%s: %s", #expression, g_strerror(-must_r));                                             \
        must_r;                                                                                              \
    })

/* ------------------------------------------------------------------ what the worker says */

static void read_rows(sd_bus_message *m, GArray *rows)
{
    FakeRow row;

    must(sd_bus_message_enter_container(m, 'a', PAREXEC_LINK_HELD));
    while (must(sd_bus_message_read(m, PAREXEC_LINK_HELD, &row.task, &row.fence, &row.start_usec)) > 0)
        g_array_append_val(rows, row);
    must(sd_bus_message_exit_container(m));
}

static void read_pair(sd_bus_message *m, uint64_t *a, uint64_t *b)
{
    must(sd_bus_message_read(m, "v", "(tt)", a, b));
}

static void read_data(sd_bus_message *m, TaskResult *result)
{
    const void *data;
    size_t size;

    must(sd_bus_message_enter_container(m, 'v', "ay"));
    must(sd_bus_message_read_array(m, 'y', &data, &size));
    must(sd_bus_message_exit_container(m));
    result->data = g_bytes_new(data, size);
}

static void read_further(sd_bus_message *m, TaskResult *result)
{
    const char *key, *note;

    must(sd_bus_message_enter_container(m, 'a', "{sv}"));
    while (must(sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        must(sd_bus_message_read(m, "s", &key));
        if (strcmp(key, "data") == 0) {
            read_data(m, result);
        } else if (strcmp(key, "note") == 0) {
            must(sd_bus_message_read(m, "v", "s", &note));
            result->note = g_strdup(note);
        } else if (strcmp(key, "oom") == 0) {
            must(sd_bus_message_read(m, "v", "s", &note));
            result->oom_cause = (OomCause) must(oom_cause_from_string(note));
        } else if (strcmp(key, "dropped") == 0) {
            read_pair(m, &result->dropped_bytes[STREAM_STDOUT], &result->dropped_bytes[STREAM_STDERR]);
        } else {
            OutputPlace *place = &result->places[must(std_stream_from_string(key))];

            place->packed = true;
            read_pair(m, &place->offset, &place->size);
        }
        must(sd_bus_message_exit_container(m));
    }
    must(sd_bus_message_exit_container(m));
}

static void read_results(sd_bus_message *m, GArray *results)
{
    const char *word;
    const void *tail;
    size_t size;

    must(sd_bus_message_enter_container(m, 'a', PAREXEC_LINK_RESULT));
    while (must(sd_bus_message_enter_container(m, 'r', "ttsiiittttaya{sv}")) > 0) {
        TaskResult result = { 0 };

        must(sd_bus_message_read(m, "ttsiiitttt", &result.task, &result.fence, &word, &result.exit_status,
                                 &result.signal, &result.error, &result.start_usec, &result.end_usec,
                                 &result.cpu_nsec, &result.memory_peak_bytes));
        must(sd_bus_message_read_array(m, 'y', &tail, &size));
        result.outcome = (Outcome) must(outcome_from_string(word));
        result.stderr_tail = size > 0 ? g_bytes_new(tail, size) : NULL;
        read_further(m, &result);
        g_array_append_val(results, result);
        must(sd_bus_message_exit_container(m));
    }
    must(sd_bus_message_exit_container(m));
}

static int answer(sd_bus_message *m)
{
    if (sd_bus_message_is_method_call(m, NULL, "Register"))
        return sd_bus_reply_method_return(m, "a{sv}", 2, "draining", "b", 0, "heartbeat-usec", "t",
                                          UINT64_C(50000));
    return sd_bus_reply_method_return(m, NULL);
}

static int answer_or_keep(FakeDaemon *fake, sd_bus_message *m)
{
    if (!fake->silent)
        return answer(m);
    g_ptr_array_add(fake->pending, sd_bus_message_ref(m));
    return 1;
}

static int on_register(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FakeDaemon *fake = userdata;
    const char *id;
    const void *token;
    size_t size;

    must(sd_bus_message_read(m, "s", &id));
    must(sd_bus_message_read_array(m, 'y', &token, &size));
    g_assert_cmpstr(id, ==, fake->record->id);
    g_assert_cmpuint(size, ==, LAUNCH_TOKEN_BYTES);
    memcpy(fake->token, token, size);
    g_array_set_size(fake->held, 0);
    read_rows(m, fake->held);
    read_results(m, fake->results);
    fake->registrations++;
    if (fake->refusal)
        return sd_bus_reply_method_errorf(m, fake->refusal, "refused by the test");
    return answer_or_keep(fake, m);
}

static int on_started(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FakeDaemon *fake = userdata;

    read_rows(m, fake->started);
    return 1;
}

static int on_finished(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FakeDaemon *fake = userdata;

    fake->groups++;
    read_results(m, fake->results);
    return answer_or_keep(fake, m);
}

static int on_heartbeat(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FakeDaemon *fake = userdata;

    fake->heartbeats++;
    return 1;
}

static const sd_bus_vtable link_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Register", "saya" PAREXEC_LINK_HELD "a" PAREXEC_LINK_RESULT, "a{sv}", on_register,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Started", "a" PAREXEC_LINK_HELD, NULL, on_started,
                  SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_METHOD("Finished", "a" PAREXEC_LINK_RESULT, NULL, on_finished, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Heartbeat", "a{sv}", NULL, on_heartbeat,
                  SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_VTABLE_END,
};

/* ------------------------------------------------------------------ the connection */

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FakeDaemon *fake = userdata;

    if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected"))
        fake->losses++;
    return 0;
}

static void drop_connection(FakeDaemon *fake)
{
    g_ptr_array_set_size(fake->pending, 0);
    fake->bus = sd_bus_close_unref(fake->bus);
}

static int on_connect(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
    FakeDaemon *fake = userdata;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    sd_id128_t id;

    if (fd < 0)
        return 0;
    drop_connection(fake);
    must(sd_id128_randomize(&id));
    must(sd_bus_new(&fake->bus));
    must(sd_bus_set_fd(fake->bus, fd, fd));
    must(sd_bus_set_server(fake->bus, 1, id));
    must(sd_bus_negotiate_fds(fake->bus, 1));
    must(sd_bus_start(fake->bus));
    must(sd_bus_add_filter(fake->bus, NULL, on_message, fake));
    must(sd_bus_add_object_vtable(fake->bus, NULL, PAREXEC_LINK_PATH, PAREXEC_LINK_INTERFACE, link_vtable,
                                  fake));
    must(sd_bus_attach_event(fake->bus, fake->event, SD_EVENT_PRIORITY_NORMAL));
    return 0;
}

void fake_daemon_listen(FakeDaemon *fake)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void) g_strlcpy(address.sun_path, fake->record->socket, sizeof address.sun_path);
    (void) unlink(fake->record->socket);
    fake->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(fake->listen_fd, (struct sockaddr *) &address, sizeof address) < 0 ||
        listen(fake->listen_fd, 16) < 0)
        g_error("cannot listen on %s: %s", address.sun_path, g_strerror(errno));
    must(sd_event_add_io(fake->event, &fake->listen_source, fake->listen_fd, EPOLLIN, on_connect, fake));
}

void fake_daemon_hang_up(FakeDaemon *fake)
{
    drop_connection(fake);
}

void fake_daemon_vanish(FakeDaemon *fake)
{
    drop_connection(fake);
    fake->listen_source = sd_event_source_disable_unref(fake->listen_source);
    fake->listen_fd = close_fd(fake->listen_fd);
    (void) unlink(fake->record->socket);
}

void fake_daemon_answer_pending(FakeDaemon *fake)
{
    for (guint i = 0; i < fake->pending->len; i++)
        must(answer(fake->pending->pdata[i]));
    g_ptr_array_set_size(fake->pending, 0);
}

/* ------------------------------------------------------------------ life */

static void result_clear(void *data)
{
    task_result_done(data);
}

static void message_unref(void *data)
{
    (void) sd_bus_message_unref(data);
}

FakeDaemon *fake_daemon_new(const char *worker_id)
{
    FakeDaemon *fake = g_new0(FakeDaemon, 1);
    LaunchRecord *record = launch_record_new();

    must(sd_event_default(&fake->event));
    fake->directory = g_dir_make_tmp("parexec-worker-XXXXXX", NULL);
    fake->listen_fd = -EBADF;
    record->id = g_strdup(worker_id);
    memset(record->token, 0x5a, sizeof record->token);
    record->socket = g_build_filename(fake->directory, "socket", NULL);
    record->output_directory = g_build_filename(fake->directory, "output", NULL);
    record->spool_directory = g_build_filename(fake->directory, "spool", NULL);
    record->slots = 1;
    record->heartbeat_usec = 30 * USEC_PER_SEC;
    record->orphan_usec = 600 * USEC_PER_SEC;
    fake->record = record;
    fake->pending = g_ptr_array_new_with_free_func(message_unref);
    fake->held = g_array_new(FALSE, TRUE, sizeof(FakeRow));
    fake->started = g_array_new(FALSE, TRUE, sizeof(FakeRow));
    fake->results = g_array_new(FALSE, TRUE, sizeof(TaskResult));
    g_array_set_clear_func(fake->results, result_clear);
    fake->given_back = g_array_new(FALSE, TRUE, sizeof(uint64_t));
    return fake;
}

static void remove_tree(const char *directory)
{
    const char *const argv[] = { "rm", "-rf", "--", directory, NULL };

    (void) g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

FakeDaemon *fake_daemon_free(FakeDaemon *fake)
{
    if (!fake)
        return NULL;
    if (fake->worker > 0) {
        (void) kill(fake->worker, SIGTERM);
        fake_daemon_wait(fake, fake_worker_has_ended, 0);
    }
    fake_daemon_vanish(fake);
    g_ptr_array_unref(fake->pending);
    g_array_unref(fake->held);
    g_array_unref(fake->started);
    g_array_unref(fake->results);
    g_array_unref(fake->given_back);
    (void) launch_record_free(fake->record);
    remove_tree(fake->directory);
    g_free(fake->directory);
    sd_event_unref(fake->event);
    g_free(fake);
    return NULL;
}

static void exec_worker(const FakeDaemon *fake, int record_fd, char *const *prefix)
{
    const char *program = getenv("PAREXEC_WORKER");
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    for (; prefix && *prefix; prefix++)
        g_ptr_array_add(argv, *prefix);
    g_ptr_array_add(argv, (char *) program);
    g_ptr_array_add(argv, fake->record->id);
    g_ptr_array_add(argv, NULL);
    (void) prctl(PR_SET_PDEATHSIG, SIGTERM); /* if the test fails, nothing is left of it */
    (void) dup2(record_fd, LAUNCH_RECORD_FD);
    (void) fcntl(LAUNCH_RECORD_FD, F_SETFD, 0);
    (void) dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDIN_FILENO);
    (void) execvp(argv->pdata[0], (char **) argv->pdata);
    _exit(127);
}

void fake_daemon_start_worker(FakeDaemon *fake, char *const *prefix)
{
    g_autoptr(GBytes) record = launch_record_serialize(fake->record);
    gsize size;
    const void *data = g_bytes_get_data(record, &size);
    int fds[2];

    g_assert_nonnull(getenv("PAREXEC_WORKER"));
    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    fake->worker = fork();
    if (fake->worker == 0) {
        int fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 10);

        exec_worker(fake, fd, prefix);
    }
    close_fd(fds[0]);
    g_assert_cmpint(write(fds[1], data, size), ==, size);
    close_fd(fds[1]);
}

/* ------------------------------------------------------------------ waiting */

int fake_slowness(void)
{
    const char *number = getenv("PAREXEC_TEST_SLOWNESS");

    return number ? MAX((int) g_ascii_strtoll(number, NULL, 10), 1) : 1;
}

static void fake_daemon_step(FakeDaemon *fake, uint64_t usec)
{
    int status;

    must(sd_event_run(fake->event, usec));
    if (fake->worker > 0 && waitpid(fake->worker, &status, WNOHANG) == fake->worker) {
        fake->worker = 0;
        fake->status = status;
    }
}

void fake_daemon_wait(FakeDaemon *fake, FakeCondition condition, uint64_t argument)
{
    gint64 end = g_get_monotonic_time() + (gint64) PATIENCE_USEC * fake_slowness();

    while (!condition(fake, argument)) {
        fake_daemon_step(fake, 5 * USEC_PER_MSEC);
        if (g_get_monotonic_time() > end)
            g_error("what the test waits for does not come");
    }
}

void fake_daemon_pass(FakeDaemon *fake, uint64_t usec)
{
    gint64 end = g_get_monotonic_time() + (gint64) usec;

    while (g_get_monotonic_time() < end)
        fake_daemon_step(fake, 5 * USEC_PER_MSEC);
}

bool fake_has_results(FakeDaemon *fake, uint64_t n)
{
    return fake->results->len >= n;
}

bool fake_has_registrations(FakeDaemon *fake, uint64_t n)
{
    return fake->registrations >= n;
}

bool fake_has_started(FakeDaemon *fake, uint64_t task)
{
    for (guint i = 0; i < fake->started->len; i++)
        if (g_array_index(fake->started, FakeRow, i).task == task)
            return true;
    return false;
}

bool fake_worker_has_ended(FakeDaemon *fake, uint64_t unused)
{
    return fake->worker == 0;
}

/* ------------------------------------------------------------------ what the worker is told */

static sd_bus_message *new_call(FakeDaemon *fake, const char *member)
{
    sd_bus_message *m = NULL;

    g_assert_nonnull(fake->bus);
    must(sd_bus_message_new_method_call(fake->bus, &m, NULL, PAREXEC_LINK_PATH, PAREXEC_RUNNER_INTERFACE,
                                        member));
    return m;
}

static void append_bytes(sd_bus_message *m, const char *s)
{
    must(sd_bus_message_append_array(m, 'y', s, s ? strlen(s) + 1 : 0));
}

static void append_blob(sd_bus_message *m, const char *const *strv)
{
    static const char *const none[] = { NULL };
    g_autoptr(GBytes) blob = strv_blob_new((char *const *) (strv ?: none));
    gsize size;
    const void *data = g_bytes_get_data(blob, &size);

    must(sd_bus_message_append_array(m, 'y', data, size));
}

static void append_context(sd_bus_message *m, const FakeContext *context)
{
    must(sd_bus_message_open_container(m, 'r', "tuuauayayayayaytays"));
    must(sd_bus_message_append(m, "tuu", context->id, context->uid ?: getuid(), context->gid ?: getgid()));
    must(sd_bus_message_append(m, "au", 0));
    append_bytes(m, context->cwd ?: "/");
    append_blob(m, context->environment);
    for (int i = 0; i < 3; i++)
        append_bytes(m, context->streams[i]);
    must(sd_bus_message_append(m, "t", context->memory_max_bytes ?: UINT64_MAX));
    append_blob(m, context->credentials);
    must(sd_bus_message_append(m, "s", context->policy ?: ""));
    must(sd_bus_message_close_container(m));
}

static void append_task(sd_bus_message *m, const FakeTask *task)
{
    must(sd_bus_message_open_container(m, 'r', "ttutttaya(say)a{sv}"));
    must(sd_bus_message_append(m, "ttuttt", task->id, task->fence ?: task->id, task->attempt ?: 1,
                               task->batch ?: 1, task->array_index - 1, task->context ?: 1));
    append_blob(m, task->argv);
    must(sd_bus_message_open_container(m, 'a', "(say)"));
    for (const FakeInput *input = task->inputs; input && input->name; input++) {
        must(sd_bus_message_open_container(m, 'r', "say"));
        must(sd_bus_message_append(m, "s", input->name));
        must(sd_bus_message_append_array(m, 'y', input->data, strlen(input->data)));
        must(sd_bus_message_close_container(m));
    }
    must(sd_bus_message_close_container(m));
    must(sd_bus_message_open_container(m, 'a', "{sv}"));
    if (task->memory_max_bytes > 0)
        must(sd_bus_message_append(m, "{sv}", "memory-max", "t", task->memory_max_bytes));
    if (task->gpus)
        must(sd_bus_message_append(m, "{sv}", "gpus", "s", task->gpus));
    must(sd_bus_message_close_container(m));
    must(sd_bus_message_close_container(m));
}

static void append_fds(sd_bus_message *m, const FakeTask *tasks, size_t n)
{
    must(sd_bus_message_open_container(m, 'a', PAREXEC_LINK_TASK_FD));
    for (size_t i = 0; i < n; i++)
        for (unsigned which = 0; tasks[i].fds && which < 3; which++)
            if (tasks[i].fds[which] >= 0)
                must(sd_bus_message_append(m, PAREXEC_LINK_TASK_FD, tasks[i].id, which, tasks[i].fds[which]));
    must(sd_bus_message_close_container(m));
}

void fake_daemon_run(FakeDaemon *fake, const FakeContext *contexts, size_t n_contexts, const FakeTask *tasks,
                     size_t n_tasks)
{
    g_autoptr(sd_bus_message) m = new_call(fake, "Run");

    must(sd_bus_message_open_container(m, 'a', PAREXEC_LINK_CONTEXT));
    for (size_t i = 0; i < n_contexts; i++)
        append_context(m, &contexts[i]);
    must(sd_bus_message_close_container(m));
    must(sd_bus_message_open_container(m, 'a', PAREXEC_LINK_TASK));
    for (size_t i = 0; i < n_tasks; i++)
        append_task(m, &tasks[i]);
    must(sd_bus_message_close_container(m));
    append_fds(m, tasks, n_tasks);
    must(sd_bus_message_set_expect_reply(m, 0));
    must(sd_bus_send(fake->bus, m, NULL));
}

void fake_daemon_run_command(FakeDaemon *fake, uint64_t id, const char *const *argv)
{
    const FakeContext context = { .id = 1 };
    const FakeTask task = { .id = id, .argv = argv };

    fake_daemon_run(fake, &context, 1, &task, 1);
}

static int on_given_back(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FakeDaemon *fake = userdata;
    const void *ids;
    size_t size;

    must(sd_bus_message_read_array(m, 't', &ids, &size));
    g_array_append_vals(fake->given_back, ids, (guint) (size / sizeof(uint64_t)));
    fake->recalls++;
    return 0;
}

void fake_daemon_send_ids(FakeDaemon *fake, const char *member, const uint64_t *ids, size_t n)
{
    g_autoptr(sd_bus_message) m = new_call(fake, member);

    must(sd_bus_message_append_array(m, 't', ids, n * sizeof *ids));
    if (strcmp(member, "Recall") == 0) {
        must(sd_bus_call_async(fake->bus, NULL, m, on_given_back, fake, UINT64_MAX));
        return;
    }
    must(sd_bus_message_set_expect_reply(m, 0));
    must(sd_bus_send(fake->bus, m, NULL));
}

void fake_daemon_stop(FakeDaemon *fake, uint64_t task, const char *outcome)
{
    fake_daemon_send(fake, "Stop", "ats", 1, task, outcome);
}

void fake_daemon_send(FakeDaemon *fake, const char *member, const char *signature, ...)
{
    g_autoptr(sd_bus_message) m = new_call(fake, member);
    va_list ap;

    va_start(ap, signature);
    if (signature)
        must(sd_bus_message_appendv(m, signature, ap));
    va_end(ap);
    must(sd_bus_message_set_expect_reply(m, 0));
    must(sd_bus_send(fake->bus, m, NULL));
}

const TaskResult *fake_daemon_result(const FakeDaemon *fake, uint64_t task)
{
    for (guint i = 0; i < fake->results->len; i++)
        if (g_array_index(fake->results, TaskResult, i).task == task)
            return &g_array_index(fake->results, TaskResult, i);
    return NULL;
}

static char *read_pack(const FakeDaemon *fake, uint64_t task, const OutputPlace *place)
{
    g_autofree char *path = g_strdup_printf("%s/%" PRIu64 "/%s.pack", fake->record->output_directory,
                                            task / 10000, fake->record->id);
    g_autofree char *pack = NULL;
    gsize size;

    if (!g_file_get_contents(path, &pack, &size, NULL) || place->offset + place->size > size)
        g_error("%s does not have what it should", path);
    return g_strndup(pack + place->offset, place->size);
}

char *fake_daemon_output(const FakeDaemon *fake, uint64_t task, uint32_t attempt, const char *suffix)
{
    const TaskResult *result = fake_daemon_result(fake, task);
    StdStream stream = strcmp(suffix, "err") == 0 ? STREAM_STDERR : STREAM_STDOUT;

    if (result && result->places[stream].packed)
        return read_pack(fake, task, &result->places[stream]);
    g_autofree char *path =
        g_strdup_printf("%s/%" PRIu64 "/%" PRIu64 ".%" PRIu32 ".%s", fake->record->output_directory,
                        task / 10000, task, attempt, suffix);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}
