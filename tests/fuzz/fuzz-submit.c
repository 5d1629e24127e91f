/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The body of Submit. The bytes are directions for building one: which keys, which types, which contents, so that most
 * messages come far into the reader. The bus that the message needs goes to a socket nobody reads. A refusal leaves no
 * submission, its sentence can be printed, and no descriptor is left open. */
#include "fuzz-target.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "bus/submit-request.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/sd-bus-util.h"
#include "util/strv-blob.h"

#define ODD 0xe0 /* from here on a byte asks for something that does not belong */
#define DEPTH_MAX 3

typedef struct Directions {
    const uint8_t *data;
    size_t left;
    unsigned depth;
} Directions;

typedef struct Key {
    const char *name;
    const char *type;
} Key;

static const Key task_keys[] = {
    { "argv", "aay" },         { "cwd", "ay" },
    { "env", "aay" },          { "stdin", "ay" },
    { "stdout", "h" },         { "stderr", "h" },
    { "name", "s" },           { "tags", "as" },
    { "priority", "i" },       { "array", "(tt)" },
    { "memory-max", "t" },     { "stdin", "h" },
    { "after", "a(sta{sv})" }, { "queue", "s" },
    { "worker-class", "s" },   { "credentials", "aay" },
    { "parallel", "u" },       { "keep-unsatisfied", "b" },
    { "hold", "b" },           { "not-before", "t" },
    { "delay", "t" },          { "retries", "u" },
    { "backoff", "(ttd)" },    { "on-failure", "a(ss)" },
    { "timeout", "t" },        { "timeout-percent", "u" },
    { "stop-signal", "i" },    { "grace", "t" },
    { "warn", "(it)" },        { "output-max", "t" },
    { "merge", "b" },          { NULL, NULL },
};
static const Key condition_keys[] = {
    { "batch", "b" }, { "local", "b" }, { "status", "i" }, { "clause", "u" }, { NULL, NULL },
};
static const Key submit_keys[] = {
    { "batch", "t" },         { "commit", "b" },    { "defaults", "a{sv}" },
    { "key", "s" },           { "max-fails", "t" }, { "max-fails-percent", "d" },
    { "max-successes", "t" }, { "halt", "s" },      { NULL, NULL },
};

/* In a seed: the number of tasks; for each the number of keys; for each key its place in the table, 0 for its own type,
 * and the contents, lengths and counts first; then the number of options and these. A number below ODD is itself. */
const FuzzSeed fuzz_seeds[] = {
    FUZZ_SEED("\1\1\0\0\1\4true\0"),
    FUZZ_SEED("\1\4\0\0\2\4echo\2hi\1\0\4/tmp\6\0\4name\11\0\1\11\0"),
    FUZZ_SEED("\2\2\0\0\1\2ls\2\0\2\3A=b\2C=\2\0\0\1\2ls\7\0\2\1a\1b\2\0\0\7\1\0\1"),
    FUZZ_SEED("\1\4\0\0\1\3cat\13\0\0\4\0\1\5\0\1\0"),
    FUZZ_SEED("\1\3\0\0\1\1x\10\0\5\12\0\377\0\0\0\1\0\0\0\0\0"),
    FUZZ_SEED("\1\0\1\2\0\2\0\0\1\4true\3\0\2/o"),
    FUZZ_SEED("\0\2\0\0\7\1\0\1"),
    FUZZ_SEED("\1\3\0\0\1\1x\14\0\2\7afterok\3\0\4exit\5\2\2\0\3\3\0\1\15\0\1q\0"),
    FUZZ_SEED("\1\4\0\0\1\1x\26\0\1\1\1\27\0\1\3oom\4fail\34\0\2\1\0"),
    FUZZ_SEED("\1\2\0\0\1\1x\17\0\1\4k=/p\2\3\0\1k\7\0\3now"),
};
const size_t n_fuzz_seeds = G_N_ELEMENTS(fuzz_seeds);

static int append_dictionary(sd_bus_message *m, Directions *directions, const Key *keys);

static uint8_t take(Directions *directions)
{
    if (directions->left == 0)
        return 0;
    directions->left--;
    return *directions->data++;
}

static const void *take_block(Directions *directions, size_t *ret_size)
{
    size_t wanted = take(directions);
    const uint8_t *block = directions->data;

    *ret_size = MIN(wanted, directions->left);
    directions->data += *ret_size;
    directions->left -= *ret_size;
    return block;
}

static char *take_text(Directions *directions)
{
    size_t size;
    const void *block = take_block(directions, &size);

    return g_strndup(block, size);
}

static int append_number(sd_bus_message *m, Directions *directions, char type)
{
    uint64_t number = take(directions);

    for (size_t i = 0; number >= ODD && i < 8; i++)
        number = number << 8 | take(directions);
    return sd_bus_message_append_basic(m, type, &number);
}

static int append_text(sd_bus_message *m, Directions *directions)
{
    g_autofree char *text = take_text(directions);
    return sd_bus_message_append_basic(m, 's', text);
}

static int append_bytes(sd_bus_message *m, Directions *directions)
{
    size_t size;
    const void *block = take_block(directions, &size);

    return sd_bus_message_append_array(m, 'y', block, size);
}

static int append_fd(sd_bus_message *m, Directions *directions)
{
    static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_PATH };
    _cleanup_close_ int fd = open("/dev/null", modes[take(directions) % G_N_ELEMENTS(modes)] | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return sd_bus_message_append_basic(m, 'h', &fd);
}

static int append_list(sd_bus_message *m, Directions *directions, const char *type,
                       int (*append)(sd_bus_message *m, Directions *directions))
{
    int r = sd_bus_message_open_container(m, 'a', type);

    for (unsigned n = take(directions); r >= 0 && n > 0; n--)
        r = append(m, directions);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_condition(sd_bus_message *m, Directions *directions)
{
    int r = sd_bus_message_open_container(m, 'r', "sta{sv}");

    if (r >= 0)
        r = append_text(m, directions);
    if (r >= 0)
        r = append_number(m, directions, 't');
    if (r >= 0)
        r = append_dictionary(m, directions, condition_keys);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* One of basic types. */
static int append_struct(sd_bus_message *m, Directions *directions, const char *type)
{
    g_autofree char *contents = g_strndup(type + 1, strlen(type) - 2);
    int r = sd_bus_message_open_container(m, 'r', contents);

    for (const char *c = contents; r >= 0 && *c; c++)
        r = *c == 's' ? append_text(m, directions) : append_number(m, directions, *c);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_rule(sd_bus_message *m, Directions *directions)
{
    return append_struct(m, directions, "(ss)");
}

static int append_value(sd_bus_message *m, Directions *directions, const char *type)
{
    if (strcmp(type, "a(sta{sv})") == 0)
        return append_list(m, directions, "(sta{sv})", append_condition);
    if (strcmp(type, "a(ss)") == 0)
        return append_list(m, directions, "(ss)", append_rule);
    if (strcmp(type, "ay") == 0)
        return append_bytes(m, directions);
    if (strcmp(type, "aay") == 0)
        return append_list(m, directions, "ay", append_bytes);
    if (strcmp(type, "as") == 0)
        return append_list(m, directions, "s", append_text);
    if (strcmp(type, "a{sv}") == 0)
        return append_dictionary(m, directions, task_keys);
    if (*type == 's')
        return append_text(m, directions);
    if (*type == 'h')
        return append_fd(m, directions);
    return *type == '(' ? append_struct(m, directions, type) : append_number(m, directions, *type);
}

static int append_entry(sd_bus_message *m, Directions *directions, const Key *keys)
{
    static const char *const types[] = { "s",  "b",   "i",  "u",    "t",    "d",     "y",          "h",
                                         "ay", "aay", "as", "(tt)", "(it)", "a(ss)", "a(sta{sv})", "a{sv}" };
    size_t n = 0;

    while (keys[n].name)
        n++;
    uint8_t choice = take(directions), odd_type = take(directions);
    const Key *key = &keys[choice % n];
    const char *type = odd_type < ODD ? key->type : types[odd_type % G_N_ELEMENTS(types)];
    g_autofree char *name = choice < ODD ? g_strdup(key->name) : take_text(directions);
    int r = sd_bus_message_open_container(m, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', name);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', type);
    if (r >= 0)
        r = append_value(m, directions, type);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_dictionary(sd_bus_message *m, Directions *directions, const Key *keys)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    directions->depth++;
    for (unsigned n = take(directions) % 16; r >= 0 && n > 0 && directions->depth <= DEPTH_MAX; n--)
        r = append_entry(m, directions, keys);
    directions->depth--;
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_task(sd_bus_message *m, Directions *directions)
{
    return append_dictionary(m, directions, task_keys);
}

static sd_bus *bus_get(void)
{
    static sd_bus *bus;
    int sockets[2];

    if (bus)
        return bus;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), ==, 0);
    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(bus, sockets[0], sockets[0]), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    return bus;
}

static void check_gate(const TaskSpec *spec)
{
    const TaskGate *gate = spec->gate;

    g_assert_cmpint(spec->has_dependencies, ==, gate && gate->dependencies);
    if (!gate)
        return;
    g_assert_true(!gate->singleton || *spec->name);
    g_assert_true(!gate->queue || (*gate->queue && name_is_valid(gate->queue)));
    g_assert_true(gate->parallel == 0 || spec->array_index != ARRAY_INDEX_NONE);
    for (guint i = 0; gate->dependencies && i < gate->dependencies->len; i++) {
        const Dependency *d = &g_array_index(gate->dependencies, Dependency, i);
        g_assert_nonnull(dependency_kind_to_string(d->kind));
        g_assert_true(d->kind != DEPENDENCY_AFTER_CORR || spec->array_index != ARRAY_INDEX_NONE);
        g_assert_true(d->status >= 0 && d->status <= 255 && d->id <= (uint64_t) INT64_MAX);
        g_assert_true(d->target == TARGET_LOCAL || d->id >= 1);
    }
}

static void check_submission(const Submission *submission)
{
    g_assert_true(submission->tasks->len > 0 || (submission->batch != 0 && submission->commit));
    g_assert_true(!submission->key || *submission->key);
    for (size_t i = 0; i < submission->tasks->len; i++) {
        const TaskSpec *spec = submission->tasks->pdata[i];
        g_autofree char *why = NULL;
        size_t size;
        const char *argv = g_bytes_get_data(spec->argv, &size);
        g_assert_true(size > 0 && strv_blob_valid(argv, size) && (spec->class || argv[0] != '\0'));
        g_assert_cmpint(*(const char *) g_bytes_get_data(spec->context->cwd, NULL), ==, '/');
        g_assert_true(name_is_valid(spec->name));
        g_assert_true(spec->array_count >= 1 && spec->array_count <= PAREXEC_ARRAY_TASKS_MAX);
        g_assert_true(!spec->fds || (spec->array_index == ARRAY_INDEX_NONE && !spec->class));
        g_assert_cmpint(spec->has_fds, ==, spec->fds != NULL);
        g_assert_cmpint(task_policy_check(&spec->context->policy, &why), ==, 0);
        check_gate(spec);
    }
}

static int build(Directions *directions, sd_bus_message **ret)
{
    g_autoptr(sd_bus_message) m = NULL;
    int r = sd_bus_message_new_method_call(bus_get(), &m, NULL, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                                           "Submit");

    g_assert_cmpint(r, >=, 0);
    r = append_list(m, directions, "a{sv}", append_task);
    if (r >= 0)
        r = append_dictionary(m, directions, submit_keys);
    if (r < 0)
        return r; /* not UTF-8, say: such a message nobody can send */
    g_assert_cmpint(sd_bus_message_seal(m, 1, 0), >=, 0);
    g_assert_cmpint(sd_bus_message_rewind(m, true), >=, 0);
    *ret = g_steal_pointer(&m);
    return 0;
}

static void check_submit(Directions *directions)
{
    uint32_t groups[] = { 1000, 27 };
    const Peer peer = { .uid = 1000, .gid = 1000, .groups = groups, .n_groups = 2, .known = true };
    g_autoptr(sd_bus_message) m = NULL;
    g_autoptr(Submission) submission = NULL;
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    TaskPolicy policy;

    task_policy_init(&policy);
    if (build(directions, &m) < 0)
        return;
    if (submit_request_read(m, &peer, &policy, &submission, &error) >= 0) {
        g_assert_false(sd_bus_error_is_set(&error));
        check_submission(submission);
        return;
    }
    g_assert_null(submission);
    g_assert_true(!error.message || g_utf8_validate(error.message, -1, NULL));
}

static int lowest_free_fd(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

    close_fd(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Directions directions = { .data = data, .left = size };

    (void) bus_get();
    int before = lowest_free_fd();
    check_submit(&directions);
    g_assert_cmpint(lowest_free_fd(), ==, before);
    return 0;
}
