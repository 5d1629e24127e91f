/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many calls at once, and calls that make no sense: whatever comes, the daemon answers the next one. */
#include <string.h>

#include "calls.h"
#include "gvariant-message.h"

/* ---- many at once */

typedef struct Flood {
    unsigned answered, failed;
} Flood;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Flood *flood = userdata;

    flood->answered++;
    flood->failed += sd_bus_message_is_method_error(m, NULL) > 0;
    return 0;
}

static void send_call(sd_bus *bus, Flood *flood, const char *member, const char *arguments)
{
    g_autoptr(sd_bus_message) m =
        bus_message(bus, (Target){ "/org/parexec", MANAGER, member }, arguments, NULL);

    g_assert_cmpint(sd_bus_call_async(bus, NULL, m, on_answer, flood, 30 * USEC_PER_SEC), >=, 0);
}

static void test_concurrent(Harness *h)
{
    static const struct {
        const char *member, *arguments;
    } calls[] = {
        { "Status", NULL },
        { "ListTasks", "({'limit': <uint32 10>},)" },
        { "Submit", "([{'argv': <[b'true']>}], @a{sv} {})" },
        { "Cancel", "({'name': <'nobody'>},)" },
        { "Subscribe", NULL },
    };
    sd_bus *clients[10];
    Flood flood = { 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++)
        clients[i] = harness_connect(h);
    for (unsigned i = 0; i < 1000; i++)
        send_call(clients[i % G_N_ELEMENTS(clients)], &flood, calls[i / 10 % G_N_ELEMENTS(calls)].member,
                  calls[i / 10 % G_N_ELEMENTS(calls)].arguments);
    HARNESS_WAIT(h, flood.answered == 1000);
    g_assert_cmpuint(flood.failed, ==, 0);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 200);
}

/* Clients that come, ask and go without waiting for an answer. */
static void test_impatient(Harness *h)
{
    for (unsigned i = 0; i < 100; i++) {
        sd_bus *client = harness_connect(h);
        Flood flood = { 0 };
        send_call(client, &flood, "ListTasks", "(@a{sv} {},)");
        send_call(client, &flood, "Submit", "([{'argv': <[b'true']>}], @a{sv} {})");
        send_call(client, &flood, "Cancel", "({'name': <'nobody'>},)");
        send_call(client, &flood, "OpenOutput", "(uint64 1, 'stdout', @a{sv} {})");
        g_assert_cmpint(sd_bus_flush(client), >=, 0);
        if (i % 2)
            harness_iterate(h);
        harness_disconnect(h, client);
    }
    manager_do(h->bus, "Status", NULL);
    g_assert_cmpuint(task_submit_shell(h->bus, "exit 0"), >, 0);
}

/* While workers are as busy as they can be, Status is prompt. */
static void test_busy(Harness *h)
{
    gint64 worst = 0;

    g_free(worker_add(h->bus, "'slots': <uint32 4>"));
    manager_do(h->bus, "Submit", "([{'argv': <[b'true']>, 'array': <(uint64 0, uint64 1999)>}], @a{sv} {})");
    for (unsigned i = 0; i < 20; i++) {
        gint64 start = g_get_monotonic_time();
        manager_do(h->bus, "Status", NULL);
        worst = MAX(worst, g_get_monotonic_time() - start);
        harness_pause(h, 20);
    }
    g_assert_cmpint(worst, <, G_USEC_PER_SEC); /* generous: other tests run beside */
    HARNESS_WAIT(h, queue_count(h->bus, "succeeded") == 2000);
}

/* ---- nonsense */

#define N_NONSENSE 5000
#define DEPTH_MAX 4

static const char *const words[] = { "argv",
                                     "cwd",
                                     "env",
                                     "stdin",
                                     "stdout",
                                     "name",
                                     "tags",
                                     "priority",
                                     "array",
                                     "memory-max",
                                     "batch",
                                     "commit",
                                     "defaults",
                                     "ids",
                                     "states",
                                     "queued",
                                     "tag",
                                     "owner",
                                     "limit",
                                     "cursor",
                                     "reverse",
                                     "slots",
                                     "user",
                                     "engine",
                                     "cgroup",
                                     "force",
                                     "allowed-cpus",
                                     "cpu-quota",
                                     "attempt",
                                     "w1",
                                     "stderr",
                                     "",
                                     "true",
                                     "org.parexec.Manager1",
                                     "Enabled",
                                     "MaxWorkers",
                                     "../..",
                                     "\t\n",
                                     "\xc3\xa4\xe2\x82\xac",
                                     "%s%n" };

static GVariant *random_value(GRand *rand, unsigned depth);

static GVariant *random_string(GRand *rand)
{
    if (g_rand_int_range(rand, 0, 50) > 0)
        return g_variant_new_string(words[g_rand_int_range(rand, 0, G_N_ELEMENTS(words))]);
    g_autofree char *text =
        g_strnfill((gsize) g_rand_int_range(rand, 0, 5000), (char) g_rand_int_range(rand, 1, 127));
    return g_variant_new_string(text);
}

static uint64_t random_number(GRand *rand)
{
    static const uint64_t interesting[] = {
        0,         1, 2, 17, 1000, 4096, UINT64_C(1) << 20, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX - 1,
        UINT64_MAX
    };

    return interesting[g_rand_int_range(rand, 0, G_N_ELEMENTS(interesting))];
}

static GVariant *random_bytes(GRand *rand)
{
    uint8_t bytes[64];
    gsize n = (gsize) g_rand_int_range(rand, 0, sizeof bytes);

    for (gsize i = 0; i < n; i++)
        bytes[i] = (uint8_t) g_rand_int_range(rand, i % 8 ? 1 : 0, 256);
    if (n > 0 && g_rand_boolean(rand))
        bytes[0] = '/';
    return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes, n, 1);
}

static GVariant *random_dict(GRand *rand, unsigned depth)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    for (int n = g_rand_int_range(rand, 0, 4); n > 0; n--)
        g_variant_builder_add(&builder, "{sv}", words[g_rand_int_range(rand, 0, G_N_ELEMENTS(words))],
                              random_value(rand, depth + 1));
    return g_variant_builder_end(&builder);
}

/* An array of what is of one type by nature. */
static GVariant *random_array(GRand *rand, unsigned depth)
{
    GVariant *items[3];
    gsize n = (gsize) g_rand_int_range(rand, 0, G_N_ELEMENTS(items) + 1);
    int kind = g_rand_int_range(rand, 0, 4);
    static const char *const types[] = { "s", "ay", "a{sv}", "t" };

    for (gsize i = 0; i < n; i++)
        items[i] = kind == 0   ? random_string(rand)
                   : kind == 1 ? random_bytes(rand)
                   : kind == 2 ? random_dict(rand, depth + 1)
                               : g_variant_new_uint64(random_number(rand));
    return g_variant_new_array(G_VARIANT_TYPE(types[kind]), items, n);
}

static GVariant *random_value(GRand *rand, unsigned depth)
{
    switch (g_rand_int_range(rand, 0, depth < DEPTH_MAX ? 13 : 9)) {
    case 0:
        return g_variant_new_boolean(g_rand_boolean(rand));
    case 1:
        return g_variant_new_uint32((uint32_t) random_number(rand));
    case 2:
        return g_variant_new_int32((int32_t) random_number(rand));
    case 3:
        return g_variant_new_uint64(random_number(rand));
    case 4:
        return g_variant_new_double(g_rand_double(rand) * 1e300);
    case 5:
        return g_variant_new_object_path("/org/parexec/worker/w1");
    case 6:
        return random_bytes(rand);
    case 7:
        return g_variant_new_handle(g_rand_int_range(rand, 0, 3));
    case 8:
        return random_string(rand);
    case 9:
        return random_dict(rand, depth);
    case 10:
        return random_array(rand, depth);
    case 11:
        return g_variant_new_variant(random_value(rand, depth + 1));
    default:
        return g_variant_new("(tt)", random_number(rand), random_number(rand));
    }
}

typedef struct Method {
    Target target;
    const char *signature;
} Method;

/* Everything that can be called. */
static const Method methods[] = {
    { { "/org/parexec", MANAGER, "AddWorker" }, "a{sv}" },
    { { "/org/parexec", MANAGER, "Drain" }, "s" },
    { { "/org/parexec", MANAGER, "Abort" }, "s" },
    { { "/org/parexec", MANAGER, "Status" }, "" },
    { { "/org/parexec", MANAGER, "Submit" }, "aa{sv}a{sv}" },
    { { "/org/parexec", MANAGER, "ListTasks" }, "a{sv}" },
    { { "/org/parexec", MANAGER, "Cancel" }, "a{sv}" },
    { { "/org/parexec", MANAGER, "OpenOutput" }, "tsa{sv}" },
    { { "/org/parexec", MANAGER, "Subscribe" }, "" },
    { { "/org/parexec", MANAGER, "Unsubscribe" }, "" },
    { { "/org/parexec", MANAGER, "Reload" }, "" },
    { { "/org/parexec", MANAGER, "SetTaskLimits" }, "a{sv}a{sv}" },
    { { "/org/parexec", MANAGER, "Freeze" }, "a{sv}a{sv}" },
    { { "/org/parexec", MANAGER, "Thaw" }, "a{sv}" },
    { { "/org/parexec", MANAGER, "Statistics" }, "a{sv}" },
    { { "/org/parexec", MANAGER, "Topology" }, "" },
    { { "/org/parexec", MANAGER, "ListProfiles" }, "" },
    { { "/org/parexec", PROPERTIES, "Set" }, "ssv" },
    { { "/org/parexec", PROPERTIES, "Get" }, "ss" },
    { { "/org/parexec", PROPERTIES, "GetAll" }, "s" },
    { { "/org/parexec", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects" }, "" },
    { { "/org/parexec/worker/w1", WORKER, "Drain" }, "" },
    { { "/org/parexec/worker/w1", WORKER, "SetLimits" }, "a{sv}" },
    { { "/org/parexec/worker/w1", WORKER, "Freeze" }, "a{sv}" },
    { { "/org/parexec/worker/w1", PROPERTIES, "GetAll" }, "s" },
    { { "/org/parexec/task/_31", TASK, "Cancel" }, "" },
    { { "/org/parexec/task/_31", PROPERTIES, "Get" }, "ss" },
    { { "/org/parexec/task/_31", "org.freedesktop.DBus.Introspectable", "Introspect" }, "" },
};

/* A body with the right signature: only its contents are nonsense. */
static int append_fitting(sd_bus_message *m, GRand *rand, const char *signature)
{
    int r = 0;

    while (r >= 0 && *signature) {
        g_autoptr(GVariant) value = NULL;
        if (g_str_has_prefix(signature, "aa{sv}")) {
            GVariant *tasks[2] = { random_dict(rand, 0), random_dict(rand, 0) };
            value = g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE_VARDICT, tasks, 2));
        } else if (*signature == 'a')
            value = g_variant_ref_sink(random_dict(rand, 0));
        else if (*signature == 's')
            value = g_variant_ref_sink(random_string(rand));
        else if (*signature == 't')
            value = g_variant_ref_sink(g_variant_new_uint64(random_number(rand)));
        else
            value = g_variant_ref_sink(g_variant_new_variant(random_value(rand, 1)));
        r = message_append_gvariant(m, value);
        signature += g_str_has_prefix(signature, "aa{sv}") ? 6 : *signature == 'a' ? 5 : 1;
    }
    return r;
}

static int append_anything(sd_bus_message *m, GRand *rand)
{
    int r = 0;

    for (int n = g_rand_int_range(rand, 0, 4); r >= 0 && n > 0; n--) {
        g_autoptr(GVariant) value = g_variant_ref_sink(random_value(rand, 0));
        r = message_append_gvariant(m, value);
    }
    return r;
}

/* The same 5000 every time. */
static void test_nonsense(Harness *h)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(20240229);
    sd_bus *client = harness_connect(h);
    Flood flood = { 0 };

    g_free(worker_add(h->bus, NULL));
    task_submit_shell(h->bus, "sleep 60");
    for (unsigned i = 0; i < N_NONSENSE; i++) {
        const Method *method = &methods[g_rand_int_range(rand, 0, G_N_ELEMENTS(methods))];
        g_autoptr(sd_bus_message) m = NULL;
        g_assert_cmpint(sd_bus_message_new_method_call(client, &m, "org.parexec", method->target.path,
                                                       method->target.interface, method->target.member),
                        >=, 0);
        int r = i % 3 > 0 ? append_fitting(m, rand, method->signature) : append_anything(m, rand);
        g_assert_cmpint(r, >=, 0);
        g_assert_cmpint(sd_bus_call_async(client, NULL, m, on_answer, &flood, 40 * USEC_PER_SEC), >=, 0);
        if (i % 50 == 49)
            HARNESS_WAIT(h, flood.answered + 25 > i);
    }
    HARNESS_WAIT(h, flood.answered == N_NONSENSE);
    g_assert_cmpuint(flood.failed, >, N_NONSENSE / 3);
    g_assert_cmpuint(flood.failed, <, N_NONSENSE);
    manager_set(h->bus, "Enabled", "true");
    manager_set(h->bus, "MaxWorkers", "uint32 64");
    manager_do(h->bus, "Cancel", "({'states': <['queued', 'running']>},)");
    g_autofree char *id = worker_add(h->bus, "'force': <true>");
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
}

static void add(void)
{
    static const HarnessOptions few = { .config = "MaxWorkers=3" };

    harness_add("/load/concurrent", NULL, test_concurrent);
    harness_add("/load/impatient", NULL, test_impatient);
    harness_add("/load/busy", NULL, test_busy);
    harness_add("/load/nonsense", &few, test_nonsense);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
